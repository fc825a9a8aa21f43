//! The identity of a loaded model.

/// The identity of a loaded model. It survives a rename, but not a reload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelKey {
    /// The model's name when the key was made.
    pub name: String,
    /// The number of the slot, unique in this run.
    pub generation: u64,
}

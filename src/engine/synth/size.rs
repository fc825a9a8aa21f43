//! The named sizes of synthetic models, and the limits of what can be chosen.

/// The named sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Size {
    /// About a millisecond or a few on one core; the size of the models that divvy ships.
    Small,
    /// Tens of milliseconds.
    Medium,
    /// Hundreds of milliseconds.
    Large,
}

/// Weights above this many elements are refused: an ONNX file cannot pass 2 GiB.
const MOST_PARAMETERS: u64 = 500_000_000;

/// Returns an error if the value is outside of `1..=most`.
pub(super) fn check_range(name: &str, value: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is {value}; it may be 1 to {most}"))
}

/// Returns an error if the model is too large for an ONNX file.
pub(super) fn check_parameters(parameters: u64) -> Result<(), String> {
    if parameters <= MOST_PARAMETERS {
        return Ok(());
    }
    Err(format!(
        "this model would have {parameters} weights; a file can hold {MOST_PARAMETERS}: make it \
         narrower or shallower"
    ))
}

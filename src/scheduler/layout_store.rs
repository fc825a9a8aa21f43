//! Saved layouts, as user interfaces reach them.

use std::hash::{DefaultHasher, Hasher};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::layout::Layout;

/// One saved layout, as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Profile {
    /// Its name: the file's without the extension.
    pub name: String,
    /// Its location, for display.
    pub place: String,
    /// Its description.
    pub description: String,
    /// True if it cannot be changed, renamed or deleted, because it ships with divvy.
    pub read_only: bool,
}

/// The revision of a saved layout: a digest of its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LayoutRevision(String);

impl LayoutRevision {
    /// Returns the revision of a text.
    pub fn of(text: &str) -> Self {
        // Finds changes by other programs; it need not withstand forgery.
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        Self(format!("{:016x}", hasher.finish()))
    }
}

/// A layout as it was saved.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedLayout {
    /// The layout.
    pub layout: Layout,
    /// Its revision.
    pub revision: LayoutRevision,
    /// True if it cannot be overwritten: it ships with divvy, or its file is read-only.
    pub read_only: bool,
}

/// The saved layout that the live rows belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CurrentLayout {
    /// Its name; `None` if they are saved nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its revision when this run loaded or saved it last, if it did either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<LayoutRevision>,
}

/// The condition of a save.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SaveCondition {
    /// Save in any case.
    #[default]
    Always,
    /// Save only if no layout has the name.
    New,
    /// Save only if the saved layout still has this revision.
    Unchanged(LayoutRevision),
}

/// The result of a save.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SaveReceipt {
    /// The location, for display.
    pub place: String,
    /// The revision of the saved layout.
    pub revision: LayoutRevision,
}

/// An error of the store.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LayoutStoreError {
    /// No layout has the name.
    #[error("there is no layout `{name}` in {place}")]
    Missing {
        /// The name.
        name: String,
        /// The folder.
        place: String,
    },
    /// Another layout has the name.
    #[error("a layout `{0}` already exists")]
    NameTaken(String),
    /// The name cannot be a file's.
    #[error("`{0}` is not a file name: use letters, digits, - and _")]
    BadName(String),
    /// The layout was changed since the caller read it.
    #[error(
        "layout `{0}` was changed by another program since it was loaded: load it again, or save under another name"
    )]
    Changed(String),
    /// The file has faults.
    #[error("{0}")]
    Invalid(String),
    /// The file or folder cannot be read or written.
    #[error("{0}")]
    Io(String),
}

/// The store of saved layouts. Its calls read and write files, so never make one on a drawing thread.
pub trait LayoutStore: Send + Sync {
    /// Returns all saved layouts, sorted by name.
    ///
    /// # Errors
    /// [`LayoutStoreError`] if the folder cannot be read.
    fn list(&self) -> Result<Vec<Profile>, LayoutStoreError>;

    /// Reads a layout.
    ///
    /// # Errors
    /// [`LayoutStoreError`] if the layout is missing or has faults.
    fn read(&self, name: &str) -> Result<SavedLayout, LayoutStoreError>;

    /// Writes a layout, replacing one of the same name if the condition allows it.
    ///
    /// # Errors
    /// [`LayoutStoreError`] if the condition does not hold or the layout cannot be written. The saved
    /// layout is unchanged then.
    fn save(
        &self,
        name: &str,
        layout: &Layout,
        condition: &SaveCondition,
    ) -> Result<SaveReceipt, LayoutStoreError>;

    /// Renames a layout.
    ///
    /// # Errors
    /// [`LayoutStoreError`] if the layout is missing or cannot be written, or the new name is taken.
    fn rename(&self, from: &str, to: &str) -> Result<(), LayoutStoreError>;

    /// Deletes a layout.
    ///
    /// # Errors
    /// [`LayoutStoreError`] if the layout is missing or cannot be deleted.
    fn delete(&self, name: &str) -> Result<(), LayoutStoreError>;

    /// Records the layout that the live rows belong to; `None` if they are saved nowhere. Called after each
    /// load and save, and after a rename or an undo that changes it. `revision` is the one that was loaded or
    /// saved last, if this run did either.
    fn set_current(&self, name: Option<&str>, revision: Option<LayoutRevision>);

    /// Returns the layout that was recorded last; `None` if it is not known.
    fn current(&self) -> Option<CurrentLayout>;
}

//! The store of saved layouts.

use crate::layout::Layout;

/// One saved layout, as the list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// The store of saved layouts. Errors are messages for the screen. Never called on the drawing
/// thread.
pub trait LayoutStore: Send + Sync {
    /// Returns all saved layouts, sorted by name.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    fn list(&self) -> Result<Vec<Profile>, String>;

    /// Reads a layout.
    ///
    /// # Errors
    /// Fails if the layout is missing or invalid.
    fn load(&self, name: &str) -> Result<Layout, String>;

    /// Writes a layout, replacing one of the same name. Returns its location.
    ///
    /// # Errors
    /// Fails if the layout cannot be written.
    fn save(&self, name: &str, layout: &Layout) -> Result<String, String>;

    /// Renames a layout.
    ///
    /// # Errors
    /// Fails if the layout is missing or read-only, or if the new name is taken.
    fn rename(&self, from: &str, to: &str) -> Result<(), String>;

    /// Deletes a layout.
    ///
    /// # Errors
    /// Fails if the layout is missing or read-only.
    fn delete(&self, name: &str) -> Result<(), String>;

    /// Records the layout that the live rows belong to; `None` if they are saved nowhere. Called
    /// after each load, save, rename or undo that changes it.
    fn set_current(&self, name: Option<&str>);
}

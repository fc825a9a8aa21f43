//! Saving the live layout: the file that a save may write, and the outcome.

use crate::layout::Budget;
use crate::scheduler::LayoutRevision;
use crate::telemetry::Applied;

/// The file that a save may write.
#[derive(Clone, Debug, PartialEq)]
pub enum SaveTarget {
    /// The file that this run opened or saved, unless it has changed since.
    Opened,
    /// A new file.
    New,
    /// The file of this name, after the question whether to write over it.
    Any,
    /// The compared revision of a changed file: the live layout replaces it.
    Compared(LayoutRevision),
    /// The compared revision of a changed file, whose changes are merged into the live layout first.
    Merged(LayoutRevision),
}

/// The outcome of a save.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedRows {
    /// The saved rows.
    pub rows: Vec<Budget>,
    /// The location, for display.
    pub place: String,
    /// The change that brought the file's changes into the live layout, if there was one.
    pub merged: Option<Box<Applied>>,
}

/// The reason why a layout was not saved.
#[derive(Clone, Debug, PartialEq)]
pub enum SaveFailure {
    /// A layout of this name exists, and this run has neither opened nor saved it.
    NameTaken,
    /// The file was changed by another program since it was loaded.
    Changed(Box<FileComparison>),
    /// The message for any other failure.
    Failed(String),
}

/// The differences between a changed file and the live layout.
#[derive(Clone, Debug, PartialEq)]
pub struct FileComparison {
    /// The changes in the file since it was loaded, one per line. Empty if only comments or the form
    /// of values differ.
    pub in_file: Vec<String>,
    /// The changes of the live layout since it was loaded, one per line.
    pub here: Vec<String>,
    /// The places that both changed in different ways. If empty, both can be merged.
    pub conflicts: Vec<String>,
    /// The compared revision of the file.
    pub revision: LayoutRevision,
}

/// The open comparison of a changed file.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonDialog {
    /// The name of the layout.
    pub name: String,
    /// The differences.
    pub comparison: FileComparison,
    /// The first shown line.
    pub scroll: usize,
}

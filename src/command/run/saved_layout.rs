//! Saved layouts with the revision of their files.

use std::fs;
use std::path::Path;

use crate::layout::{Document, FileCheck, Layout};
use crate::scheduler::{LayoutRevision, SavedLayout};

/// Returns a layout that was read from a file.
pub(super) fn saved_in(path: &Path, document: &Document) -> SavedLayout {
    saved(document, is_read_only(path))
}

/// Returns a layout embedded in the executable.
pub(super) fn built_in(document: &Document) -> SavedLayout {
    saved(document, true)
}

fn saved(document: &Document, read_only: bool) -> SavedLayout {
    let revision = LayoutRevision::of(document.text());
    SavedLayout { layout: document.layout().clone(), revision, read_only }
}

/// Returns true if the file's owner has made it read-only.
pub(super) fn is_read_only(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().readonly())
}

/// Reads a layout that has not changed since it had this revision.
pub(super) fn unchanged(path: &Path, revision: &LayoutRevision) -> Option<SavedLayout> {
    let document = Layout::read(path, FileCheck::Skipped).ok()?;
    Some(saved_in(path, &document)).filter(|saved| saved.revision == *revision)
}

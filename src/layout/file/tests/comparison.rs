//! Comparison of texts, and of their layouts.

use crate::layout::Layout;
use crate::layout::file::Origin;
use crate::layout::file::parse::{self, FileCheck};

/// The lines that differ, as "-old" and "+new".
pub(super) fn changed(before: &str, after: &str) -> Vec<String> {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let removed = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}"));
    removed
        .chain(new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}")))
        .collect()
}

/// Parses a text without checking that its files exist.
pub(super) fn reread(text: &str, origin: &Origin) -> Layout {
    parse::parse(text, origin, FileCheck::Skipped)
        .unwrap_or_else(|faults| panic!("{faults}"))
        .layout
}

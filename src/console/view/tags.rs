//! Short names of models: three columns for a core's owner, or one letter on machines with many cores.

use crate::console::format;
use crate::telemetry::Snapshot;

/// Columns of a tag.
pub(super) const WIDTH: usize = 3;

/// Returns the tag of each model, in layout order: the start of its name, with a number if two tags
/// would be equal. Each is exactly [`WIDTH`] columns wide.
pub(super) fn tags(snapshot: &Snapshot) -> Vec<String> {
    let mut tags: Vec<String> = Vec::with_capacity(snapshot.models.len());
    for model in &snapshot.models {
        let name = &model.row.budget.name;
        let plain = format::left(name, WIDTH, "");
        let numbered =
            (2..10).map(|number| format!("{}{number}", format::left(name, WIDTH - 1, "")));
        let further =
            (10..100).map(|number| format!("{}{number}", format::left(name, WIDTH - 2, "")));
        let free = std::iter::once(plain.clone())
            .chain(numbered)
            .chain(further)
            .find(|tag| !tags.contains(tag));
        tags.push(free.unwrap_or(plain));
    }
    tags
}

/// Returns the letter of a model: a to z, A to Z, then `*`.
pub(super) fn letter(index: usize) -> char {
    (b'a'..=b'z').chain(b'A'..=b'Z').nth(index).map_or('*', char::from)
}

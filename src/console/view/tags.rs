//! Short names of models: three columns for a core's owner, or one letter on machines with many cores.

use std::collections::{HashMap, HashSet};

use crate::console::format;
use crate::telemetry::{ModelView, Snapshot};

/// Columns of a tag.
pub(super) const WIDTH: usize = 3;

/// Returns the tag of each model, in layout order: the start of its name, with a number if two tags
/// would be equal. Each is exactly [`WIDTH`] columns wide.
pub(super) fn tags(snapshot: &Snapshot) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::with_capacity(snapshot.models.len());
    // the number that was last given to names with this start
    let mut last: HashMap<String, usize> = HashMap::new();
    let tag = |model: &ModelView| {
        let name = &model.row.budget.name;
        let plain = format::left(name, WIDTH, "");
        let last = last.entry(plain.clone()).or_insert(0);
        let first = *last + 1;
        for number in first..100 {
            *last = number;
            let tag = match number {
                1 => plain.clone(),
                2..10 => format!("{}{number}", format::left(name, WIDTH - 1, "")),
                _ => format!("{}{number}", format::left(name, WIDTH - 2, "")),
            };
            if taken.insert(tag.clone()) {
                return tag;
            }
        }
        plain
    };
    snapshot.models.iter().map(tag).collect()
}

/// Returns the letter of a model: a to z, A to Z, then `*`.
pub(super) fn letter(index: usize) -> char {
    (b'a'..=b'z').chain(b'A'..=b'Z').nth(index).map_or('*', char::from)
}

//! Which saved layout the rows belong to. A load makes them another's; undoing it gives them back to
//! the one that they were, so that a save never writes one layout's rows into another's file.

use std::collections::BTreeMap;

use super::ConsoleState;
use crate::layout::Budget;
use crate::telemetry::Author;

/// The layout before the present one, for each load that may be undone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Origins {
    /// A load's number in the journal, and the layout that is in force when it is gone over next: the
    /// one before it while it stands, the one after it while it is undone.
    loads: Vec<(u64, Option<String>)>,
    /// The rows of each layout as they were last saved or loaded.
    rows: BTreeMap<Option<String>, Vec<Budget>>,
}

/// More loads than this are not gone back over.
const KEPT: usize = 200;

impl ConsoleState {
    /// The rows are those of a saved layout; `load` is the entry that made them so, where it was one.
    pub(super) fn belongs_to(&mut self, name: String, rows: Vec<Budget>, load: Option<u64>) {
        let before = self.profile.replace(name);
        let saved = self.saved.replace(rows);
        if let Some(load) = load {
            if let Some(saved) = saved {
                self.origins.rows.insert(before.clone(), saved);
            }
            let loads = &mut self.origins.loads;
            loads.push((load, before));
            let excess = loads.len().saturating_sub(KEPT);
            loads.drain(..excess);
        }
    }

    /// An entry was undone or done again: where it is a load, its other layout is in force. Answers
    /// that one's name.
    pub(super) fn switch_origin(&mut self, entry: u64) -> Option<String> {
        let (_, other) = self.origins.loads.iter_mut().rev().find(|(load, _)| *load == entry)?;
        std::mem::swap(&mut self.profile, other);
        let left = other.clone();
        if let Some(saved) = self.saved.take() {
            self.origins.rows.insert(left, saved);
        }
        // what is known of none is saved nowhere
        self.saved = Some(self.origins.rows.get(&self.profile).cloned().unwrap_or_default());
        Some(self.profile_name().to_owned())
    }

    /// Follows what undid or did again a load without being asked here (divvy itself does, where the
    /// load's instances cannot be built), in entries that are newer than `known`.
    pub(super) fn switch_origins_of_others(&mut self, known: Option<u64>) {
        let snapshot = self.snapshot.clone();
        let newer = snapshot.changes.iter().filter(|entry| Some(entry.id) > known);
        for entry in newer.filter(|entry| entry.author != Author::Console) {
            if let Some(of) = entry.undoes.or(entry.redoes) {
                self.switch_origin(of);
            }
        }
    }

    /// A saved layout has another name.
    pub(super) fn called(&mut self, from: &str, to: &str) {
        self.each_origin(from, Some(to.to_owned()));
    }

    /// A saved layout is gone: rows of it are saved nowhere.
    pub(super) fn saved_nowhere(&mut self, name: &str) {
        self.origins.rows.remove(&Some(name.to_owned()));
        if self.profile.as_deref() == Some(name) {
            self.saved = Some(Vec::new());
        }
        self.each_origin(name, None);
    }

    fn each_origin(&mut self, from: &str, to: Option<String>) {
        let others = self.origins.loads.iter_mut().map(|(_, other)| other);
        for name in others.chain(std::iter::once(&mut self.profile)) {
            if name.as_deref() == Some(from) {
                name.clone_from(&to);
            }
        }
        if let Some(rows) = self.origins.rows.remove(&Some(from.to_owned())) {
            self.origins.rows.insert(to, rows);
        }
    }
}

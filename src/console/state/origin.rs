//! Tracks which saved layout the live rows belong to. Loading a layout changes it; undoing the load
//! restores it, so that a save never writes one layout's rows into another's file.

use std::collections::BTreeMap;

use super::ConsoleState;
use crate::layout::Budget;
use crate::telemetry::Author;

/// The previous layout of each load that can be undone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Origins {
    /// Per load: its journal id, and the layout that the next undo or redo of it switches to.
    loads: Vec<(u64, Option<String>)>,
    /// The rows of each layout as they were last saved or loaded.
    rows: BTreeMap<Option<String>, Vec<Budget>>,
}

/// The number of loads that are remembered.
const KEPT: usize = 200;

impl ConsoleState {
    /// Records that the rows belong to a saved layout; `load` is the journal id if they were loaded.
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

    /// Switches to a load's other layout after the load was undone or redone. Returns the name of that
    /// layout; `None` if the entry is not a load.
    pub(super) fn switch_origin(&mut self, entry: u64) -> Option<String> {
        let (_, other) = self.origins.loads.iter_mut().rev().find(|(load, _)| *load == entry)?;
        std::mem::swap(&mut self.profile, other);
        let left = other.clone();
        if let Some(saved) = self.saved.take() {
            self.origins.rows.insert(left, saved);
        }
        // a layout without known rows is saved nowhere
        self.saved = Some(self.origins.rows.get(&self.profile).cloned().unwrap_or_default());
        Some(self.profile_name().to_owned())
    }

    /// Switches layouts for loads that someone else undid or redid in entries newer than `known`. divvy
    /// itself undoes a load whose instances cannot be built.
    pub(super) fn switch_origins_of_others(&mut self, known: Option<u64>) {
        let snapshot = self.snapshot.clone();
        let newer = snapshot.changes.iter().filter(|entry| Some(entry.id) > known);
        for entry in newer.filter(|entry| entry.author != Author::Console) {
            if let Some(of) = entry.undoes.or(entry.redoes) {
                self.switch_origin(of);
            }
        }
    }

    /// Records that a saved layout was renamed.
    pub(super) fn called(&mut self, from: &str, to: &str) {
        self.each_origin(from, Some(to.to_owned()));
    }

    /// Records that a saved layout was deleted: its rows are saved nowhere.
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

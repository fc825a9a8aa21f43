//! The journal screen: its entries, and the one that is selected.

use std::sync::Arc;

use super::action::Effect;
use super::command::Command;
use super::console_state::ConsoleState;
use super::screen::{Mode, Screen, Tone};
use crate::telemetry::JournalEntry;

/// The view of the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JournalView {
    /// The journal; empty until it was read.
    pub(super) entries: Vec<Arc<JournalEntry>>,
    /// The number of the selected change; `None` for the newest.
    selected: Option<u64>,
    /// The change that the last refusal named, to be selected when the screen opens.
    named: Option<u64>,
}

impl ConsoleState {
    /// Returns the entries of the journal, newest first.
    pub fn journal_entries(&self) -> Vec<&Arc<JournalEntry>> {
        // the snapshot has the newest state, the journal the older changes
        let newest = &self.snapshot.changes;
        let is_older = |entry: &&Arc<JournalEntry>| newest.iter().all(|new| new.id != entry.id);
        let older = self.journal.entries.iter().filter(is_older);
        let mut entries: Vec<&Arc<JournalEntry>> = older.chain(newest).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        entries
    }

    /// Returns the position of the selected one among [`Self::journal_entries`]. One that the journal no longer
    /// has is the newest.
    pub fn journal_position(&self, entries: &[&Arc<JournalEntry>]) -> usize {
        let selected = self.journal.selected;
        entries.iter().position(|entry| Some(entry.id) == selected).unwrap_or(0)
    }
}

/// Opens the screen on the change that the last refusal named, else on the newest one.
pub(super) fn open(state: &mut ConsoleState) -> Vec<Effect> {
    let newest = state.snapshot.changes.last().map(|entry| entry.id);
    state.journal.selected = state.journal.named.take().or(newest);
    vec![Effect::ReadJournal]
}

/// Selects a change.
pub(super) fn select(state: &mut ConsoleState, id: u64) {
    state.journal.selected = Some(id);
    state.scroll = 0;
}

/// Moves the selection down by `by` changes, at most to the first or the last.
pub(super) fn select_beside(state: &mut ConsoleState, by: i32) {
    let entries = state.journal_entries();
    let at = state.journal_position(&entries).saturating_add_signed(by as isize);
    let chosen = entries.get(at.min(entries.len().saturating_sub(1))).map(|entry| entry.id);
    if let Some(id) = chosen {
        select(state, id);
    }
}

/// Undoes the selected change, whoever made it.
pub(super) fn undo_selected(state: &mut ConsoleState) -> Vec<Effect> {
    let key = |command| state.keymap.shown(command);
    let refusal = if state.screen != Screen::Journal {
        format!(
            "{} opens the journal; select a change there, and {} undoes it",
            key(Command::Journal),
            key(Command::UndoSelected)
        )
    } else if state.mode == Mode::Staged {
        format!(
            "{} undoes a change that is in force: {} returns to live mode first",
            key(Command::UndoSelected),
            key(Command::Staged)
        )
    } else {
        let entries = state.journal_entries();
        if let Some(entry) = entries.get(state.journal_position(&entries)) {
            return vec![Effect::UndoChange(entry.id)];
        }
        "no change yet".to_owned()
    };
    state.say(Tone::Info, refusal);
    Vec::new()
}

/// Selects the change that must be undone before the refused one. Returns how to do so, for the message.
pub(super) fn point_to(state: &mut ConsoleState, id: u64) -> String {
    let undo = state.keymap.shown(Command::UndoSelected);
    if state.screen == Screen::Journal {
        select(state, id);
        return format!("it is selected here, {undo} undoes it");
    }
    state.journal.named = Some(id);
    format!("{} selects it, {undo} undoes it there", state.keymap.shown(Command::Journal))
}

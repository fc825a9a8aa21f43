//! The message about an applied change, which follows the change's status.

use std::sync::Arc;

use super::console_state::ConsoleState;
use super::screen::{Message, Tone};
use crate::telemetry::{Applied, ChangeStatus, JournalEntry, Snapshot, text};

/// The change that the message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageChange {
    /// The number of its entry.
    id: u64,
    /// The text before the status.
    head: String,
    /// The text after the status.
    tail: String,
    /// True if a part of it is not in force, though nothing failed.
    differs: bool,
}

impl MessageChange {
    fn message(&self, status: &ChangeStatus, us: u64) -> Message {
        let Self { head, tail, differs, .. } = self;
        let text = text::status(status, us);
        if status.is_failure() {
            return Message { text: format!("{head}, {text}"), tone: Tone::Bad };
        }
        let tone = match status {
            _ if *differs => Tone::Bad,
            ChangeStatus::InForce => Tone::Good,
            _ => Tone::Info,
        };
        Message { text: format!("{head}, {text}{tail}"), tone }
    }
}

/// Shows that a change was applied, with its status. `head` is the text before the status.
pub(super) fn say_applied(state: &mut ConsoleState, head: String, applied: &Applied) {
    let difference = applied.differences.first();
    let tail = difference.or_else(|| applied.plan.warnings.first());
    let change = MessageChange {
        id: applied.id,
        head,
        tail: tail.map_or_else(String::new, |tail| format!("; {tail}")),
        differs: difference.is_some(),
    };
    // the snapshot may already show that it failed
    let known = state.snapshot.changes.iter().rev().find(|entry| entry.id == applied.id);
    let message = match known {
        Some(entry) => change.message(&entry.status, time(entry)),
        None => change.message(&applied.status, applied.force_us),
    };
    state.message = Some(message);
    state.message_change = Some(change);
}

/// Updates the message from a newer snapshot. A change that has failed since `before` replaces any
/// other message.
pub(super) fn follow_changes(state: &mut ConsoleState, before: &Snapshot) {
    let snapshot = state.snapshot.clone();
    if let (Some(change), Some(_)) = (&state.message_change, &state.message) {
        let entry = snapshot.changes.iter().rev().find(|entry| entry.id == change.id);
        if let Some(entry) = entry {
            state.message = Some(change.message(&entry.status, time(entry)));
        }
    }
    if snapshot.stops.len() > before.stops.len()
        && let Some(stop) = snapshot.stops.last()
    {
        let length = text::duration(stop.length_us);
        state.say(
            Tone::Info,
            format!("divvy was stopped for {length}, its models too; this counts for no latency"),
        );
    }
    if before.uptime_us == 0 {
        // the first snapshot: its changes are old
        return;
    }
    let has_failed = |entry: &&Arc<JournalEntry>| {
        let old = before.changes.iter().rev().find(|old| old.id == entry.id);
        entry.status.is_failure() && old.is_none_or(|old| !old.status.is_failure())
    };
    let is_shown = |id| state.message_change.as_ref().is_some_and(|change| change.id == id);
    let failed = snapshot.changes.iter().rev().find(has_failed);
    if let Some(entry) = failed.filter(|entry| state.message.is_none() || !is_shown(entry.id)) {
        state.say(Tone::Bad, format!("{}, {}", entry.summary, text::entry_status(entry)));
    }
}

/// Returns the time that a change took to come into force, in microseconds.
fn time(entry: &JournalEntry) -> u64 {
    entry.built_us.unwrap_or(entry.force_us)
}

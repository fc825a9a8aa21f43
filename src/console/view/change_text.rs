//! Changes and verdicts as styled text, for the changes pane and the journal.

use super::canvas::StyledText;
use crate::console::format;
use crate::console::state::ConsoleState;
use crate::telemetry::text::{self, Meaning};
use crate::telemetry::{Author, ChangeStatus, Comparison, JournalEntry, Verdict};

/// Display of the time that a change took to come into force. Another status is always shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForceTime {
    /// With the time.
    Shown,
    /// Without the time.
    Hidden,
}

/// Returns a change as styled text: its time, its author if it was not the console, and its summary.
pub(super) fn summary(
    state: &ConsoleState,
    entry: &JournalEntry,
    time: ForceTime,
) -> Vec<StyledText> {
    let theme = &state.theme;
    let at = format::time_of_day(entry.at_unix_ms, &state.zone);
    let mut parts = vec![(format!("{at} "), theme.dim)];
    if entry.author != Author::Console {
        parts.push((format!("{}: ", text::author(&entry.author)), theme.dim));
    }
    if entry.undoes.is_some() {
        let word = if entry.author == Author::Scheduler { "rollback: " } else { "undo: " };
        parts.push((word.to_owned(), theme.dim));
    }
    let style = if entry.undone { theme.dim } else { theme.text };
    parts.push((entry.summary.clone(), style));
    let style = match &entry.status {
        ChangeStatus::InForce | ChangeStatus::Replaced | ChangeStatus::Unfinished => theme.dim,
        ChangeStatus::Building { .. } => theme.warn,
        ChangeStatus::RolledBack { .. } | ChangeStatus::Failed { .. } => theme.bad,
    };
    if time == ForceTime::Shown || entry.status != ChangeStatus::InForce {
        parts.push((format!(", {}", text::entry_status(entry)), style));
    }
    if text::is_undone(entry) {
        parts.push((" (undone)".to_owned(), theme.dim));
    }
    parts
}

/// Returns one metric before and after a change: "p99 21.0 -> 14.2 ms (-32%)".
pub(super) fn comparison(state: &ConsoleState, comparison: &Comparison) -> String {
    let change = text::before_after(comparison, state.glyphs.arrow);
    format!("{change}{}", text::percentage(comparison))
}

/// Returns a verdict as one clause, coloured by whether the change was for the better.
pub(super) fn verdict(state: &ConsoleState, verdict: &Verdict) -> StyledText {
    let theme = &state.theme;
    let (text, meaning) = text::verdict_clause(verdict, state.glyphs.arrow);
    let style = match meaning {
        Meaning::Unclear => theme.dim,
        Meaning::Better => theme.good,
        Meaning::Worse => theme.bad,
    };
    (text, style)
}

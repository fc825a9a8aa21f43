//! The newest changes with their verdicts.

use ratatui::layout::Rect;

use super::first_change::{FirstChange, invitation};
use crate::console::format;
use crate::console::state::{Command, ConsoleState, Pane, ScrollArea};
use crate::console::view::canvas::{Border, Canvas, PaneFrame, StyledLine, flow, hidden_rows};
use crate::console::view::change_text::{self, ForceTime};
use crate::console::view::key::Key;
use crate::telemetry::{Author, JournalEntry, Verdict, VerdictStatus};

/// Draws the pane, newest change first.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, border: Border) {
    let state = canvas.state;
    let undo = state.keymap.shown(Command::Undo);
    let mut note = "newest first".to_owned();
    // it may be another caller's
    let newest = state.snapshot.changes.last();
    let is_own = state.attached.is_none()
        && newest.is_none_or(|entry| matches!(entry.author, Author::Console | Author::Scheduler));
    if !state.readonly {
        let which = if is_own { "it" } else { "your newest" };
        note = format!("{note}   {undo} undoes {which}");
    }
    let inside = border.inside(area);
    let (width, height) = (inside.width as usize, inside.height as usize);
    let entries = state.snapshot.changes.iter().rev().enumerate();
    // the newest change may fill the pane
    let lines: Vec<StyledLine> = entries
        .flat_map(|(at, entry)| lines_of(state, entry, width, if at == 0 { height } else { 1 }))
        .collect();
    let first = canvas.scroll_to(ScrollArea::Changes, inside, lines.len(), state.scroll_changes);
    let rest = lines.len() - first;
    let hidden = hidden_rows(0, rest.saturating_sub(height));
    if let (Border::Rule, Some(hidden)) = (border, hidden) {
        note = hidden;
    }
    canvas.frame(PaneFrame::of_pane(Pane::Changes, area, border, "Changes").note(&note));
    if lines.is_empty() {
        return canvas.note(inside, &invitation(state, width, height), state.theme.text);
    }
    if border == Border::Box {
        canvas.note_more_below(inside, rest);
    }
    canvas.put_from(inside, &lines, first);
}

/// Returns the key of what the pane is drawn from.
pub(super) fn key(state: &ConsoleState) -> Key {
    let mut key = Key::default();
    if state.snapshot.changes.is_empty() {
        key.add(FirstChange::of(state).map(|first| first.names()));
    }
    for entry in &state.snapshot.changes {
        key.add((entry.id, entry.undone, entry.force_us, entry.at_unix_ms, &entry.summary));
        key.add((entry.undoes, &entry.status, entry.built_us, &entry.author));
        for verdict in &entry.verdicts {
            key.add((&verdict.model, std::mem::discriminant(&verdict.status)));
            key.add((verdict.samples_before, verdict.samples_after));
            for comparison in &verdict.comparisons {
                key.add((std::mem::discriminant(&comparison.metric), comparison.clear));
                key.add_float(comparison.before);
                key.add_float(comparison.after);
                key.add_float(comparison.change);
            }
        }
    }
    key
}

/// Columns of the time. Further lines of a change start behind it.
const INDENT: usize = 9;
/// The least width at which a change with a verdict shows how long it took to come into force.
const WIDE: usize = 100;

/// Returns a change with its verdicts, broken between clauses so that no figure is cut. If it takes
/// more than `height` lines, its summary is cut at a clause, so that its verdicts are visible.
fn lines_of(
    state: &ConsoleState,
    entry: &JournalEntry,
    width: usize,
    height: usize,
) -> Vec<StyledLine> {
    let done = entry.verdicts.iter().any(|one| one.status != VerdictStatus::Open);
    let time = if width >= WIDE || !done { ForceTime::Shown } else { ForceTime::Hidden };
    let mut parts = change_text::summary(state, entry, time);
    let verdicts = |finished: bool| {
        let wanted = move |one: &&Verdict| !finished || one.status != VerdictStatus::Open;
        entry.verdicts.iter().filter(wanted).flat_map(|verdict| {
            [("; ".to_owned(), state.theme.dim), change_text::verdict(state, verdict)]
        })
    };
    let whole = flow(parts.iter().cloned().chain(verdicts(false)), width, INDENT);
    if whole.len() <= height || !done {
        return whole;
    }
    let room = width.saturating_sub(INDENT);
    if let Some((summary, _)) = parts.iter_mut().find(|(text, _)| *text == entry.summary) {
        *summary = first_clauses(summary, room, state.glyphs.ellipsis);
    }
    flow(parts.into_iter().chain(verdicts(true)), width, INDENT)
}

/// Cuts a summary that is wider than `room` after a clause.
fn first_clauses(summary: &str, room: usize, ellipsis: &str) -> String {
    if format::width(summary) <= room {
        return summary.to_owned();
    }
    let tail = format!(", {ellipsis}");
    let room = room.saturating_sub(format::width(&tail));
    let fits = |end: &usize| summary.get(..*end).is_some_and(|part| format::width(part) <= room);
    let ends = summary.match_indices(", ").map(|(at, _)| at);
    let end = ends.take_while(fits).last();
    match end.and_then(|end| summary.get(..end)) {
        Some(kept) => format!("{kept}{tail}"),
        None => format::fit(summary, room, ellipsis).into_owned(),
    }
}

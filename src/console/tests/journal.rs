//! The journal screen: the selection of a change, and its undo.

use std::sync::Arc;

use crossterm::event::{KeyCode, MouseEventKind};

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Command, ScrollArea, Target};
use crate::telemetry::{JournalEntry, VerdictStatus};

/// Returns a console after two changes, with the journal open.
fn journal() -> TestConsole {
    let mut console = TestConsole::new(120, 36);
    console.keys("+-");
    assert_eq!(console.control.undoable(), 2);
    show(&mut console, [1, 2].map(|id| fixtures::entry(id, VerdictStatus::Open, 700 + id)));
    console.keys("J");
    console
}

fn show(console: &mut TestConsole, entries: impl IntoIterator<Item = JournalEntry>) {
    let mut snapshot = (*console.state.snapshot).clone();
    snapshot.changes = entries.into_iter().map(Arc::new).collect();
    console.show(snapshot);
}

#[test]
fn key_undoes_the_selected_change() {
    let mut console = journal();
    assert!(console.text().contains("U undo it"), "{}", console.text());
    console.keys("U");
    assert_eq!(console.control.undoable(), 1);
    assert!(console.message().starts_with("undone: "), "{}", console.message());
}

#[test]
fn refusal_selects_the_later_change() {
    let mut console = journal();
    console.key(KeyCode::Down);
    console.keys("U");
    assert_eq!(console.control.undoable(), 2);
    let message = console.message();
    assert!(message.contains("change 1 stays; it is selected here, U undoes it"), "{message}");
    console.keys("U");
    assert_eq!(console.control.undoable(), 1);
}

#[test]
fn click_selects_a_change() {
    let mut console = journal();
    let row = |console: &TestConsole, id| console.place(&Target::Change(id));
    let at = row(&console, 1);
    console.down(at);
    assert_eq!(console.frame[at].symbol(), console.state.glyphs.pointer);
    assert_ne!(console.frame[row(&console, 2)].symbol(), console.state.glyphs.pointer);
    console.down(console.place(&Target::Command(Command::UndoSelected)));
    assert!(console.message().contains("change 1 stays"), "{}", console.message());
}

#[test]
fn new_change_leaves_the_selection() {
    let mut console = journal();
    show(&mut console, [1, 2, 3].map(|id| fixtures::entry(id, VerdictStatus::Open, 700 + id)));
    let at = console.place(&Target::Change(2));
    assert_eq!(console.frame[at].symbol(), console.state.glyphs.pointer);
    console.mouse(MouseEventKind::ScrollUp, at);
    let at = console.place(&Target::Change(3));
    assert_eq!(console.frame[at].symbol(), console.state.glyphs.pointer);
}

#[test]
fn undo_needs_the_journal() {
    let mut console = journal();
    console.keys("bU");
    assert!(console.message().contains("J opens the journal"), "{}", console.message());
    console.keys("JtU");
    assert!(console.message().contains("t returns to live mode"), "{}", console.message());
    assert_eq!(console.control.undoable(), 2);
}

#[test]
fn long_change_can_be_scrolled() {
    let mut console = TestConsole::new(80, 24);
    let mut entry = fixtures::entry(2, VerdictStatus::Done, 702);
    entry.warnings = (0..40).map(|number| format!("warning {number}.")).collect();
    show(&mut console, [fixtures::entry(1, VerdictStatus::Open, 701), entry]);
    console.keys("J");
    assert!(console.text().contains("warning 3.") && !console.text().contains("warning 25."));
    console.keys("]]]]]");
    assert!(console.text().contains("warning 25.") && !console.text().contains("warning 3."));
    let at = console.place(&Target::Lines(ScrollArea::Preview));
    for _ in 0..20 {
        console.mouse(MouseEventKind::ScrollUp, at);
    }
    assert!(console.text().contains("warning 3."), "{}", console.text());
    console.key(KeyCode::Down);
    assert!(console.text().contains("#1 "), "{}", console.text());
}

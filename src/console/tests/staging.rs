//! Staged mode: changes add up, have their own undo, and are applied as one transaction.

use crossterm::event::KeyCode;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Effect, Mode};
use crate::layout::{Auto, Edit};
use crate::scheduler::Control;
use crate::telemetry::{Author, VerdictStatus};

#[test]
pub(crate) fn staged_step_takes_the_last_core_unasked() {
    let mut console = TestConsole::new(120, 36);
    console.keys("t3-");
    assert_eq!(console.state.dialog, None);
    assert!(console.state.row("embedder").unwrap().cores.is_empty(), "{}", console.message());
}

#[test]
pub(crate) fn staged_gestures_add_up_to_one_transaction() {
    let mut console = TestConsole::new(120, 36);
    console.keys("t+j -");
    console.key(KeyCode::Esc);
    console.keys("lp");
    assert_eq!(console.control.changes(), []);
    assert_eq!(console.state.staged.len(), 2);
    assert_eq!(console.state.row("detector").unwrap().cores.len(), 5);
    assert!(console.text().contains("detector*"), "{}", console.text());
    console.key(KeyCode::Enter);
    let changes = console.control.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].edits.len(), 2);
    assert!(console.state.staged.is_empty());
    assert_eq!(console.state.mode, Mode::Staged);
}

#[test]
pub(crate) fn staged_changes_can_be_undone() {
    let mut console = TestConsole::new(120, 36);
    console.keys("tl++u");
    assert_eq!(console.state.staged.len(), 1);
    assert_eq!(console.state.row("detector").unwrap().concurrency, 5);
    console.key(KeyCode::Esc);
    assert!(console.state.staged.is_empty() && console.state.staged_plan.is_none());
    assert_eq!(console.state.row("detector").unwrap().concurrency, 4);
    assert_eq!(console.control.changes(), []);
}

#[test]
pub(crate) fn staged_undo_leaves_applied_changes() {
    let mut console = TestConsole::new(120, 36);
    console.keys("l+t+");
    console.keys("uu");
    assert_eq!(console.control.desired().row("detector").unwrap().concurrency, 5);
    assert!(console.message().starts_with("no staged change to undo"), "{}", console.message());
    console.control_key('r');
    assert_eq!(console.state.row("detector").unwrap().concurrency, 6, "{}", console.message());
    console.control_key('r');
    assert!(console.message().starts_with("no staged change to redo"), "{}", console.message());
    assert_eq!(console.control.changes().len(), 1);
    console.keys("utu");
    assert_eq!(console.control.desired().row("detector").unwrap().concurrency, 4);
}

#[test]
pub(crate) fn discarding_several_changes_asks() {
    let mut console = TestConsole::new(120, 36);
    console.keys("tl+++");
    console.key(KeyCode::Esc);
    assert!(console.text().contains("Discard 3 staged changes?"), "{}", console.text());
    console.keys("n");
    assert_eq!(console.state.staged.len(), 3);
    console.key(KeyCode::Esc);
    console.keys("y");
    assert!(console.state.staged.is_empty() && console.state.staged_plan.is_none());
    console.keys("u");
    assert_eq!(console.state.row("detector").unwrap().concurrency, 7, "{}", console.message());
    assert_eq!(console.control.changes(), []);
}

#[test]
pub(crate) fn save_names_the_staged_changes() {
    let mut console = TestConsole::new(120, 36);
    console.keys("tl++s");
    assert!(console.message().contains("without the 2 staged changes"), "{}", console.message());
    assert_eq!(console.profiles.load("balanced").unwrap(), console.control.layout());
}

#[test]
pub(crate) fn refused_staged_changes_do_not_leave() {
    let mut console = TestConsole::new(120, 36);
    console.keys("tl+q");
    console.control.apply(Edit::Remove { model: "detector".into() }.into(), Author::Api).unwrap();
    console.key(KeyCode::Enter);
    assert!(console.message().starts_with("refused: "), "{}", console.message());
    console.keys("t");
    assert!(!console.left.contains(&Effect::Quit));
}

#[test]
pub(crate) fn impossible_change_is_not_staged() {
    let mut console = TestConsole::new(120, 36);
    // the first step takes the one free core; the second fails
    console.keys("t++");
    assert_eq!(console.state.staged.len(), 1, "{}", console.message());
    assert!(console.message().starts_with("not staged: "), "{}", console.message());
    assert_eq!(console.state.row("detector").unwrap().cores.len(), 5);
}

#[test]
pub(crate) fn changed_rows_replan_staged_changes() {
    let mut console = TestConsole::new(120, 36);
    console.keys("tl+");
    let instances = |console: &TestConsole, name| {
        console.state.staged_plan.as_ref().unwrap().after.row(name).unwrap().concurrency
    };
    assert_eq!((instances(&console, "detector"), instances(&console, "ocr")), (5, 2));
    // another client changes another row
    let edit = Edit::SetConcurrency { model: "ocr".into(), concurrency: Auto::Exactly(7) };
    console.control.apply(edit.into(), Author::Api).unwrap();
    let mut snapshot = (*console.control.snapshots().borrow()).as_ref().clone();
    snapshot.changes.push(fixtures::entry(99, VerdictStatus::Open, 750).into());
    console.show(snapshot.clone());
    assert_eq!((instances(&console, "detector"), instances(&console, "ocr")), (5, 7));
    // the staged change's model was removed: the change is dropped with a message
    console.control.apply(Edit::Remove { model: "detector".into() }.into(), Author::Api).unwrap();
    snapshot.changes.push(fixtures::entry(100, VerdictStatus::Open, 751).into());
    console.show(snapshot);
    assert!(console.state.staged.is_empty());
    assert!(
        console.message().starts_with("dropped the last staged change"),
        "{}",
        console.message()
    );
}

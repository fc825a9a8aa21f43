//! Changes that ask for far more threads than there are cores.

use crossterm::event::KeyCode;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, Column, Dialog};
use crate::layout::{Auto, Change, Edit};
use crate::scheduler::Control;

/// Sets the key of the selected row to a value, as the row editor does.
fn set(console: &mut TestConsole, column: Column, value: &str) {
    console.state.column = column;
    console.keys("e");
    console.key(KeyCode::Enter);
    console.control_key('u');
    console.keys(value);
    console.key(KeyCode::Enter);
}

fn question(console: &TestConsole) -> Option<&str> {
    match &console.state.dialog {
        Some(Dialog::Confirm { question, .. }) => Some(question),
        _ => None,
    }
}

#[test]
fn thousand_instances_ask_first() {
    let mut console = TestConsole::new(120, 36);
    set(&mut console, Column::Instances, "1000");
    let asked = question(&console).unwrap();
    assert!(
        asked.contains("1000 instances of 1 thread on 4 cores, 250 threads per core"),
        "{asked}"
    );
    assert!(asked.contains("of memory"), "{asked}");
    assert_eq!(console.control.changes(), []);
    console.keys("n");
    assert_eq!(console.control.changes(), []);
    set(&mut console, Column::Instances, "1000");
    console.keys("y");
    assert_eq!(console.control.changes().len(), 1);
}

#[test]
fn thousand_threads_ask_first() {
    let mut console = TestConsole::new(120, 36);
    set(&mut console, Column::Threads, "1000");
    let asked = question(&console).unwrap();
    assert!(asked.contains("of 1000 threads on 4 cores"), "{asked}");
}

#[test]
fn confirmed_excess_is_not_asked_again() {
    let mut console = TestConsole::new(120, 36);
    set(&mut console, Column::Instances, "100");
    console.keys("y");
    console.refresh();
    console.key(KeyCode::Esc);
    console.act(Action::Step { model: "detector".into(), column: Column::Instances, by: 1 });
    assert_eq!(console.control.changes().len(), 2, "{:?}", console.state.dialog);
}

#[test]
fn saved_layout_with_excess_asks_first() {
    let mut console = TestConsole::new(120, 36);
    let mut layout = console.control.layout();
    layout.models[0].concurrency = Auto::Exactly(1000);
    console.profiles.put("huge", &layout);
    console.keys("o");
    console.key(KeyCode::Enter);
    assert!(question(&console).is_some(), "{:?}", console.state.dialog);
    assert_eq!(console.control.changes(), []);
    console.keys("y");
    assert_eq!(console.control.changes().len(), 1);
    assert_eq!(console.state.profile.as_deref(), Some("huge"));
}

#[test]
fn usual_requests_are_not_excessive() {
    let desired = TestConsole::new(120, 36).control.desired();
    let machine = fixtures::machine(8, 4);
    let instances = |count| -> Change {
        let concurrency = Auto::Exactly(count);
        Edit::SetConcurrency { model: "detector".into(), concurrency }.into()
    };
    let rows = |count| desired.plan(&instances(count), &machine).unwrap().excessive_rows().len();
    assert_eq!((rows(64), rows(65)), (0, 1), "16 threads on each of 4 cores");
}

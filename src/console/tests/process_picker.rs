//! The line of other processes, and the list from which one is added as a row.

use crossterm::event::KeyCode;

use super::testing::TestConsole;
use super::{fixtures, process_fixtures};
use crate::console::state::{Dialog, Target};
use crate::layout::{Budget, Change, CoreRequest, Edit, ProcessSelector, ProcessSource};
use crate::machine::CpuSet;

fn console() -> TestConsole {
    TestConsole::with(&process_fixtures::layout(), fixtures::machine(8, 4), 120, 36)
}

fn added(name: &str, selector: ProcessSelector) -> Change {
    let budget = Budget::new(name, ProcessSource::new(selector));
    assert_eq!(budget.cores, CoreRequest::List(CpuSet::EMPTY));
    Edit::Add { budget: Box::new(budget) }.into()
}

fn is_listing(console: &TestConsole) -> bool {
    matches!(console.state.dialog, Some(Dialog::Processes(_)))
}

#[test]
fn line_below_the_rows_opens_the_list() {
    let mut console = console();
    assert!(console.text().contains("0.7 cores, mostly dockerd"), "{}", console.text());
    console.keys("0j");
    assert!(console.state.on_others);
    console.key(KeyCode::Enter);
    assert!(is_listing(&console));
    console.key(KeyCode::Esc);
    console.keys("k");
    assert!(!console.state.on_others);
    let at = console.place(&Target::Others);
    console.down(at);
    assert!(is_listing(&console));
}

#[test]
fn gestures_on_other_processes_say_why() {
    for keys in ["+", " ", "e", "X", "E", "p"] {
        let mut console = console();
        console.keys("0j");
        console.keys(keys);
        assert!(console.control.changes().is_empty(), "{keys}");
        assert!(console.state.drag.is_none(), "{keys}");
        assert!(console.message().contains("other processes are no row"), "{keys}");
    }
}

#[test]
fn enter_adds_every_process_of_the_program() {
    let mut console = console();
    console.keys("Apython");
    let text = console.text();
    assert!(text.contains("adds all 2 processes of python3"), "{text}");
    console.key(KeyCode::Enter);
    let exe = ProcessSelector::Exe("python3".into());
    assert_eq!(console.control.changes(), [added("python3", exe)]);
    assert!(console.message().contains("added with no core of its own"), "{}", console.message());
    console.refresh();
    assert_eq!(console.state.selected_model().unwrap().row.budget.name, "python3");
}

#[test]
fn function_key_adds_one_process() {
    let mut console = console();
    console.keys("Apython3");
    console.key(KeyCode::Down);
    console.key(KeyCode::F(2));
    assert_eq!(console.control.changes(), [added("python3", ProcessSelector::Pid(9002))]);
}

#[test]
fn names_of_added_rows_are_unique() {
    let mut layout = process_fixtures::layout();
    layout.models.push(process_fixtures::process("python3", "python3.12", 0));
    let mut console = TestConsole::with(&layout, fixtures::machine(8, 4), 120, 36);
    console.keys("Apython");
    console.key(KeyCode::Enter);
    let exe = ProcessSelector::Exe("python3".into());
    assert_eq!(console.control.changes(), [added("python3-2", exe)]);
}

#[test]
fn refused_process_is_not_added() {
    let mut console = console();
    console.keys("Akthreadd");
    assert!(console.text().contains("no: it is a kernel thread"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert!(console.control.changes().is_empty());
    assert!(is_listing(&console));
    assert!(console.text().contains("kthreadd cannot be a row: it is a"), "{}", console.text());
}

#[test]
fn tab_switches_between_path_or_list() {
    let mut console = console();
    console.keys("a/tmp/x");
    console.key(KeyCode::Tab);
    assert!(is_listing(&console));
    console.keys("nginx");
    console.key(KeyCode::Tab);
    assert!(console.text().contains("path: /tmp/x"), "{}", console.text());
}

#[test]
fn second_click_adds_the_process() {
    let mut console = console();
    console.keys("A");
    for _ in 0..2 {
        let at = console.place(&Target::Item(1));
        console.down(at);
        console.up(at);
    }
    let exe = ProcessSelector::Exe("python3".into());
    assert_eq!(console.control.changes(), [added("python3", exe)]);
}

#[test]
fn selection_follows_the_process() {
    let mut console = console();
    console.keys("A");
    console.key(KeyCode::Down);
    let mut snapshot = (*console.state.snapshot).clone();
    let mut others = (**snapshot.others.as_ref().unwrap()).clone();
    others.busiest[0].process.cpu = 0.0;
    snapshot.others = Some(others.into());
    console.show(snapshot);
    console.key(KeyCode::F(2));
    assert_eq!(console.control.changes(), [added("python3", ProcessSelector::Pid(9001))]);
}

#[test]
fn readonly_list_adds_nothing() {
    let mut console = console();
    console.state.readonly = true;
    console.keys("A");
    assert!(is_listing(&console));
    assert!(console.text().contains("Read-only: no row can be added"), "{}", console.text());
    console.key(KeyCode::Enter);
    console.key(KeyCode::F(2));
    assert!(console.control.changes().is_empty());
}

#[test]
fn added_process_is_staged() {
    let mut console = console();
    console.keys("tAnginx");
    console.key(KeyCode::Enter);
    assert!(console.control.changes().is_empty());
    assert_eq!(console.state.staged.len(), 1);
    console.keys("Anginx");
    console.key(KeyCode::Enter);
    console.key(KeyCode::Enter);
    console.refresh();
    assert!(console.control.desired().row("nginx-2").is_some(), "{}", console.message());
}

#[test]
fn run_without_observation_says_so() {
    let mut console = TestConsole::new(120, 36);
    console.keys("A");
    assert!(console.text().contains("does not observe other processes"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert!(console.control.changes().is_empty());
}

//! Tests of the row editor: every key can be set, nothing is applied before Enter, and errors
//! appear below the text field.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEventKind};

use super::testing::TestConsole;
use crate::console::state::{Action, Dialog, Effect, Target, update};
use crate::layout::{Auto, CoreOwner, Edit, LoadSpec, Overflow};
use crate::scheduler::Control;
use crate::telemetry::Author;

/// Selects a key of the open list and opens its field.
fn open_key(console: &mut TestConsole, name: &str) {
    console.key(KeyCode::Home);
    let at = console.state.row_keys("detector").iter().position(|key| key.name == name);
    for _ in 0..at.unwrap_or_else(|| panic!("no key {name}")) {
        console.key(KeyCode::Down);
    }
    console.key(KeyCode::Enter);
}

fn type_anew(console: &mut TestConsole, text: &str) {
    console.control_key('u');
    console.keys(text);
}

fn set(console: &mut TestConsole, name: &str, text: &str) {
    open_key(console, name);
    type_anew(console, text);
    console.key(KeyCode::Enter);
}

#[test]
pub(crate) fn every_row_key_can_be_set_then_undone() {
    for (name, text) in [
        ("engine", "rten"),
        ("cores", "2"),
        ("reserve", "true"),
        ("weight", "3"),
        ("threads", "2"),
        ("concurrency", "3"),
        ("objective", "latency"),
        ("spinning", "false"),
        ("memory", "1GiB"),
        ("queue", "{ limit = 8, timeout = \"250ms\", overflow = \"block\" }"),
        ("slo", "{ \"p99.9\" = \"40ms\" }"),
        ("load", "{ kind = \"closed\", clients = 4 }"),
        ("dims", "{ batch = 2 }"),
        ("inputs", "{ x = { zeros = true } }"),
        ("paused", "true"),
    ] {
        let mut console = TestConsole::new(120, 36);
        let before = console.control.desired().row("detector").unwrap().budget.clone();
        console.keys("e");
        set(&mut console, name, text);
        let after = console.control.desired().row("detector").unwrap().budget.clone();
        assert_eq!(after, before.with_key(name, text).unwrap(), "{name}: {}", console.message());
        assert_ne!(after, before, "{name}");
        assert_eq!(console.control.changes().len(), 1, "{name}");
        console.key(KeyCode::Esc);
        console.keys("u");
        assert_eq!(console.control.desired().row("detector").unwrap().budget, before, "{name}");
    }
}

#[test]
pub(crate) fn empty_value_removes_the_load() {
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    set(&mut console, "load", "{ kind = \"poisson\", rate = 7.5 }");
    let load = Some(LoadSpec::Poisson { rate: 7.5 });
    assert_eq!(
        console.control.changes(),
        [Edit::SetLoad { model: "detector".into(), load }.into()]
    );
    set(&mut console, "load", "");
    assert_eq!(console.control.desired().row("detector").unwrap().budget.load, None);
}

#[test]
pub(crate) fn row_keys_show_values_as_in_the_file() {
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    let text = console.text();
    let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("queue ").contains("{ limit = 64, overflow = \"reject\" }"), "{text}");
    assert!(line("slo ").contains("{ p99 = \"20ms\" }"), "{text}");
    assert!(line("spinning ").contains("\"auto\"   default"), "{text}");
    // the selected column is the chosen key
    let Some(Dialog::Row(editor)) = &console.state.dialog else { panic!("{text}") };
    assert_eq!(console.state.row_keys("detector")[editor.at].name, "cores");
}

#[test]
pub(crate) fn typing_previews_but_does_not_apply() {
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    open_key(&mut console, "cores");
    type_anew(&mut console, "2");
    assert!(console.text().contains("detector 4 -> 2"), "{}", console.text());
    console.key(KeyCode::Esc);
    assert!(matches!(&console.state.dialog, Some(Dialog::Row(editor)) if editor.prompt.is_none()));
    console.key(KeyCode::Esc);
    assert_eq!(console.state.dialog, None);
    assert_eq!(console.control.changes(), []);
}

#[test]
pub(crate) fn invalid_value_keeps_the_field_open() {
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    for (name, text, expected) in [
        ("threads", "0", "1,024"),
        ("load", "{ kind = \"poisson\" }", "rate"),
        ("memory", "lots", "MiB"),
        ("cores", "9", "asks for 9 cores"),
    ] {
        set(&mut console, name, text);
        assert!(console.text().contains(expected), "{name}: {}", console.text());
        assert_eq!(console.control.changes(), [], "{name}");
        console.key(KeyCode::Esc);
    }
    open_key(&mut console, "threads");
    console.key(KeyCode::Enter);
    assert!(console.message().contains("nothing was changed"), "{}", console.message());
}

#[test]
pub(crate) fn name_key_renames_the_model() {
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    set(&mut console, "name", "finder");
    console.refresh();
    assert!(console.control.desired().row("finder").is_some(), "{}", console.message());
    assert_eq!(console.state.selected, CoreOwner::Model("finder".into()));
    assert_eq!(console.state.dialog, None);
    console.keys("u");
    assert!(console.control.desired().row("detector").is_some(), "{}", console.message());
}

/// Presses a key without performing its effects yet.
fn press(console: &mut TestConsole, code: KeyCode) -> Vec<Effect> {
    update(&mut console.state, Action::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[test]
pub(crate) fn enter_commits_the_text_at_that_moment() {
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    open_key(&mut console, "concurrency");
    console.control_key('u');
    let fast = [KeyCode::Char('1'), KeyCode::Enter, KeyCode::Char('0')];
    let late: Vec<Effect> = fast.iter().flat_map(|code| press(&mut console, *code)).collect();
    for effect in &late {
        let answer = console.perform(effect);
        console.act(answer);
    }
    assert_eq!(console.control.changes(), []);
    assert!(matches!(&console.state.dialog, Some(Dialog::Row(editor)) if editor.prompt.is_some()));
    // moving the cursor does not edit the text
    console.control_key('u');
    let fast = [KeyCode::Char('3'), KeyCode::Enter, KeyCode::Left];
    let late: Vec<Effect> = fast.iter().flat_map(|code| press(&mut console, *code)).collect();
    for effect in &late {
        let answer = console.perform(effect);
        console.act(answer);
    }
    let concurrency = Auto::Exactly(3);
    let edit = Edit::SetConcurrency { model: "detector".into(), concurrency };
    assert_eq!(console.control.changes(), [edit.into()]);
}

#[test]
pub(crate) fn newer_row_is_not_overwritten() {
    let change = |console: &TestConsole| {
        let threads = Edit::SetThreads { model: "detector".into(), threads: Auto::Exactly(3) };
        console.control.apply(threads.into(), Author::Api).unwrap();
    };
    let threads =
        |console: &TestConsole| console.control.desired().row("detector").unwrap().budget.threads;
    // live: between the answer and its effect
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    open_key(&mut console, "dims");
    type_anew(&mut console, "{ batch = 2 }");
    let read = press(&mut console, KeyCode::Enter);
    let answer = console.perform(&read[0]);
    change(&console);
    console.act(answer);
    assert!(console.message().contains("was changed while it was edited"), "{}", console.message());
    assert_eq!((threads(&console), console.control.changes().len()), (Auto::Exactly(3), 1));
    // staged: while it waits
    let mut console = TestConsole::new(120, 36);
    console.keys("te");
    set(&mut console, "dims", "{ batch = 2 }");
    set(&mut console, "dims", "{ batch = 4 }");
    assert_eq!(console.state.staged.len(), 2);
    console.key(KeyCode::Esc);
    change(&console);
    console.key(KeyCode::Enter);
    assert!(console.message().contains("was changed while it was edited"), "{}", console.message());
    assert_eq!((threads(&console), console.control.changes().len()), (Auto::Exactly(3), 1));
}

#[test]
pub(crate) fn late_answer_still_shows_the_staged_value() {
    let mut console = TestConsole::new(120, 36);
    console.keys("te");
    open_key(&mut console, "threads");
    type_anew(&mut console, "3");
    let read = press(&mut console, KeyCode::Enter);
    let entered = console.perform(&read[0]);
    let staged = update(&mut console.state, entered);
    // edit the next key before the plan arrives
    press(&mut console, KeyCode::Enter);
    press(&mut console, KeyCode::Backspace);
    let planned = console.perform(&staged[0]);
    console.act(planned);
    assert!(console.state.staged_plan.is_some());
}

#[test]
pub(crate) fn staged_value_is_shown_in_the_list() {
    let mut console = TestConsole::new(120, 36);
    console.keys("te");
    set(&mut console, "queue", "{ limit = 5, overflow = \"block\" }");
    assert_eq!((console.control.changes().len(), console.state.staged.len()), (0, 1));
    assert_eq!(console.state.row("detector").unwrap().budget.queue.overflow, Overflow::Block);
    assert!(console.text().contains("{ limit = 5, overflow = \"block\" }"), "{}", console.text());
    set(&mut console, "concurrency", "auto");
    set(&mut console, "concurrency", "2");
    console.key(KeyCode::Esc);
    console.key(KeyCode::Enter);
    let row = console.control.desired().row("detector").unwrap().budget.clone();
    assert_eq!((row.queue.limit, row.concurrency), (5, Auto::Exactly(2)));
    assert_eq!(console.control.changes().len(), 1);
}

#[test]
pub(crate) fn clicked_key_accepts_a_paste() {
    let mut console = TestConsole::new(120, 36);
    console.keys("e");
    let at =
        console.state.row_keys("detector").iter().position(|key| key.name == "memory").unwrap();
    let place = console.place(&Target::Item(at));
    console.mouse_with(MouseEventKind::Down(MouseButton::Left), place, KeyModifiers::NONE);
    console.act(Action::Paste("64MiB".into()));
    assert!(console.text().contains("memory 64MiB"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert_eq!(console.control.changes().len(), 1);
}

#[test]
pub(crate) fn too_long_value_is_reported() {
    let mut console = TestConsole::new(120, 36);
    let ranges: Vec<String> = (0..40).map(|at| format!("input{at} = {{ zeros = true }}")).collect();
    let table = format!("{{ {} }}", ranges.join(", "));
    assert!(table.len() > 900);
    console.keys("e");
    open_key(&mut console, "inputs");
    console.control_key('u');
    console.act(Action::Paste(table));
    console.key(KeyCode::Enter);
    assert_eq!(console.control.desired().row("detector").unwrap().budget.inputs.len(), 40);
    console.key(KeyCode::Esc);
    console.keys("a");
    console.act(Action::Paste("x".repeat(5000)));
    assert!(console.text().contains("904 characters were left out"), "{}", console.text());
    console.key(KeyCode::Esc);
    console.keys("S");
    console.act(Action::Paste("x".repeat(5000)));
    assert!(console.text().contains("characters were left out: there is room for 100"));
}

#[test]
pub(crate) fn dialogs_work_with_the_mouse() {
    let mut console = TestConsole::new(120, 36);
    console.keys("X");
    for answer in ['n', 'y'] {
        console.keys("X");
        let place = console.place(&Target::Press(KeyCode::Char(answer)));
        console.down(place);
        console.up(place);
        assert_eq!(console.state.dialog, None);
        assert_eq!(console.control.changes().len(), usize::from(answer == 'y'));
    }
    let selected = console.state.selected.clone();
    console.refresh();
    console.keys("e");
    let at = |console: &TestConsole| match &console.state.dialog {
        Some(Dialog::Row(editor)) => editor.at,
        other => panic!("{other:?}"),
    };
    let before = at(&console);
    console.mouse(MouseEventKind::ScrollDown, (60, 15));
    assert_eq!(at(&console), before + 1);
    let place = console.place(&Target::Press(KeyCode::Esc));
    console.down(place);
    assert_eq!(console.state.dialog, None);
    assert_ne!(console.state.selected, selected, "the model is gone, nothing else moved");
}

#[test]
pub(crate) fn model_is_added_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ocr.onnx");
    std::fs::write(&file, crate::engine::embedded::bytes("ranker.onnx").unwrap()).unwrap();
    let mut console = TestConsole::new(120, 36);
    console.keys("a");
    console.keys("/nowhere/at/all.onnx");
    console.key(KeyCode::Enter);
    assert!(console.text().contains("there is no file"), "{}", console.text());
    type_anew(&mut console, file.to_str().unwrap());
    assert!(console.text().contains("ocr-2 added with 1 core"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert_eq!(console.state.dialog, None);
    console.refresh();
    assert_eq!(console.control.layout().models.len(), 4);
    let added = CoreOwner::Model("ocr-2".into());
    assert_eq!(console.state.selected, added, "what was added is selected");
    console.keys("Xn");
    assert_eq!(console.control.layout().models.len(), 4);
    console.keys("X");
    assert!(console.text().contains("Remove ocr-2?"), "{}", console.text());
    console.keys("y");
    console.refresh();
    assert_eq!(console.control.layout().models.len(), 3);
    assert!(!console.state.rows().contains(&added));
}

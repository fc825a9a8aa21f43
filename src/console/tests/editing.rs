//! The dialogs that take a new value: every key of a row can be set, nothing is done before Enter,
//! and what is wrong is told where it is typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEventKind};

use super::testing::Desk;
use crate::console::state::{Action, Dialog, Effect, Target, update};
use crate::layout::{Auto, CoreOwner, Edit, LoadSpec, Overflow};
use crate::scheduler::Control;
use crate::telemetry::Author;

/// Goes to a key of the open list and opens it.
fn open_key(desk: &mut Desk, name: &str) {
    desk.key(KeyCode::Home);
    let at = desk.state.row_keys("detector").iter().position(|key| key.name == name);
    for _ in 0..at.unwrap_or_else(|| panic!("no key {name}")) {
        desk.key(KeyCode::Down);
    }
    desk.key(KeyCode::Enter);
}

fn type_anew(desk: &mut Desk, text: &str) {
    desk.control_key('u');
    desk.keys(text);
}

fn set(desk: &mut Desk, name: &str, text: &str) {
    open_key(desk, name);
    type_anew(desk, text);
    desk.key(KeyCode::Enter);
}

#[test]
fn every_key_of_a_row_can_be_set_and_taken_back() {
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
        let mut desk = Desk::new(120, 36);
        let before = desk.control.desired().row("detector").unwrap().budget.clone();
        desk.keys("e");
        set(&mut desk, name, text);
        let after = desk.control.desired().row("detector").unwrap().budget.clone();
        assert_eq!(after, before.with_key(name, text).unwrap(), "{name}: {}", desk.message());
        assert_ne!(after, before, "{name}");
        assert_eq!(desk.control.changes().len(), 1, "{name}");
        desk.key(KeyCode::Esc);
        desk.keys("u");
        assert_eq!(desk.control.desired().row("detector").unwrap().budget, before, "{name}");
    }
}

#[test]
fn the_load_is_changed_where_it_runs_and_removed_by_an_empty_value() {
    let mut desk = Desk::new(120, 36);
    desk.keys("e");
    set(&mut desk, "load", "{ kind = \"poisson\", rate = 7.5 }");
    let load = Some(LoadSpec::Poisson { rate: 7.5 });
    assert_eq!(desk.control.changes(), [Edit::SetLoad { model: "detector".into(), load }.into()]);
    set(&mut desk, "load", "");
    assert_eq!(desk.control.desired().row("detector").unwrap().budget.load, None);
}

#[test]
fn the_list_shows_values_as_a_file_writes_them_and_marks_the_defaults() {
    let mut desk = Desk::new(120, 36);
    desk.keys("e");
    let text = desk.text();
    let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("queue ").contains("{ limit = 64, overflow = \"reject\" }"), "{text}");
    assert!(line("slo ").contains("{ p99 = \"20ms\" }"), "{text}");
    assert!(line("spinning ").contains("\"auto\"   default"), "{text}");
    // the selected column is the chosen key
    let Some(Dialog::Row(editor)) = &desk.state.dialog else { panic!("{text}") };
    assert_eq!(desk.state.row_keys("detector")[editor.at].name, "cores");
}

#[test]
fn the_consequence_is_told_while_one_types_and_nothing_is_done_before_enter() {
    let mut desk = Desk::new(120, 36);
    desk.keys("e");
    open_key(&mut desk, "cores");
    type_anew(&mut desk, "2");
    assert!(desk.text().contains("detector 4 -> 2"), "{}", desk.text());
    desk.key(KeyCode::Esc);
    assert!(matches!(&desk.state.dialog, Some(Dialog::Row(editor)) if editor.prompt.is_none()));
    desk.key(KeyCode::Esc);
    assert_eq!(desk.state.dialog, None);
    assert_eq!(desk.control.changes(), []);
}

#[test]
fn what_is_wrong_is_told_in_place_and_the_field_stays() {
    let mut desk = Desk::new(120, 36);
    desk.keys("e");
    for (name, text, told) in [
        ("threads", "0", "1,024"),
        ("load", "{ kind = \"poisson\" }", "rate"),
        ("memory", "lots", "MiB"),
        ("cores", "9", "asks for 9 cores"),
    ] {
        set(&mut desk, name, text);
        assert!(desk.text().contains(told), "{name}: {}", desk.text());
        assert_eq!(desk.control.changes(), [], "{name}");
        desk.key(KeyCode::Esc);
    }
    open_key(&mut desk, "threads");
    desk.key(KeyCode::Enter);
    assert!(desk.message().contains("nothing was changed"), "{}", desk.message());
}

/// Presses a key whose effects are not carried out yet.
fn press(desk: &mut Desk, code: KeyCode) -> Vec<Effect> {
    update(&mut desk.state, Action::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[test]
fn enter_is_for_what_stood_there_and_not_for_what_was_typed_after_it() {
    let mut desk = Desk::new(120, 36);
    desk.keys("e");
    open_key(&mut desk, "concurrency");
    desk.control_key('u');
    let fast = [KeyCode::Char('1'), KeyCode::Enter, KeyCode::Char('0')];
    let late: Vec<Effect> = fast.iter().flat_map(|code| press(&mut desk, *code)).collect();
    for effect in &late {
        let answer = desk.perform(effect);
        desk.act(answer);
    }
    assert_eq!(desk.control.changes(), []);
    assert!(matches!(&desk.state.dialog, Some(Dialog::Row(editor)) if editor.prompt.is_some()));
    // moving in the text is no edit of it
    desk.control_key('u');
    let fast = [KeyCode::Char('3'), KeyCode::Enter, KeyCode::Left];
    let late: Vec<Effect> = fast.iter().flat_map(|code| press(&mut desk, *code)).collect();
    for effect in &late {
        let answer = desk.perform(effect);
        desk.act(answer);
    }
    let concurrency = Auto::Exactly(3);
    let edit = Edit::SetConcurrency { model: "detector".into(), concurrency };
    assert_eq!(desk.control.changes(), [edit.into()]);
}

#[test]
fn a_row_that_moved_on_meanwhile_is_not_written_over() {
    let change = |desk: &Desk| {
        let threads = Edit::SetThreads { model: "detector".into(), threads: Auto::Exactly(3) };
        desk.control.apply(threads.into(), Author::Api).unwrap();
    };
    let threads = |desk: &Desk| desk.control.desired().row("detector").unwrap().budget.threads;
    // live: between the answer and what comes of it
    let mut desk = Desk::new(120, 36);
    desk.keys("e");
    open_key(&mut desk, "dims");
    type_anew(&mut desk, "{ batch = 2 }");
    let read = press(&mut desk, KeyCode::Enter);
    let answer = desk.perform(&read[0]);
    change(&desk);
    desk.act(answer);
    assert!(desk.message().contains("its row has changed"), "{}", desk.message());
    assert_eq!((threads(&desk), desk.control.changes().len()), (Auto::Exactly(3), 1));
    // staged: while it waits
    let mut desk = Desk::new(120, 36);
    desk.keys("te");
    set(&mut desk, "dims", "{ batch = 2 }");
    set(&mut desk, "dims", "{ batch = 4 }");
    assert_eq!(desk.state.staged.len(), 2);
    desk.key(KeyCode::Esc);
    change(&desk);
    desk.key(KeyCode::Enter);
    assert!(desk.message().contains("its row has changed"), "{}", desk.message());
    assert_eq!((threads(&desk), desk.control.changes().len()), (Auto::Exactly(3), 1));
}

#[test]
fn what_is_staged_is_shown_also_when_something_was_typed_before_its_answer_came() {
    let mut desk = Desk::new(120, 36);
    desk.keys("te");
    open_key(&mut desk, "threads");
    type_anew(&mut desk, "3");
    let read = press(&mut desk, KeyCode::Enter);
    let entered = desk.perform(&read[0]);
    let staged = update(&mut desk.state, entered);
    // the next key is opened and typed into while the plan is being made
    press(&mut desk, KeyCode::Enter);
    press(&mut desk, KeyCode::Backspace);
    let planned = desk.perform(&staged[0]);
    desk.act(planned);
    assert!(desk.state.staged_plan.is_some());
}

#[test]
fn in_staged_mode_a_value_is_staged_and_shown_in_the_list() {
    let mut desk = Desk::new(120, 36);
    desk.keys("te");
    set(&mut desk, "queue", "{ limit = 5, overflow = \"block\" }");
    assert_eq!((desk.control.changes().len(), desk.state.staged.len()), (0, 1));
    assert_eq!(desk.state.row("detector").unwrap().budget.queue.overflow, Overflow::Block);
    assert!(desk.text().contains("{ limit = 5, overflow = \"block\" }"), "{}", desk.text());
    set(&mut desk, "concurrency", "auto");
    set(&mut desk, "concurrency", "2");
    desk.key(KeyCode::Esc);
    desk.key(KeyCode::Enter);
    let row = desk.control.desired().row("detector").unwrap().budget.clone();
    assert_eq!((row.queue.limit, row.concurrency), (5, Auto::Exactly(2)));
    assert_eq!(desk.control.changes().len(), 1);
}

#[test]
fn a_key_is_opened_by_a_click_and_takes_a_paste() {
    let mut desk = Desk::new(120, 36);
    desk.keys("e");
    let at = desk.state.row_keys("detector").iter().position(|key| key.name == "memory").unwrap();
    let place = desk.place(&Target::Item(at));
    desk.mouse_with(MouseEventKind::Down(MouseButton::Left), place, KeyModifiers::NONE);
    desk.act(Action::Paste("64MiB".into()));
    assert!(desk.text().contains("memory 64MiB"), "{}", desk.text());
    desk.key(KeyCode::Enter);
    assert_eq!(desk.control.changes().len(), 1);
}

#[test]
fn a_long_value_is_taken_whole_and_what_is_too_long_is_said() {
    let mut desk = Desk::new(120, 36);
    let ranges: Vec<String> = (0..40).map(|at| format!("input{at} = {{ zeros = true }}")).collect();
    let table = format!("{{ {} }}", ranges.join(", "));
    assert!(table.len() > 900);
    desk.keys("e");
    open_key(&mut desk, "inputs");
    desk.control_key('u');
    desk.act(Action::Paste(table));
    desk.key(KeyCode::Enter);
    assert_eq!(desk.control.desired().row("detector").unwrap().budget.inputs.len(), 40);
    desk.key(KeyCode::Esc);
    desk.keys("a");
    desk.act(Action::Paste("x".repeat(5000)));
    assert!(desk.text().contains("904 characters were left out"), "{}", desk.text());
    desk.key(KeyCode::Esc);
    desk.keys("S");
    desk.act(Action::Paste("x".repeat(5000)));
    assert!(desk.text().contains("characters were left out: there is room for 200"));
}

#[test]
fn a_dialog_is_answered_by_clicks_and_scrolled_by_the_wheel() {
    let mut desk = Desk::new(120, 36);
    desk.keys("X");
    for answer in ['n', 'y'] {
        desk.keys("X");
        let place = desk.place(&Target::Press(KeyCode::Char(answer)));
        desk.down(place);
        desk.up(place);
        assert_eq!(desk.state.dialog, None);
        assert_eq!(desk.control.changes().len(), usize::from(answer == 'y'));
    }
    let selected = desk.state.selected.clone();
    desk.refresh();
    desk.keys("e");
    let at = |desk: &Desk| match &desk.state.dialog {
        Some(Dialog::Row(editor)) => editor.at,
        other => panic!("{other:?}"),
    };
    let before = at(&desk);
    desk.mouse(MouseEventKind::ScrollDown, (60, 15));
    assert_eq!(at(&desk), before + 1);
    let place = desk.place(&Target::Press(KeyCode::Esc));
    desk.down(place);
    assert_eq!(desk.state.dialog, None);
    assert_ne!(desk.state.selected, selected, "the model is gone, nothing else moved");
}

#[test]
fn a_model_is_added_by_its_path_and_removed_after_a_question() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ocr.onnx");
    std::fs::write(&file, "").unwrap();
    let mut desk = Desk::new(120, 36);
    desk.keys("a");
    desk.keys("/nowhere/at/all.onnx");
    desk.key(KeyCode::Enter);
    assert!(desk.text().contains("there is no file"), "{}", desk.text());
    type_anew(&mut desk, file.to_str().unwrap());
    assert!(desk.text().contains("ocr-2 added with 1 core"), "{}", desk.text());
    desk.key(KeyCode::Enter);
    assert_eq!(desk.state.dialog, None);
    desk.refresh();
    assert_eq!(desk.control.layout().models.len(), 4);
    let added = CoreOwner::Model("ocr-2".into());
    assert_eq!(desk.state.selected, added, "what was added is selected");
    desk.keys("Xn");
    assert_eq!(desk.control.layout().models.len(), 4);
    desk.keys("X");
    assert!(desk.text().contains("Remove ocr-2?"), "{}", desk.text());
    desk.keys("y");
    desk.refresh();
    assert_eq!(desk.control.layout().models.len(), 3);
    assert!(!desk.state.rows().contains(&added));
}

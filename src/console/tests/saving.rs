//! Tests of the live layout's name and of the file that a save writes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, Effect, LayoutList, Screen, Target};
use crate::layout::{CoreRequest, Layout};
use crate::scheduler::Control;
use crate::telemetry::{Author, VerdictStatus};

/// Returns a layout that differs from the console's first one.
pub(super) fn other() -> Layout {
    let mut layout = fixtures::layout();
    layout.models.truncate(2);
    layout.models[0].cores = CoreRequest::Count(3);
    layout.models[1].cores = CoreRequest::Count(1);
    layout
}

/// Returns a console with "balanced" live and saved, and a second saved layout "alt".
pub(super) fn console() -> TestConsole {
    let mut console = TestConsole::new(120, 36);
    console.keys("s");
    console.profiles.put("alt", &other());
    console.refresh();
    console
}

pub(super) fn load(console: &mut TestConsole, name: &str) {
    console.keys("o");
    let at = console.state.layouts.known().iter().position(|profile| profile.name == name).unwrap();
    console.key(KeyCode::Home);
    for _ in 0..at {
        console.keys("j");
    }
    console.key(KeyCode::Enter);
    console.refresh();
    console.keys("b");
}

fn head(console: &TestConsole) -> String {
    console.text().lines().next().unwrap_or_default().to_owned()
}

#[test]
pub(crate) fn undone_load_restores_the_layout_name() {
    let mut console = console();
    let (before, alt) = (console.control.layout(), console.profiles.load("alt").unwrap());
    load(&mut console, "alt");
    assert!(head(&console).contains("alt") && !console.state.modified(), "{}", head(&console));
    console.keys("u");
    assert!(console.message().contains("the layout is balanced again"), "{}", console.message());
    // before and after the next snapshot
    assert!(!console.state.modified());
    console.refresh();
    assert_eq!(console.state.profile_name(), "balanced");
    assert!(!console.state.modified());
    console.keys("s");
    assert_eq!(console.profiles.load("alt").unwrap(), alt, "its file is as it was");
    assert_eq!(console.profiles.load("balanced").unwrap(), before);
    console.control_key('r');
    console.refresh();
    assert_eq!((console.state.profile_name(), console.state.modified()), ("alt", false));
    console.keys("+");
    console.refresh();
    assert!(console.state.modified());
}

#[test]
pub(crate) fn undone_load_restores_unsaved_changes() {
    let mut console = console();
    console.keys("+");
    console.refresh();
    assert!(console.state.modified());
    load(&mut console, "alt");
    console.keys("+");
    console.refresh();
    console.keys("uu");
    console.refresh();
    assert_eq!((console.state.profile_name(), console.state.modified()), ("balanced", true));
    console.keys("u");
    console.refresh();
    assert_eq!((console.state.profile_name(), console.state.modified()), ("balanced", false));
}

#[test]
pub(crate) fn undo_does_not_restore_a_renamed_layout() {
    let mut console = console();
    load(&mut console, "alt");
    console.keys("o");
    console.key(KeyCode::Home);
    let balanced = |console: &TestConsole| {
        let known = console.state.layouts.known();
        known.iter().position(|profile| profile.name == "balanced").unwrap()
    };
    for _ in 0..balanced(&console) {
        console.keys("j");
    }
    console.keys("r");
    console.control_key('u');
    console.keys("night");
    console.key(KeyCode::Enter);
    console.keys("bu");
    console.refresh();
    assert_eq!((console.state.profile_name(), console.state.modified()), ("night", false));
}

#[test]
pub(crate) fn deleted_layout_file_makes_quit_ask() {
    let mut console = console();
    load(&mut console, "alt");
    assert!(!console.state.modified());
    console.keys("o");
    console.key(KeyCode::Delete);
    console.keys("y");
    console.refresh();
    assert!(console.message().contains("saved nowhere"), "{}", console.message());
    assert!(console.state.modified());
    assert_eq!(console.state.profile, None);
    console.keys("bs");
    assert!(console.text().contains("Save the live layout as"), "{}", console.text());
    console.key(KeyCode::Esc);
    console.keys("R");
    assert!(console.message().contains("saved nowhere yet"), "{}", console.message());
    console.keys("q");
    assert!(console.left.is_empty(), "{:?}", console.left);
    assert!(console.text().contains("Question"), "{}", console.text());
}

#[test]
pub(crate) fn automatic_undo_restores_the_layout_name() {
    let mut console = console();
    load(&mut console, "alt");
    let mut entry = fixtures::entry(7, VerdictStatus::Open, 750);
    (entry.author, entry.undoes) = (Author::Scheduler, Some(1));
    let mut snapshot = (*console.state.snapshot).clone();
    snapshot.changes.push(entry.into());
    console.show(snapshot.clone());
    assert_eq!(console.state.profile_name(), "balanced");
    // the same entry again changes nothing
    snapshot.uptime_us += 1;
    console.show(snapshot);
    assert_eq!(console.state.profile_name(), "balanced");
}

#[test]
pub(crate) fn store_learns_of_each_layout_switch() {
    let mut console = console();
    load(&mut console, "alt");
    console.keys("u+S");
    console.control_key('u');
    console.keys("night");
    console.key(KeyCode::Enter);
    console.keys("s");
    let names: Vec<String> = console.profiles.told().into_iter().flatten().collect();
    assert_eq!(names, ["balanced", "alt", "balanced", "night", "night"]);
}

#[test]
pub(crate) fn unmodified_before_the_first_snapshot() {
    use crate::console::state::{Action, ConsoleState, update};
    let mut state = ConsoleState::new(&crate::console::ConsoleOptions::default());
    update(&mut state, Action::Baseline(fixtures::layout()));
    assert!(!state.modified());
}

#[test]
pub(crate) fn quit_asks_about_staged_changes() {
    let staged = || {
        let mut console = console();
        console.keys("tl+q");
        assert!(console.text().contains("1 staged change is not applied."), "{}", console.text());
        console
    };
    let mut console = staged();
    console.keys("s");
    assert!(console.text().contains("staged change is not applied"), "no save is offered");
    console.key(KeyCode::Enter);
    assert_eq!((console.control.changes().len(), &console.left[..]), (1, &[Effect::Quit][..]));
    let mut console = staged();
    console.keys("d");
    assert_eq!((console.control.changes().len(), &console.left[..]), (0, &[Effect::Quit][..]));
}

#[test]
pub(crate) fn save_on_quit_asks_for_a_missing_name() {
    let mut console = console();
    console.state.profile = None;
    console.keys("+qs");
    assert!(console.text().contains("Save the live layout as"), "{}", console.text());
    console.key(KeyCode::Esc);
    console.keys("S");
    console.keys("night");
    console.key(KeyCode::Enter);
    assert_eq!(console.left, [], "saved, and stays");
    console.state.profile = None;
    console.keys("+qs");
    console.keys("alt");
    console.key(KeyCode::Enter);
    assert!(console.text().contains("alt exists"), "{}", console.text());
    console.keys("y");
    assert_eq!(console.left, [Effect::Quit]);
}

#[test]
pub(crate) fn questions_fit_the_smallest_screen() {
    let name = "a-name-that-is-rather-long";
    for width in [40, 60, 120] {
        let mut console = TestConsole::new(width, 12);
        console.state.profile = Some(name.into());
        console.keys("+q");
        let text = console.text();
        let boxed: String = text.lines().filter(|line| line.contains('│')).collect();
        for word in
            ["has", "unsaved", "changes.", "s save and leave", "d leave without saving", "n stay"]
        {
            assert!(boxed.contains(word), "{word} at {width}:\n{text}");
        }
        console.place(&Target::Press(KeyCode::Char('n')));
        console.keys("n");
        console.keys("X");
        let text = console.text();
        assert!(text.contains("y yes   n no") && text.contains('?'), "{text}");
        assert!(text.contains("it."), "to its last word: {text}");
        console.keys("n");
        console.keys("S");
        console.control_key('u');
        console.keys("a/b");
        console.key(KeyCode::Enter);
        let text = console.text();
        assert!(text.contains("slash"), "{text}");
    }
}

#[test]
pub(crate) fn palette_columns_do_not_touch() {
    for width in [40, 90] {
        let mut console = TestConsole::new(width, 60);
        console.keys(":page");
        let text = console.text();
        assert!(text.contains("pagedown "), "{text}");
    }
}

#[test]
pub(crate) fn quit_asks_only_if_changes_would_be_lost() {
    let mut console = TestConsole::new(120, 36);
    console.keys("q");
    assert_eq!(console.left, [Effect::Quit]);
    let mut console = TestConsole::new(120, 36);
    console.keys("+q");
    assert_eq!(console.left, []);
    assert!(console.text().contains("leave without saving"), "{}", console.text());
    console.keys("nq");
    console.keys("d");
    assert_eq!(console.left, [Effect::Quit]);
    let mut console = TestConsole::new(120, 36);
    console.keys("+qs");
    assert_eq!(console.left, [Effect::Quit], "saved first");
    assert!(console.profiles.load("balanced").is_ok());
}

/// Every key of a usual keyboard, with and without ctrl.
fn all_keys() -> Vec<KeyEvent> {
    let codes = (' '..='~').map(KeyCode::Char).chain([
        KeyCode::Enter,
        KeyCode::Tab,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::Up,
        KeyCode::PageDown,
        KeyCode::F(1),
    ]);
    let modifiers = [KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT];
    codes.flat_map(|code| modifiers.map(|modifiers| KeyEvent::new(code, modifiers))).collect()
}

/// Presses every key but the plain `answers` at a question and expects no effect.
pub(super) fn assert_only_answers(console: &mut TestConsole, answers: &[KeyCode]) {
    let (dialog, changes) = (console.state.dialog.clone(), console.control.changes().len());
    assert!(dialog.is_some());
    for key in all_keys() {
        let suspends = key == KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
        if suspends || key.modifiers == KeyModifiers::NONE && answers.contains(&key.code) {
            continue;
        }
        console.act(Action::Key(key));
        assert_eq!(console.state.dialog, dialog, "{key:?}");
        assert_eq!((&console.left[..], console.control.changes().len()), (&[][..], changes));
    }
}

#[test]
pub(crate) fn quit_question_takes_only_shown_keys() {
    let mut console = TestConsole::new(120, 36);
    console.keys("+q");
    assert_only_answers(&mut console, &['s', 'd', 'n'].map(KeyCode::Char));
    let mut console = TestConsole::new(120, 36);
    console.keys("t+q");
    assert_only_answers(&mut console, &[KeyCode::Enter, KeyCode::Char('d'), KeyCode::Char('n')]);
}

#[test]
pub(crate) fn other_questions_take_only_shown_keys() {
    let answers = ['y', 'n'].map(KeyCode::Char);
    for keys in ["X", "+R"] {
        let mut console = TestConsole::new(120, 36);
        console.keys(keys);
        assert_only_answers(&mut console, &answers);
    }
    let mut console = console();
    console.keys("o");
    console.key(KeyCode::Delete);
    assert_only_answers(&mut console, &answers);
}

#[test]
pub(crate) fn layout_list_commands_work() {
    let mut console = TestConsole::new(120, 36);
    console.keys("s+");
    assert!(console.state.modified());
    console.keys("S");
    console.control_key('u');
    console.keys("night");
    console.key(KeyCode::Enter);
    assert_eq!(console.state.profile.as_deref(), Some("night"));
    assert!(!console.state.modified());
    console.keys("o");
    assert_eq!(console.state.screen, Screen::Layouts);
    console.key(KeyCode::Home);
    assert!(console.text().contains("cores 0-3,7 → 0-3"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert_eq!(console.state.profile.as_deref(), Some("balanced"));
    assert_eq!(console.control.desired().row("detector").unwrap().cores.len(), 4);
    assert!(!console.state.modified());
    console.keys("r");
    console.control_key('u');
    console.keys("day");
    console.key(KeyCode::Enter);
    assert_eq!(console.state.profile.as_deref(), Some("day"));
    console.key(KeyCode::Delete);
    console.keys("n");
    assert_eq!(console.state.layouts.known().len(), 2);
    console.key(KeyCode::Delete);
    console.keys("y");
    assert_eq!(console.state.layouts.known().len(), 1);
}

#[test]
pub(crate) fn applying_live_layout_changes_only_the_name() {
    let mut console = TestConsole::new(120, 36);
    console.profiles.put("other", &console.control.layout());
    console.keys("o");
    assert!(
        console.text().contains("No changes: the live layout is the same"),
        "{}",
        console.text()
    );
    console.key(KeyCode::Enter);
    assert!(console.message().starts_with("other is in force"), "{}", console.message());
    assert_eq!(console.state.profile.as_deref(), Some("other"));
    assert!(!console.state.modified());
    assert_eq!(console.control.changes(), []);
}

#[test]
pub(crate) fn revert_asks_then_restores_the_layout() {
    let mut console = TestConsole::new(120, 36);
    let before = console.control.layout();
    console.keys("+lllll+R");
    assert_ne!(console.control.layout(), before);
    console.keys("y");
    assert_eq!(console.control.layout(), before);
    assert!(!console.state.modified());
}

#[test]
pub(crate) fn last_used_layout_is_listed_first() {
    let mut console = TestConsole::new(120, 36);
    for name in ["day", "night", "balanced"] {
        console.profiles.put(name, &fixtures::layout());
    }
    console.state.layouts = LayoutList::new(Some("night".into()));
    console.keys("o");
    let names: Vec<&str> =
        console.state.layouts.known().iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["night", "day", "balanced"]);
    assert_eq!(console.state.layouts.at, 2, "the one in force is selected");
    let text = console.text();
    assert!(text.lines().any(|line| line.contains("night   used last")), "{text}");
    assert_eq!(text.matches("used last").count(), 1);
}

/// Returns a console with a layout that no file has, and saved layouts "demo" and "models".
fn unsaved(name: &str) -> TestConsole {
    let mut console = console();
    for saved in ["demo", "models"] {
        console.profiles.put(saved, &other());
    }
    console.state.profile = Some(name.into());
    console
}

#[test]
pub(crate) fn first_save_proposes_a_free_name() {
    for (name, free) in [("demo", "demo-2"), ("models", "models-2"), ("night shift", "night-shift")]
    {
        let mut console = unsaved(name);
        console.keys("s");
        assert!(console.text().contains("Save the live layout as"), "{}", console.text());
        console.key(KeyCode::Enter);
        assert_eq!(console.state.profile.as_deref(), Some(free));
        assert_eq!(console.profiles.load(free).unwrap(), console.control.layout());
        if name != "night shift" {
            assert_eq!(console.profiles.load(name).unwrap(), other());
        }
    }
}

#[test]
pub(crate) fn save_over_an_unopened_layout_asks() {
    let mut console = unsaved("models");
    console.keys("S");
    console.control_key('u');
    console.keys("models");
    console.key(KeyCode::Enter);
    assert!(console.text().contains("models exists"), "{}", console.text());
    console.keys("n");
    assert_eq!(console.profiles.load("models").unwrap(), other());
}

#[test]
pub(crate) fn name_taken_meanwhile_asks() {
    let mut console = unsaved("models");
    console.keys("S");
    console.control_key('u');
    console.keys("night");
    // the list does not have it yet
    console.profiles.put("night", &other());
    console.key(KeyCode::Enter);
    assert!(console.text().contains("night exists"), "{}", console.text());
    assert_eq!(console.profiles.load("night").unwrap(), other());
    console.keys("y");
    assert_eq!(console.profiles.load("night").unwrap(), console.control.layout());
}

#[test]
pub(crate) fn built_in_layout_is_not_overwritten() {
    let mut console = unsaved("models");
    console.keys("S");
    console.control_key('u');
    console.keys("demo");
    console.key(KeyCode::Enter);
    assert!(console.text().contains("choose another name"), "{}", console.text());
    assert_eq!(console.profiles.load("demo").unwrap(), other());
}

/// The report of a file with faults.
const FAULTS: &str = "/l/night.toml:3:9: `x` is not a number of cores\n  3 | cores = x\n    |         \
     ^\nhelp: write a number\n/l/night.toml:4:1: unknown key `bores`";

#[test]
pub(crate) fn error_of_a_listed_layout_keeps_its_lines() {
    let mut console = console();
    console.keys("o");
    console.state.layouts.preview = Some(Err(FAULTS.into()));
    console.draw();
    let text = console.text();
    for line in FAULTS.lines() {
        let shown = text.lines().any(|row| row.contains(&format!("│ {line}")));
        assert!(shown, "{line}:\n{text}");
    }
}

#[test]
pub(crate) fn error_of_several_lines_is_a_pane() {
    let mut console = TestConsole::new(80, 24);
    let result = Box::new(Err(FAULTS.to_owned()));
    console.act(Action::Loaded { name: "night".into(), result });
    let text = console.text();
    assert!(text.contains("Message") && text.contains("night was not applied"), "{text}");
    for line in FAULTS.lines().skip(1) {
        assert!(text.lines().any(|row| row.contains(&format!("│ {line}"))), "{line}:\n{text}");
    }
    console.keys("q");
    assert_eq!(console.left, []);
    console.key(KeyCode::Esc);
    assert!(console.state.dialog.is_none());
}

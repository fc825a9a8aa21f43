//! Tests of saving into a file that another program has changed.

use crossterm::event::KeyCode;

use super::saving::{assert_only_answers, console, load, other};
use super::testing::TestConsole;
use crate::console::state::{Effect, SaveTarget};
use crate::layout::{CoreRequest, Layout};
use crate::scheduler::Control;

/// Returns a console that loaded "alt", whose file another program has changed since, and that has
/// changes of its own.
fn changed_outside(outside: impl FnOnce(&mut Layout)) -> TestConsole {
    let mut console = console();
    load(&mut console, "alt");
    let mut layout = other();
    outside(&mut layout);
    console.profiles.put("alt", &layout);
    console.keys("1+");
    console.refresh();
    console.keys("s");
    console
}

#[test]
pub(crate) fn save_shows_changes_of_both_sides() {
    let console = changed_outside(|layout| layout.models[1].queue.limit = 9);
    let text = console.text();
    for line in [
        "alt was changed by another program",
        "In the file, since it was loaded here:",
        "ocr: queue limit 64 -> 9",
        "Here, not saved:",
        "detector: cores 3 -> 4",
        "m merge both   w write over the file   a save under another name",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    assert_eq!(console.profiles.load("alt").unwrap().models[1].queue.limit, 9);
}

#[test]
pub(crate) fn merge_saves_changes_of_both_sides() {
    let mut console = changed_outside(|layout| layout.models[1].queue.limit = 9);
    console.keys("m");
    console.refresh();
    let saved = console.profiles.load("alt").unwrap();
    assert_eq!(saved, console.control.layout());
    assert_eq!(saved.models[0].cores, CoreRequest::Count(4));
    assert_eq!(saved.models[1].queue.limit, 9);
    assert!(console.message().contains("merged with the changes of the file"));
    assert!(!console.state.modified());
    // the merge is a change like any other
    console.keys("u");
    console.refresh();
    assert_eq!(console.control.layout().models[1].queue.limit, 64);
    assert_eq!((console.state.profile_name(), console.state.modified()), ("alt", true));
}

#[test]
pub(crate) fn write_over_replaces_the_compared_file() {
    let mut console = changed_outside(|layout| layout.models[1].queue.limit = 9);
    console.keys("w");
    assert_eq!(console.profiles.load("alt").unwrap(), console.control.layout());
    assert!(!console.state.modified());
    console.keys("1+");
    console.refresh();
    console.keys("s");
    assert!(console.message().contains("alt saved to"), "{}", console.message());
}

#[test]
pub(crate) fn file_changed_again_is_compared_again() {
    for answer in ["m", "w"] {
        let mut console = changed_outside(|layout| layout.models[1].queue.limit = 9);
        let again = Layout { description: "changed again".into(), ..other() };
        console.profiles.put("alt", &again);
        console.keys(answer);
        assert_eq!(console.profiles.load("alt").unwrap(), again);
        assert!(console.text().contains("changed again"), "{answer}: {}", console.text());
    }
}

#[test]
pub(crate) fn changed_file_stays_under_another_name() {
    let mut console = changed_outside(|layout| layout.models[1].queue.limit = 9);
    console.keys("a");
    assert!(console.text().contains("alt-2"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert_eq!(console.state.profile.as_deref(), Some("alt-2"));
    assert_eq!(console.profiles.load("alt-2").unwrap(), console.control.layout());
    assert_eq!(console.profiles.load("alt").unwrap().models[1].queue.limit, 9);
}

#[test]
pub(crate) fn conflict_offers_no_merge() {
    let mut console = changed_outside(|layout| layout.models[0].cores = CoreRequest::Count(2));
    let text = console.text();
    assert!(text.contains("detector: cores 3 -> 2 in the file, 3 -> 4 here"), "{text}");
    assert!(!text.contains("merge both"), "{text}");
    let (dialog, layout) = (console.state.dialog.clone(), console.control.layout());
    console.keys("m");
    assert_eq!((&console.state.dialog, console.control.layout()), (&dialog, layout));
    assert_only_answers(&mut console, &['w', 'a'].map(KeyCode::Char));
}

#[test]
pub(crate) fn same_change_outside_asks_nothing() {
    let console = changed_outside(|layout| layout.models[0].cores = CoreRequest::Count(4));
    assert!(console.message().contains("alt saved to"), "{}", console.message());
}

#[test]
pub(crate) fn quit_after_a_changed_file_saves_merged() {
    let mut console = changed_outside(|layout| layout.models[1].queue.limit = 9);
    console.key(KeyCode::Esc);
    console.keys("qs");
    assert_eq!(console.left, []);
    console.keys("m");
    assert_eq!(console.left, [Effect::Quit]);
    assert_eq!(console.profiles.load("alt").unwrap().models[1].queue.limit, 9);
}

#[test]
pub(crate) fn late_comparison_leaves_a_dialog_open() {
    let mut console = changed_outside(|layout| layout.models[1].queue.limit = 9);
    console.key(KeyCode::Esc);
    let name = "alt".to_owned();
    let late = console.perform(&Effect::SaveProfile { name, target: SaveTarget::Opened });
    console.keys("e");
    let dialog = console.state.dialog.clone();
    console.act(late);
    assert_eq!(console.state.dialog, dialog);
    assert!(console.message().contains("s shows the differences"), "{}", console.message());
}

#[test]
pub(crate) fn refused_load_keeps_the_known_revision() {
    let mut console = console();
    load(&mut console, "alt");
    let mut outside = other();
    outside.models[0].cores = CoreRequest::List("0-99".parse().unwrap());
    console.profiles.put("alt", &outside);
    console.keys("o");
    console.key(KeyCode::Enter);
    assert!(console.message().contains("not applied"), "{}", console.message());
    console.keys("b1+");
    console.refresh();
    console.keys("s");
    assert_eq!(console.profiles.load("alt").unwrap(), outside);
}

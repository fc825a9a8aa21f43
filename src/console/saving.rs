//! Which saved layout the screen says is in force, and into whose file a save goes.

use crossterm::event::KeyCode;

use super::Profiles;
use super::fixtures;
use super::testing::Desk;
use crate::layout::{CoreRequest, Layout};
use crate::scheduler::Control;

/// Another layout than the one that the desk begins with.
fn other() -> Layout {
    let mut layout = fixtures::layout();
    layout.models.truncate(2);
    layout.models[0].cores = CoreRequest::Count(3);
    layout.models[1].cores = CoreRequest::Count(1);
    layout
}

/// A desk with "balanced" in force as it was saved, and "alt" saved beside it.
fn desk() -> Desk {
    let mut desk = Desk::new(120, 36);
    desk.keys("s");
    desk.profiles.save("alt", &other()).unwrap();
    desk.refresh();
    desk
}

fn load(desk: &mut Desk, name: &str) {
    desk.keys("o");
    let at = desk.state.layouts.known().iter().position(|profile| profile.name == name).unwrap();
    desk.key(KeyCode::Home);
    for _ in 0..at {
        desk.keys("j");
    }
    desk.key(KeyCode::Enter);
    desk.refresh();
    desk.keys("b");
}

fn head(desk: &Desk) -> String {
    desk.text().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn undoing_a_load_gives_the_rows_back_to_the_layout_that_they_were() {
    let mut desk = desk();
    let (before, alt) = (desk.control.layout(), desk.profiles.load("alt").unwrap());
    load(&mut desk, "alt");
    assert!(head(&desk).contains("alt") && !desk.state.modified(), "{}", head(&desk));
    desk.keys("u");
    assert!(desk.message().contains("the layout is balanced again"), "{}", desk.message());
    // before and after the next figures
    assert!(!desk.state.modified());
    desk.refresh();
    assert_eq!(desk.state.profile_name(), "balanced");
    assert!(!desk.state.modified());
    desk.keys("s");
    assert_eq!(desk.profiles.load("alt").unwrap(), alt, "its file is as it was");
    assert_eq!(desk.profiles.load("balanced").unwrap(), before);
    desk.control_key('r');
    desk.refresh();
    assert_eq!((desk.state.profile_name(), desk.state.modified()), ("alt", false));
    desk.keys("+");
    desk.refresh();
    assert!(desk.state.modified());
}

#[test]
fn what_was_changed_before_a_load_is_changed_again_after_its_undo() {
    let mut desk = desk();
    desk.keys("+");
    desk.refresh();
    assert!(desk.state.modified());
    load(&mut desk, "alt");
    desk.keys("+");
    desk.refresh();
    desk.keys("uu");
    desk.refresh();
    assert_eq!((desk.state.profile_name(), desk.state.modified()), ("balanced", true));
    desk.keys("u");
    desk.refresh();
    assert_eq!((desk.state.profile_name(), desk.state.modified()), ("balanced", false));
}

#[test]
fn a_layout_that_was_renamed_or_deleted_is_not_gone_back_to_under_its_old_name() {
    let mut desk = desk();
    load(&mut desk, "alt");
    desk.keys("o");
    desk.key(KeyCode::Home);
    let balanced = |desk: &Desk| {
        let known = desk.state.layouts.known();
        known.iter().position(|profile| profile.name == "balanced").unwrap()
    };
    for _ in 0..balanced(&desk) {
        desk.keys("j");
    }
    desk.keys("r");
    desk.control_key('u');
    desk.keys("night");
    desk.key(KeyCode::Enter);
    desk.keys("bu");
    desk.refresh();
    assert_eq!((desk.state.profile_name(), desk.state.modified()), ("night", false));
}

#[test]
fn rows_whose_file_was_deleted_are_saved_nowhere_and_leaving_asks() {
    let mut desk = desk();
    load(&mut desk, "alt");
    assert!(!desk.state.modified());
    desk.keys("o");
    desk.key(KeyCode::Delete);
    desk.keys("y");
    desk.refresh();
    assert!(desk.message().contains("saved nowhere"), "{}", desk.message());
    assert!(desk.state.modified());
    assert_eq!(desk.state.profile, None);
    desk.keys("bs");
    assert!(desk.text().contains("Save the live layout as"), "{}", desk.text());
    desk.key(KeyCode::Esc);
    desk.keys("R");
    assert!(desk.message().contains("saved nowhere yet"), "{}", desk.message());
    desk.keys("q");
    assert!(desk.left.is_empty(), "{:?}", desk.left);
    assert!(desk.text().contains("Question"), "{}", desk.text());
}

#[test]
fn each_way_to_another_layout_is_told_to_the_store() {
    let mut desk = desk();
    load(&mut desk, "alt");
    desk.keys("u+S");
    desk.control_key('u');
    desk.keys("night");
    desk.key(KeyCode::Enter);
    desk.keys("s");
    let told: Vec<String> = desk.profiles.told().into_iter().flatten().collect();
    assert_eq!(told, ["balanced", "alt", "balanced", "night", "night"]);
}

#[test]
fn nothing_is_called_modified_before_the_first_figures() {
    use super::state::{Action, ConsoleState, update};
    let mut state = ConsoleState::new(&super::ConsoleOptions::default());
    update(&mut state, Action::Baseline(fixtures::layout()));
    assert!(!state.modified());
}

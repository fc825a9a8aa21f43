//! Which saved layout the screen says is in force, and into whose file a save goes.

use crossterm::event::KeyCode;

use super::fixtures;
use super::testing::Desk;
use crate::console::Profiles;
use crate::console::state::{Effect, LayoutList, Screen, Target};
use crate::layout::{CoreRequest, Layout};
use crate::scheduler::Control;
use crate::telemetry::{Author, VerdictStatus};

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
fn a_load_that_divvy_takes_back_by_itself_gives_the_rows_back_too() {
    let mut desk = desk();
    load(&mut desk, "alt");
    let mut entry = fixtures::entry(7, VerdictStatus::Open, 750);
    (entry.author, entry.undoes) = (Author::Scheduler, Some(1));
    let mut snapshot = (*desk.state.snapshot).clone();
    snapshot.changes.push(entry);
    desk.show(snapshot.clone());
    assert_eq!(desk.state.profile_name(), "balanced");
    // the same entry again is no other one
    snapshot.uptime_us += 1;
    desk.show(snapshot);
    assert_eq!(desk.state.profile_name(), "balanced");
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
    use crate::console::state::{Action, ConsoleState, update};
    let mut state = ConsoleState::new(&crate::console::ConsoleOptions::default());
    update(&mut state, Action::Baseline(fixtures::layout()));
    assert!(!state.modified());
}

#[test]
fn what_is_staged_is_applied_or_left_before_leaving() {
    let staged = || {
        let mut desk = desk();
        desk.keys("tl+q");
        assert!(desk.text().contains("1 staged change was not applied."), "{}", desk.text());
        desk
    };
    let mut desk = staged();
    desk.keys("s");
    assert!(desk.text().contains("staged change was not applied"), "no save is offered");
    desk.key(KeyCode::Enter);
    assert_eq!((desk.control.changes().len(), desk.left.len()), (1, 0));
    assert!(desk.state.dialog.is_none());
    let mut desk = staged();
    desk.keys("q");
    assert_eq!((desk.control.changes().len(), &desk.left[..]), (0, &[Effect::Quit][..]));
}

#[test]
fn saving_before_leaving_asks_for_a_name_where_there_is_none_and_can_be_thought_over() {
    let mut desk = desk();
    desk.state.profile = None;
    desk.keys("+qs");
    assert!(desk.text().contains("Save the live layout as"), "{}", desk.text());
    desk.key(KeyCode::Esc);
    desk.keys("S");
    desk.keys("night");
    desk.key(KeyCode::Enter);
    assert_eq!(desk.left, [], "saved, and stays");
    desk.state.profile = None;
    desk.keys("+qs");
    desk.keys("alt");
    desk.key(KeyCode::Enter);
    assert!(desk.text().contains("alt exists"), "{}", desk.text());
    desk.keys("y");
    assert_eq!(desk.left, [Effect::Quit]);
}

#[test]
fn questions_and_their_answers_are_whole_on_the_smallest_screen() {
    let name = "a-name-that-is-rather-long";
    for width in [40, 60, 120] {
        let mut desk = Desk::new(width, 12);
        desk.state.profile = Some(name.into());
        desk.keys("+q");
        let text = desk.text();
        let boxed: String = text.lines().filter(|line| line.contains('│')).collect();
        for word in
            ["modified", "not", "saved.", "s save and leave", "q leave without saving", "n stay"]
        {
            assert!(boxed.contains(word), "{word} at {width}:\n{text}");
        }
        desk.place(&Target::Press(KeyCode::Char('n')));
        desk.keys("n");
        desk.keys("X");
        let text = desk.text();
        assert!(text.contains("y yes   n no") && text.contains('?'), "{text}");
        assert!(text.contains("back."), "to its last word: {text}");
        desk.keys("n");
        desk.keys("S");
        desk.control_key('u');
        desk.keys("a/b");
        desk.key(KeyCode::Enter);
        let text = desk.text();
        assert!(text.contains("slash"), "{text}");
    }
}

#[test]
fn the_columns_of_the_palette_stay_apart() {
    for width in [40, 90] {
        let mut desk = Desk::new(width, 60);
        desk.keys(":page");
        let text = desk.text();
        assert!(text.contains("pagedown "), "{text}");
    }
}

#[test]
fn leaving_asks_only_when_something_would_be_lost() {
    let mut desk = Desk::new(120, 36);
    desk.keys("q");
    assert_eq!(desk.left, [Effect::Quit]);
    let mut desk = Desk::new(120, 36);
    desk.keys("+q");
    assert_eq!(desk.left, []);
    assert!(desk.text().contains("leave without saving"), "{}", desk.text());
    desk.keys("nq");
    desk.keys("q");
    assert_eq!(desk.left, [Effect::Quit]);
    let mut desk = Desk::new(120, 36);
    desk.keys("+qs");
    assert_eq!(desk.left, [Effect::Quit], "saved first");
    assert!(desk.profiles.load("balanced").is_ok());
}

#[test]
fn a_layout_is_saved_compared_applied_renamed_and_deleted() {
    let mut desk = Desk::new(120, 36);
    desk.keys("s+");
    assert!(desk.state.modified());
    desk.keys("S");
    desk.control_key('u');
    desk.keys("night");
    desk.key(KeyCode::Enter);
    assert_eq!(desk.state.profile.as_deref(), Some("night"));
    assert!(!desk.state.modified());
    desk.keys("o");
    assert_eq!(desk.state.screen, Screen::Layouts);
    desk.key(KeyCode::Home);
    assert!(desk.text().contains("cores 0-3,7 → 0-3"), "{}", desk.text());
    desk.key(KeyCode::Enter);
    assert_eq!(desk.state.profile.as_deref(), Some("balanced"));
    assert_eq!(desk.control.desired().row("detector").unwrap().cores.len(), 4);
    assert!(!desk.state.modified());
    desk.keys("r");
    desk.control_key('u');
    desk.keys("day");
    desk.key(KeyCode::Enter);
    assert_eq!(desk.state.profile.as_deref(), Some("day"));
    desk.key(KeyCode::Delete);
    desk.keys("n");
    assert_eq!(desk.state.layouts.known().len(), 2);
    desk.key(KeyCode::Delete);
    desk.keys("y");
    assert_eq!(desk.state.layouts.known().len(), 1);
}

#[test]
fn a_layout_that_is_in_force_already_only_changes_the_name() {
    let mut desk = Desk::new(120, 36);
    desk.profiles.save("other", &desk.control.layout()).unwrap();
    desk.keys("o");
    assert!(desk.text().contains("Nothing: it is in force"), "{}", desk.text());
    desk.key(KeyCode::Enter);
    assert!(desk.message().starts_with("other is in force"), "{}", desk.message());
    assert_eq!(desk.state.profile.as_deref(), Some("other"));
    assert!(!desk.state.modified());
    assert_eq!(desk.control.changes(), []);
}

#[test]
fn the_last_saved_layout_comes_back_after_a_question() {
    let mut desk = Desk::new(120, 36);
    let before = desk.control.layout();
    desk.keys("+lllll+R");
    assert_ne!(desk.control.layout(), before);
    desk.keys("y");
    assert_eq!(desk.control.layout(), before);
    assert!(!desk.state.modified());
}

#[test]
fn the_layout_of_the_last_time_stands_first_with_a_mark() {
    let mut desk = Desk::new(120, 36);
    for name in ["day", "night", "balanced"] {
        desk.profiles.save(name, &fixtures::layout()).unwrap();
    }
    desk.state.layouts = LayoutList::new(Some("night".into()));
    desk.keys("o");
    let names: Vec<&str> =
        desk.state.layouts.known().iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["night", "day", "balanced"]);
    assert_eq!(desk.state.layouts.at, 2, "the one in force is selected");
    let text = desk.text();
    assert!(text.lines().any(|line| line.contains("night   last time")), "{text}");
    assert_eq!(text.matches("last time").count(), 1);
}

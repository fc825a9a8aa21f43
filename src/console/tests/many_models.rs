//! The console with 200 models: keys reach every row of the board and the end of other screens.

use crossterm::event::KeyCode;

use super::fixtures;
use super::testing::TestConsole;
use crate::layout::CoreOwner;
use crate::telemetry::LogLevel;

fn console() -> TestConsole {
    let mut layout = fixtures::layout();
    layout.models = (0..200).map(|n| fixtures::budget(&format!("m{n:03}"), 1, 0)).collect();
    TestConsole::with(&layout, fixtures::machine(200, 8), 120, 36)
}

/// Checks that this model is selected and that its row is on the screen.
fn assert_selected(console: &TestConsole, name: &str) {
    assert_eq!(console.state.selected, CoreOwner::Model(name.into()));
    assert!(console.text().contains(&format!(" {name} ")), "{name}:\n{}", console.text());
}

#[test]
fn page_keys_move_by_ten_rows() {
    let mut console = console();
    console.key(KeyCode::PageDown);
    assert_selected(&console, "m010");
    console.key(KeyCode::PageDown);
    assert_selected(&console, "m020");
    console.key(KeyCode::PageUp);
    assert_selected(&console, "m010");
}

#[test]
fn first_key_returns_from_the_last_row() {
    for (last, first) in [(KeyCode::End, KeyCode::Home), (KeyCode::Char('G'), KeyCode::Char('g'))] {
        let mut console = console();
        console.key(last);
        assert_eq!(console.state.selected, CoreOwner::Free);
        console.key(KeyCode::Up);
        assert_selected(&console, "m199");
        console.key(first);
        assert_selected(&console, "m000");
    }
}

#[test]
fn filter_narrows_the_rows() {
    let mut console = console();
    console.keys("/m19");
    console.key(KeyCode::Enter);
    assert_eq!(console.state.rows().len(), 11, "ten models, free cores");
    assert_selected(&console, "m190");
}

#[test]
fn sorting_keeps_the_selected_row_in_view() {
    let mut console = console();
    console.key(KeyCode::PageDown);
    for _ in 0..7 {
        console.keys("O");
        assert_selected(&console, "m010");
    }
}

/// Pages down from the top of a screen of more than ten hidden lines, then jumps to its end.
fn assert_pages_to_the_end(console: &mut TestConsole) {
    console.key(KeyCode::Home);
    let top = console.text();
    console.key(KeyCode::PageDown);
    let page = console.text();
    assert_ne!(page, top);
    console.key(KeyCode::PageUp);
    assert_eq!(console.text(), top);
    console.key(KeyCode::End);
    assert_ne!(console.text(), page);
    assert!(!console.text().contains("more below"), "{}", console.text());
}

#[test]
fn machine_screen_pages_to_its_end() {
    let mut console = console();
    console.keys("m");
    assert!(console.text().contains("more below"), "{}", console.text());
    assert_pages_to_the_end(&mut console);
}

#[test]
fn log_screen_pages_to_its_end() {
    let mut console = console();
    for number in 0..200 {
        let text = format!("m{number:03} is ready.");
        console.log.push(1_769_949_067_000, LogLevel::Info, "divvy", &text);
    }
    console.keys("L");
    assert_pages_to_the_end(&mut console);
    assert!(console.text().contains("m199 is ready."), "{}", console.text());
}

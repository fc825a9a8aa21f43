//! The board with 200 models: keys reach every row, and the selected row is always shown.

use crossterm::event::KeyCode;

use super::fixtures;
use super::testing::TestConsole;
use crate::layout::CoreOwner;

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

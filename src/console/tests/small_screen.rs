//! A terminal below the smallest size: no input acts unseen.

use crossterm::event::{KeyCode, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::testing::TestConsole;
use crate::console::state::{Action, Dialog, Effect};

fn resize(console: &mut TestConsole, (width, height): (u16, u16)) {
    console.frame = Buffer::empty(Rect::new(0, 0, width, height));
    console.act(Action::Resized);
}

#[test]
fn small_terminal_ignores_keys() {
    for size in [(39, 36), (120, 11), (1, 1)] {
        let mut console = TestConsole::new(120, 36);
        resize(&mut console, size);
        console.keys("p+lpXy tsS/:a");
        console.control_key('r');
        console.key(KeyCode::Enter);
        console.act(Action::Paste("y".into()));
        console.mouse(MouseEventKind::ScrollDown, (0, 0));
        assert_eq!(console.control.changes(), [], "{size:?}");
        assert_eq!(console.profiles.all(), [], "{size:?}");
        resize(&mut console, (120, 36));
        assert_eq!(console.state.dialog, None, "{size:?}");
    }
}

#[test]
fn hidden_question_is_not_answered() {
    let mut console = TestConsole::new(120, 36);
    console.keys("X");
    resize(&mut console, (39, 11));
    console.keys("y?");
    assert!(matches!(console.state.dialog, Some(Dialog::Help { .. })));
    console.key(KeyCode::Esc);
    assert_eq!(console.control.changes(), []);
    resize(&mut console, (120, 36));
    assert!(console.text().contains("Remove detector?"), "{}", console.text());
    console.keys("y");
    assert_eq!(console.control.changes().len(), 1);
}

#[test]
fn small_terminal_asks_before_leaving() {
    let mut console = TestConsole::new(120, 36);
    console.keys("+");
    resize(&mut console, (24, 6));
    assert!(console.text().contains("q quit"), "{}", console.text());
    console.keys("q");
    for answer in ["s save and leave", "d leave without saving", "n stay"] {
        assert!(console.text().contains(answer), "{answer}: {}", console.text());
    }
    console.keys("px");
    assert!(matches!(console.state.dialog, Some(Dialog::Quit)));
    console.keys("n");
    assert_eq!((&console.state.dialog, &console.left[..]), (&None, &[][..]));
    console.keys("qd");
    assert_eq!(console.left, [Effect::Quit]);
    assert_eq!(console.control.changes().len(), 1);
}

#[test]
fn small_terminal_shows_the_help() {
    let mut console = TestConsole::new(30, 8);
    console.keys("?");
    assert!(console.text().contains("drag a core"), "{}", console.text());
    console.keys("G");
    assert!(console.text().contains("q ctrl-c"), "{}", console.text());
    console.key(KeyCode::Esc);
    assert!(console.text().contains("divvy needs 40x12"), "{}", console.text());
}

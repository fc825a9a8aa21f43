//! Input that arrives together: each event applies to the state that the one before has left.

use crossterm::event::{KeyModifiers, MouseEvent, MouseEventKind};

use super::testing::TestConsole;
use crate::console::input::input_queue::InputEvent;
use crate::console::state::{Column, Dialog, Target};
use crate::layout::{Auto, Row};

fn detector(console: &TestConsole) -> Row {
    console.control.desired().row("detector").unwrap().clone()
}

#[test]
fn steps_that_arrive_together_add_up() {
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("l+++");
    assert_eq!(detector(&console).concurrency, 7, "{}", console.message());
    assert_eq!(console.control.changes().len(), 3);
    console.burst_keys("---uu");
    assert_eq!(detector(&console).concurrency, 6, "{}", console.message());
}

#[test]
fn pause_pressed_twice_resumes() {
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("pp");
    assert!(!detector(&console).budget.paused, "{}", console.message());
    assert_eq!(console.control.changes().len(), 2);
}

#[test]
fn staged_steps_add_up() {
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("tl+++");
    assert_eq!(console.state.staged.len(), 3);
    assert_eq!(console.state.row("detector").unwrap().concurrency, 7);
    console.burst_keys("\r");
    assert_eq!(detector(&console).concurrency, 7, "{}", console.message());
}

#[test]
fn five_hundred_wheel_steps_add_up() {
    let mut console = TestConsole::new(120, 36);
    let at = console.place(&Target::Field("detector".into(), Column::Instances));
    let step = |kind| {
        let modifiers = KeyModifiers::CONTROL;
        InputEvent::Mouse(MouseEvent { kind, column: at.0, row: at.1, modifiers })
    };
    // 270 up, 230 down
    let kinds = (0..500).map(|number| match number {
        ..460 if number % 2 == 1 => MouseEventKind::ScrollDown,
        _ => MouseEventKind::ScrollUp,
    });
    console.burst(kinds.map(step));
    assert_eq!(detector(&console).concurrency, 44, "{}", console.message());
    assert_eq!(console.control.changes().len(), 500);
}

#[test]
fn entered_text_is_set_before_the_next_key() {
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("le\r");
    console.control_key('u');
    console.burst_keys("9\rjjqp");
    let row = detector(&console);
    assert_eq!(row.budget.concurrency, Auto::Exactly(9), "{}", console.message());
    assert!(row.budget.paused, "the editor is closed, so p pauses: {}", console.message());
}

#[test]
fn help_scrolls_to_its_end_at_once() {
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("?G");
    let most = console.state.scroll_limits.dialog;
    assert!(most > 0);
    assert_eq!(console.state.dialog, Some(Dialog::Help { scroll: most }));
}

#[test]
fn saved_layout_is_left_without_a_question() {
    let mut console = TestConsole::new(120, 36);
    console.keys("+S");
    console.control_key('u');
    console.burst_keys("night\rq");
    assert_eq!(console.state.dialog, None, "{}", console.message());
    assert_eq!(console.profiles.load("night").unwrap().models.len(), 3);
}

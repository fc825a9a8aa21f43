//! Random input in any order and terminal size: every frame can be drawn, and the screen agrees
//! with the scheduler.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEventKind};
use proptest::prelude::*;

use super::testing::TestConsole;
use crate::console::picture::dump;
use crate::console::state::Action;

/// One random input.
#[derive(Clone, Debug)]
enum Touch {
    Key(KeyCode, bool),
    Mouse(u8, u16, u16),
    Size(u16, u16),
    Focus,
    Data,
}

fn touch() -> impl Strategy<Value = Touch> {
    let codes = prop::sample::select(vec![
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::Delete,
        KeyCode::Backspace,
        KeyCode::Home,
        KeyCode::End,
    ]);
    let letters = prop::char::range(' ', '~').prop_map(KeyCode::Char);
    prop_oneof![
        6 => (prop_oneof![codes, letters], prop::bool::weighted(0.1))
            .prop_map(|(code, control)| Touch::Key(code, control)),
        6 => (0u8..7, 0u16..130, 0u16..40).prop_map(|(kind, x, y)| Touch::Mouse(kind, x, y)),
        1 => (1u16..130, 1u16..40).prop_map(|(width, height)| Touch::Size(width, height)),
        1 => Just(Touch::Focus),
        1 => Just(Touch::Data),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_input_keeps_the_state_valid(
        touches in prop::collection::vec(touch(), 1..60),
    ) {
        let mut console = TestConsole::new(120, 36);
        for touch in touches {
            match touch {
                Touch::Key(code, control) => {
                    let modifiers =
                        if control { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                    console.act(Action::Key(KeyEvent::new(code, modifiers)));
                }
                Touch::Mouse(kind, x, y) => {
                    let kind = match kind {
                        0 | 1 => MouseEventKind::Down(MouseButton::Left),
                        2 => MouseEventKind::Drag(MouseButton::Left),
                        3 => MouseEventKind::Up(MouseButton::Left),
                        4 => MouseEventKind::Moved,
                        5 => MouseEventKind::ScrollUp,
                        _ => MouseEventKind::ScrollDown,
                    };
                    console.mouse(kind, (x, y));
                }
                Touch::Size(width, height) => {
                    let area = ratatui::layout::Rect::new(0, 0, width, height);
                    console.frame = ratatui::buffer::Buffer::empty(area);
                    console.act(Action::Resized);
                }
                Touch::Focus => console.act(Action::FocusLost),
                Touch::Data => console.refresh(),
            }
            let area = console.frame.area;
            for (place, target) in console.hits.iter() {
                prop_assert!(area.intersection(*place) == *place, "{target:?} at {place} of {area}");
            }
        }
        // after the next snapshot, the screen agrees with the scheduler
        console.refresh();
        console.state.staged_plan = None;
        for row in &console.control.desired().rows {
            prop_assert_eq!(console.state.row(&row.budget.name), Some(row));
        }
        prop_assert!(!dump::text(&console.frame).is_empty());
    }
}

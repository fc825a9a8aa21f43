//! Read-only mode: changes are refused, and not offered.

use crossterm::event::{KeyCode, KeyModifiers, MouseEventKind};

use super::gestures::{click_click, drag};
use super::testing::TestConsole;
use crate::console::state::{Column, Command, Target};
use crate::layout::CoreOwner;
use crate::machine::CoreId;
use crate::scheduler::Control;

fn model(name: &str) -> CoreOwner {
    CoreOwner::Model(name.into())
}

fn console() -> TestConsole {
    let mut console = TestConsole::new(120, 36);
    console.state.readonly = true;
    console.draw();
    console
}

#[test]
fn read_only_refuses_changes() {
    let mut console = console();
    let before = console.control.layout();
    drag(&mut console, &Target::RowCore(model("ocr")), &Target::Row(model("detector")));
    click_click(&mut console, &Target::Core(CoreId(0)), &Target::Row(CoreOwner::Free));
    let at = console.place(&Target::Field("ocr".into(), Column::Queue));
    console.mouse_with(MouseEventKind::ScrollUp, at, KeyModifiers::CONTROL);
    console.keys("+-up1e");
    assert!(console.text().contains("detector: keys of its row"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert!(console.message().contains("read-only"), "{}", console.message());
    console.key(KeyCode::Esc);
    console.keys("EaXsSR");
    console.key(KeyCode::Char(' '));
    console.keys("o");
    console.key(KeyCode::Enter);
    assert_eq!(console.control.layout(), before);
    assert_eq!(console.control.changes(), []);
    assert!(console.text().contains("READ-ONLY"), "{}", console.text());
}

#[test]
fn readonly_frames_offer_no_change() {
    let words =
        [" lift", " more", " less", " undo", " save", " edit", " staged", " pause", " apply"];
    for keys in ["", "d", "o", "J", "e"] {
        let mut console = console();
        console.keys(keys);
        let text = console.text();
        let offered = text.lines().last().unwrap();
        assert!(!words.iter().any(|word| offered.contains(word)), "{keys}: {offered}");
        for wrong in ["enter edits", "undoes it", "saves the live layout"] {
            assert!(!text.contains(wrong), "{keys}: {text}");
        }
        for (_, target) in console.hits.iter() {
            let changing = |command: &Command| command.changes();
            assert!(!matches!(target, Target::Command(command) if changing(command)), "{target:?}");
        }
    }
}

#[test]
fn readonly_help_lists_no_change() {
    let mut console = console();
    console.keys("?");
    let first = console.text();
    console.keys("G");
    let text = first + &console.text();
    for word in ["drag", "undo", "pause", "save the", "apply", "ctrl-wheel"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert!(text.contains("show the keys of the row"), "{text}");
}

#[test]
fn readonly_palette_lists_no_change() {
    let mut console = console();
    console.keys(":undo");
    assert!(console.text().contains("no command contains these words"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert_eq!(console.control.changes(), []);
}

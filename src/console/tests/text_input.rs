//! Text fields: closing, pasting, lengths, and the filter.

use crossterm::event::KeyCode;

use super::testing::TestConsole;
use crate::console::state::{Action, Dialog};
use crate::layout::CoreOwner;

fn model(name: &str) -> CoreOwner {
    CoreOwner::Model(name.into())
}

#[test]
fn ctrl_c_closes_every_text_field() {
    for keys in ["S", "/", ":", "a", "?", "e"] {
        let mut console = TestConsole::new(120, 36);
        console.keys(keys);
        assert!(console.state.dialog.is_some(), "{keys}");
        console.control_key('c');
        assert_eq!(console.state.dialog, None, "{keys}");
    }
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("e\rxyz");
    console.control_key('c');
    assert!(matches!(&console.state.dialog, Some(Dialog::Row(editor)) if editor.prompt.is_none()));
    console.keys("q");
    console.burst_keys("sor");
    console.control_key('c');
    assert_eq!((&console.state.dialog, &console.left[..]), (&None, &[][..]));
}

#[test]
fn pasted_quoted_path_adds_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a b.onnx");
    std::fs::write(&file, crate::engine::embedded::bytes("ranker.onnx").unwrap()).unwrap();
    let path = file.to_str().unwrap();
    for text in [format!("'{path}'\n"), path.replace(' ', "\\ "), format!("{path}\r\n")] {
        let mut console = TestConsole::new(120, 36);
        console.keys("a");
        console.act(Action::Paste(text.clone()));
        console.key(KeyCode::Enter);
        assert_eq!(console.control.desired().rows.len(), 4, "{text}: {}", console.text());
    }
}

#[test]
fn paste_beside_a_field_does_nothing() {
    let mut console = TestConsole::new(120, 36);
    console.act(Action::Paste("ppXy".into()));
    console.keys("X");
    console.act(Action::Paste("y".into()));
    assert_eq!(console.control.changes(), []);
    assert!(matches!(console.state.dialog, Some(Dialog::Confirm { .. })));
}

#[test]
fn name_field_has_the_limit_of_names() {
    let mut console = TestConsole::new(120, 36);
    console.keys("S");
    console.control_key('u');
    console.act(Action::Paste("é".repeat(60)));
    assert!(console.text().contains("10 characters were left out"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert!(console.profiles.load(&"é".repeat(50)).is_ok(), "{}", console.text());
}

#[test]
fn filter_opens_with_its_text_selected() {
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("/ocr\r/d");
    assert_eq!(console.state.filter, "d");
    console.burst_keys("\r/\r");
    assert_eq!(console.state.filter, "d", "unchanged text stays");
}

#[test]
fn hidden_selection_moves_to_a_shown_row() {
    let mut console = TestConsole::new(120, 36);
    console.burst_keys("3/det\r");
    assert_eq!(console.state.selected, model("detector"));
    // an added model that the filter hides
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("speech.onnx");
    std::fs::write(&file, crate::engine::embedded::bytes("ranker.onnx").unwrap()).unwrap();
    console.keys("a");
    console.act(Action::Paste(file.to_str().unwrap().to_owned()));
    console.key(KeyCode::Enter);
    console.refresh();
    assert_eq!(console.control.desired().rows.len(), 4, "{}", console.message());
    assert!(console.state.rows().contains(&console.state.selected));
}

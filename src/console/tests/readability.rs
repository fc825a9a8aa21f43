//! Tests that nothing is cut or covered where it matters: consequences, messages, alerts and lists.

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Command, Message, Screen, Target, Tone};
use crate::layout::{CoreOwner, Layout};
use crate::telemetry::{Alert, Snapshot};

/// The tested sizes: wide, common, classic and smallest.
const SIZES: [(u16, u16); 4] = [(200, 50), (120, 36), (80, 24), (40, 12)];

/// Returns a console with this many models on 16 cores, and no change yet.
fn console(models: usize, (width, height): (u16, u16)) -> TestConsole {
    let models = (0..models).map(|n| fixtures::budget(&format!("m{n:03}"), 1, 50)).collect();
    let layout = Layout { description: String::new(), models };
    TestConsole::with(&layout, fixtures::machine(256, 64), width, height)
}

/// Returns the text of a frame as one line, without the borders of panes.
fn running_text(console: &TestConsole) -> String {
    let text = console.text().replace(['│', '─', '╭', '╮', '╰', '╯'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn show_alerts(console: &mut TestConsole, texts: &[&str]) {
    let alert = |text: &&str| Alert { model: None, text: (*text).to_owned() };
    let last = Snapshot::clone(&console.state.snapshot);
    console.show(Snapshot { alerts: texts.iter().map(alert).collect(), ..last });
}

const LONG_ALERT: &str = "detector misses its target: p99 is 184.0 ms against 100ms over the last \
                          minute, and it waits for a CPU most of the time that it could run";

#[test]
fn board_by_number_of_models() {
    for models in [1, 3, 12, 200] {
        let frames = SIZES.map(|size| console(models, size).text());
        insta::assert_snapshot!(format!("board_of_{models}_models"), frames.join("\n"));
    }
}

#[test]
fn note_of_hidden_rows_covers_no_row() {
    for size in SIZES {
        for models in [12, 200] {
            let console = console(models, size);
            let text = console.text();
            for line in text.lines().filter(|line| line.contains("more below")) {
                assert!(!line.contains(" m0"), "{line}\n{text}");
            }
            let shown = console
                .hits
                .iter()
                .filter(|(_, target)| matches!(target, Target::Row(CoreOwner::Model(_))));
            let hidden = models - shown.count();
            assert_eq!(text.contains("more below"), hidden > 0, "{text}");
        }
    }
}

#[test]
fn classic_screen_shows_twelve_models() {
    let text = console(12, (80, 24)).text();
    assert!(text.contains(" m011 ") && text.contains(" free "), "{text}");
}

#[test]
fn row_editor_notes_hidden_keys_in_its_gap() {
    let mut console = console(3, (80, 16));
    console.keys("e");
    let text = console.text();
    let note = text.lines().find(|line| line.contains("more below")).unwrap();
    assert_eq!(note.replace(['│', ' '], "").trim_start_matches(char::is_numeric), "morebelow");
}

#[test]
fn long_message_is_shown_whole() {
    let words: Vec<String> = (0..20).map(|n| format!("word{n:02}")).collect();
    for size in SIZES {
        let mut console = console(3, size);
        console.state.message = Some(Message { text: words.join(" "), tone: Tone::Bad });
        console.draw();
        assert!(running_text(&console).contains(&words.join(" ")), "{}", console.text());
    }
}

#[test]
fn consequence_of_a_drag_is_shown_whole() {
    for size in [(120, 36), (80, 24)] {
        let mut console = TestConsole::with(
            &Layout {
                description: String::new(),
                models: ["detector", "embedder", "ranker"]
                    .map(|name| fixtures::budget(name, 1, 100))
                    .into(),
            },
            fixtures::machine(2, 2),
            size.0,
            size.1,
        );
        let from = console.place(&Target::RowCore(CoreOwner::Model("embedder".into())));
        let to = console.place(&Target::RowCore(CoreOwner::Model("detector".into())));
        console.down(from);
        console.drag(to);
        let drag = console.state.drag.as_ref().unwrap();
        let plan = drag.outcome.as_ref().unwrap().as_ref().unwrap();
        for part in plan.warnings.iter().chain([&plan.summary]) {
            assert!(running_text(&console).contains(part.as_str()), "{part}:\n{}", console.text());
        }
    }
}

#[test]
fn covered_panes_ignore_clicks() {
    let mut console = console(3, (80, 24));
    console.state.message = Some(Message { text: "word ".repeat(80), tone: Tone::Bad });
    console.draw();
    let lines = console.text();
    let top = lines.lines().position(|line| line.contains("word")).unwrap();
    assert_eq!(console.hits.at(5, top as u16), Some(&Target::Nothing), "{lines}");
}

#[test]
fn alerts_screen_shows_each_alert_whole() {
    for size in SIZES {
        let mut console = console(3, size);
        show_alerts(&mut console, &[LONG_ALERT, "ocr has a full queue"]);
        console.keys("!");
        assert_eq!(console.state.screen, Screen::Alerts);
        let text = running_text(&console);
        assert!(text.contains(LONG_ALERT), "{text}");
    }
}

#[test]
fn alert_without_room_names_its_key() {
    for size in SIZES {
        let mut console = console(3, size);
        show_alerts(&mut console, &[LONG_ALERT, "ocr has a full queue"]);
        let hint = console.text().lines().rev().nth(1).unwrap().to_owned();
        assert!(hint.contains('!'), "{hint}");
        show_alerts(&mut console, &["ocr has a full queue"]);
        let hint = console.text().lines().rev().nth(1).unwrap().to_owned();
        assert!(!hint.contains('!'), "{hint}");
    }
}

#[test]
fn click_on_an_alert_lists_all() {
    let mut console = console(3, (120, 36));
    show_alerts(&mut console, &[LONG_ALERT]);
    let at = console.place(&Target::Command(Command::Alerts));
    console.down(at);
    assert_eq!(console.state.screen, Screen::Alerts);
}

#[test]
fn first_screen_says_what_to_try() {
    for size in [(120, 36), (80, 24)] {
        let models = vec![fixtures::budget("detector", 1, 1), fixtures::budget("embedder", 2, 0)];
        let layout = Layout { description: String::new(), models };
        let mut console = TestConsole::with(&layout, fixtures::machine(3, 3), size.0, size.1);
        show_alerts(&mut console, &[LONG_ALERT]);
        let text = console.text();
        assert!(text.contains("Try it: drag a ■ of embedder onto detector."), "{text}");
        // the alert has the whole line
        assert!(text.contains(" detector misses its target: p99 is 184.0 ms"), "{text}");
    }
}

#[test]
fn free_core_is_the_first_to_try() {
    let text = console(3, (80, 24)).text();
    assert!(text.contains("Try it: drag a free ■ onto m001."), "{text}");
}

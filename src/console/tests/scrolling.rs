//! Tests of scrolling: lists longer than their area show that, and the wheel scrolls them.

use std::sync::Arc;

use crossterm::event::{KeyCode, MouseEventKind};

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, ScrollArea, Target};
use crate::layout::{Budget, CoreRequest, Layout, LoadSpec, ModelSource};
use crate::telemetry::{LogLevel, Snapshot, VerdictStatus};

fn console(snapshot: &Snapshot, width: u16, height: u16) -> TestConsole {
    let mut console = TestConsole::new(width, height);
    console.act(Action::Snapshot(Arc::new(snapshot.clone())));
    console
}

/// Scrolls down over an area.
fn wheel(console: &mut TestConsole, what: ScrollArea, times: usize) {
    for _ in 0..times {
        let at = console.hits.find(&Target::Lines(what));
        let place = at.unwrap_or_else(|| panic!("{what:?} is not drawn"));
        console.mouse(MouseEventKind::ScrollDown, (place.right() - 1, place.bottom() - 1));
    }
}

fn logged(console: &mut TestConsole, count: u64) {
    for number in 0..count {
        console.log.push(1_769_949_067_000, LogLevel::Info, "divvy", &format!("line {number}."));
    }
    console.keys("L");
}

#[test]
fn wheel_scrolls_every_long_screen() {
    for keys in ["d", "w", "m"] {
        let mut console = console(&fixtures::board(), 80, 12);
        console.keys(keys);
        let before = console.text();
        assert!(before.contains(" more below "), "{keys}: {before}");
        wheel(&mut console, ScrollArea::Screen, 1);
        assert_ne!(console.text(), before, "{keys}");
        wheel(&mut console, ScrollArea::Screen, 30);
        let last = console.text();
        assert!(!last.contains("more below"), "{keys}: {last}");
        // scrolling past the end is not accumulated
        console.keys("k");
        assert!(console.text().contains(" 1 more below "), "{keys}: {}", console.text());
    }
}

#[test]
fn scrolled_log_fills_the_screen() {
    let mut console = console(&fixtures::board(), 80, 12);
    logged(&mut console, 40);
    console.key(KeyCode::Home);
    let top = console.text();
    assert!(top.contains("line 0.") && top.contains("line 6."), "{top}");
    console.keys("kkkj");
    assert!(
        !console.text().contains("line 0."),
        "one line down is one line down: {}",
        console.text()
    );
    for _ in 0..20 {
        let at = console.hits.iter().find(|(_, what)| matches!(what, Target::Lines(_))).unwrap().0;
        console.mouse(MouseEventKind::ScrollUp, (at.x, at.y));
    }
    assert_eq!(console.text(), top);
    wheel(&mut console, ScrollArea::Screen, 20);
    assert!(console.text().contains("following the newest line"), "{}", console.text());
}

#[test]
fn wheel_scrolls_changes_without_focus() {
    let mut console = console(&fixtures::board(), 80, 24);
    let before = console.text();
    assert!(before.contains("more below"), "{before}");
    wheel(&mut console, ScrollArea::Changes, 5);
    assert!(!console.text().contains("more below"), "{}", console.text());
    let selected = console.state.selected.clone();
    console.keys("j");
    assert_ne!(console.state.selected, selected);
    // a new change is shown at once
    let mut snapshot = fixtures::board();
    snapshot.changes.push(fixtures::entry(99, VerdictStatus::Open, 750).into());
    console.show(snapshot);
    assert_eq!(console.state.scroll_changes, 0);
}

#[test]
fn long_summary_leaves_room_for_verdicts() {
    let mut snapshot = fixtures::board();
    let mut entry = fixtures::entry(1, VerdictStatus::Done, 690);
    let others = ", ocr has a part that is long, with commas".repeat(12);
    entry.summary = format!("detector 4 -> 5 cores, queue 8 -> 9{others}");
    snapshot.changes = vec![entry.into()];
    for (width, height) in [(80, 24), (120, 36)] {
        let text = console(&snapshot, width, height).text();
        for clause in [
            "detector 4 -> 5 cores, queue 8 -> 9, ",
            ", …",
            "detector p99 21.0 → 14.2 ms (-32%)",
            "ocr p99 180.0 → 240.0 ms (+33%)",
        ] {
            assert!(text.contains(clause), "{clause} at {width}x{height}:\n{text}");
        }
    }
}

#[test]
fn journal_messages_are_never_cut() {
    let mut snapshot = fixtures::board();
    let mut entry = fixtures::entry(1, VerdictStatus::Done, 690);
    entry.warnings = vec!["ocr shares its one core with two others that want all of it".into()];
    snapshot.changes = vec![entry.into()];
    for width in 40..100 {
        let mut console = console(&snapshot, width, 100);
        console.keys("J");
        let text = console.text();
        let lines = text.lines().skip(2).filter(|line| line.starts_with('│'));
        let shown: Vec<&str> = lines.collect();
        assert!(!shown.concat().contains('…'), "{width}:\n{text}");
    }
}

/// Returns a layout with one row removed, one added, and different keys.
fn other() -> Layout {
    let mut layout = fixtures::layout();
    layout.models.remove(2);
    layout.models[0].cores = CoreRequest::Count(3);
    layout.models[0].slo = None;
    layout.models[0].queue.limit = 7;
    layout.models[0].load = Some(LoadSpec::Poisson { rate: 12.0 });
    layout.models[1].memory = Some(crate::layout::Bytes(1 << 30));
    let mut ranker = Budget::new("ranker", ModelSource::Embedded("ranker.onnx".into()));
    ranker.cores = CoreRequest::List("0-3".parse().unwrap());
    layout.models.push(ranker);
    layout
}

#[test]
fn preview_lists_every_difference() {
    let mut console = TestConsole::new(120, 36);
    console.profiles.put("other", &other());
    console.keys("o");
    let text = console.text();
    for words in [
        "- embedder: removed, cores",
        "+ ranker: added, cores 0-3",
        "queue limit 64 → 7",
        "SLO ",
        "load ",
        "memory none → 1GiB",
        "! ",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    let at = |words: &str| text.lines().position(|line| line.contains(words)).unwrap();
    assert!(at("! ") < at("detector: "), "warnings first: {text}");
    assert!(!text.contains("other settings"), "{text}");
}

#[test]
fn long_preview_scrolls() {
    for by_key in [false, true] {
        let mut console = TestConsole::new(80, 12);
        console.profiles.put("other", &other());
        console.keys("o");
        assert!(console.text().contains("more below"), "{}", console.text());
        assert!(!console.text().contains("removed"), "{}", console.text());
        for _ in 0..20 {
            if by_key {
                console.keys("]");
            } else {
                wheel(&mut console, ScrollArea::Preview, 1);
            }
        }
        assert!(console.text().contains("removed"), "{}", console.text());
        assert!(!console.text().contains("more below"), "{}", console.text());
    }
}

#[test]
fn footer_names_the_preview_key() {
    let mut console = TestConsole::new(80, 12);
    console.profiles.put("other", &other());
    console.keys("o");
    // the footer uses the limits of the frame before
    console.draw();
    let top = console.text();
    assert!(top.contains("] scroll"), "{top}");
    console.keys("]");
    assert_ne!(console.text(), top);
    console.keys("[");
    assert_eq!(console.text(), top);
}

#[test]
fn page_keys_page_the_layouts() {
    let mut console = TestConsole::new(80, 24);
    for number in 0..200 {
        console.profiles.put(&format!("layout{number:03}"), &other());
    }
    console.keys("o");
    for (key, at) in [
        (KeyCode::PageDown, 10),
        (KeyCode::PageDown, 20),
        (KeyCode::PageUp, 10),
        (KeyCode::End, 199),
        (KeyCode::PageUp, 189),
        (KeyCode::Home, 0),
    ] {
        console.key(key);
        assert_eq!(console.state.layouts.at, at, "{key:?}");
        let name = &console.state.layouts.selected().unwrap().name;
        assert!(console.text().contains(name), "{name}: {}", console.text());
    }
}

#[test]
fn end_keys_reach_the_last_help_line() {
    for (last, first) in [(KeyCode::End, KeyCode::Home), (KeyCode::Char('G'), KeyCode::Char('g'))] {
        let mut console = TestConsole::new(80, 12);
        console.keys("?");
        let top = console.text();
        assert!(!top.contains("quit; asks first"), "{top}");
        console.key(last);
        let end = console.text();
        assert!(end.contains("quit; asks first"), "{end}");
        console.key(KeyCode::Down);
        assert_eq!(console.text(), end, "scrolling past the end is not accumulated");
        console.key(KeyCode::Up);
        assert_ne!(console.text(), end);
        console.key(first);
        assert_eq!(console.text(), top);
    }
}

//! What has more lines than room says so, and the wheel moves it.

use std::sync::Arc;

use crossterm::event::{KeyCode, MouseEventKind};

use super::fixtures;
use super::testing::Desk;
use crate::console::Profiles;
use crate::console::state::{Action, Scrolled, Target};
use crate::layout::{Budget, CoreRequest, Layout, LoadSpec, ModelSource};
use crate::telemetry::{LogLevel, Snapshot, VerdictStatus};

fn desk(snapshot: &Snapshot, width: u16, height: u16) -> Desk {
    let mut desk = Desk::new(width, height);
    desk.act(Action::Snapshot(Arc::new(snapshot.clone())));
    desk
}

/// Turns the wheel down over some lines.
fn wheel(desk: &mut Desk, what: Scrolled, times: usize) {
    for _ in 0..times {
        let at = desk.hits.find(&Target::Lines(what));
        let place = at.unwrap_or_else(|| panic!("{what:?} is not drawn"));
        desk.mouse(MouseEventKind::ScrollDown, (place.right() - 1, place.bottom() - 1));
    }
}

fn logged(desk: &mut Desk, count: u64) {
    for number in 0..count {
        desk.log.push(1_769_949_067_000, LogLevel::Info, "divvy", &format!("line {number}."));
    }
    desk.keys("L");
}

#[test]
fn the_wheel_moves_each_screen_that_has_more_lines_than_room() {
    for keys in ["d", "J", "w", "m"] {
        let mut desk = desk(&fixtures::board(), 80, 12);
        desk.keys(keys);
        let before = desk.text();
        assert!(before.contains(" more below "), "{keys}: {before}");
        wheel(&mut desk, Scrolled::Screen, 1);
        assert_ne!(desk.text(), before, "{keys}");
        wheel(&mut desk, Scrolled::Screen, 30);
        let last = desk.text();
        assert!(!last.contains("more below"), "{keys}: {last}");
        // what was turned too far need not be turned back
        desk.keys("k");
        assert!(desk.text().contains(" 1 more below "), "{keys}: {}", desk.text());
    }
}

#[test]
fn the_log_stays_full_however_far_it_is_scrolled_up() {
    let mut desk = desk(&fixtures::board(), 80, 12);
    logged(&mut desk, 40);
    desk.key(KeyCode::Home);
    let top = desk.text();
    assert!(top.contains("line 0.") && top.contains("line 6."), "{top}");
    desk.keys("kkkj");
    assert!(!desk.text().contains("line 0."), "one line down is one line down: {}", desk.text());
    for _ in 0..20 {
        let at = desk.hits.iter().find(|(_, what)| matches!(what, Target::Lines(_))).unwrap().0;
        desk.mouse(MouseEventKind::ScrollUp, (at.x, at.y));
    }
    assert_eq!(desk.text(), top);
    wheel(&mut desk, Scrolled::Screen, 20);
    assert!(desk.text().contains("follows the newest line"), "{}", desk.text());
}

#[test]
fn the_wheel_moves_the_changes_and_leaves_the_keys_to_the_table() {
    let mut desk = desk(&fixtures::board(), 80, 24);
    let before = desk.text();
    assert!(before.contains("more below"), "{before}");
    wheel(&mut desk, Scrolled::Changes, 5);
    assert!(!desk.text().contains("more below"), "{}", desk.text());
    let selected = desk.state.selected.clone();
    desk.keys("j");
    assert_ne!(desk.state.selected, selected);
    // another change comes: it is what is shown
    let mut snapshot = fixtures::board();
    snapshot.changes.push(fixtures::entry(99, VerdictStatus::Open, 750));
    desk.show(snapshot);
    assert_eq!(desk.state.scroll_changes, 0);
}

#[test]
fn what_came_of_a_long_change_goes_before_all_of_what_it_was() {
    let mut snapshot = fixtures::board();
    let mut entry = fixtures::entry(1, VerdictStatus::Done, 690);
    let others = ", ocr has a part that is long, with commas".repeat(12);
    entry.summary = format!("detector 4 -> 5 cores, queue 8 -> 9{others}");
    snapshot.changes = vec![entry];
    for (width, height) in [(80, 24), (120, 36)] {
        let text = desk(&snapshot, width, height).text();
        for clause in [
            "detector 4 -> 5 cores, queue 8 -> 9;",
            "detector p99 21.0 → 14.2 ms (-32%)",
            "ocr p99 180.0 → 240.0 ms (+33%)",
        ] {
            assert!(text.contains(clause), "{clause} at {width}x{height}:\n{text}");
        }
        assert!(text.contains("more below"), "{text}");
    }
}

#[test]
fn no_sentence_of_the_journal_is_cut() {
    let mut snapshot = fixtures::board();
    let mut entry = fixtures::entry(1, VerdictStatus::Done, 690);
    entry.warnings = vec!["ocr shares its one core with two others that want all of it".into()];
    snapshot.changes = vec![entry];
    for width in 40..100 {
        let mut desk = desk(&snapshot, width, 100);
        desk.keys("J");
        let text = desk.text();
        let lines = text.lines().skip(2).filter(|line| line.starts_with('│'));
        let told: Vec<&str> = lines.collect();
        assert!(!told.concat().contains('…'), "{width}:\n{text}");
    }
}

/// Another layout than the one that the desk begins with: a row fewer, one more, keys that differ.
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
fn a_preview_names_each_key_that_differs_and_what_comes_and_goes() {
    let mut desk = Desk::new(120, 36);
    desk.profiles.save("other", &other()).unwrap();
    desk.keys("o");
    let text = desk.text();
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
fn a_preview_that_is_longer_than_the_screen_scrolls_by_wheel_and_by_key() {
    for by_key in [false, true] {
        let mut desk = Desk::new(80, 12);
        desk.profiles.save("other", &other()).unwrap();
        desk.keys("o");
        assert!(desk.text().contains("more below"), "{}", desk.text());
        assert!(!desk.text().contains("removed"), "{}", desk.text());
        for _ in 0..20 {
            if by_key {
                desk.key(KeyCode::PageDown);
            } else {
                wheel(&mut desk, Scrolled::Preview, 1);
            }
        }
        assert!(desk.text().contains("removed"), "{}", desk.text());
        assert!(!desk.text().contains("more below"), "{}", desk.text());
    }
}

//! Snapshot tests of frames with rows of processes.

use std::sync::Arc;

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::process_fixtures;
use super::testing::TestConsole;
use crate::console::GlyphSet;
use crate::console::glyphs::Glyphs;
use crate::console::picture::dump;
use crate::console::state::Action;
use crate::console::theme::{Theme, ThemeName};
use crate::telemetry::Snapshot;

/// The tested sizes: wide, common, classic and smallest.
const SIZES: [(u16, u16); 4] = [(200, 50), (120, 36), (80, 24), (40, 12)];

fn board(snapshot: &Snapshot, width: u16, height: u16) -> TestConsole {
    let mut console = TestConsole::new(width, height);
    for second in (0..40).rev() {
        let mut past = snapshot.clone();
        past.uptime_us -= second * 1_000_000;
        for view in &mut past.models {
            // a load that rises and falls
            view.cpu *= 0.2 + 0.2 * (second % 5) as f64;
        }
        console.state.history.observe(&past);
    }
    let rows = snapshot.models.iter().map(|view| view.row.budget.clone());
    console.state.saved = Some(rows.collect());
    console.act(Action::Snapshot(Arc::new(snapshot.clone())));
    console
}

/// Returns the frames of all sizes after these keys.
fn frames(snapshot: &Snapshot, keys: &str) -> String {
    let frames = SIZES.map(|(width, height)| {
        let mut console = board(snapshot, width, height);
        console.keys(keys);
        console.text()
    });
    frames.join("\n")
}

#[test]
fn board_with_processes_at_every_size() {
    insta::assert_snapshot!("processes_board", frames(&process_fixtures::board(), "2"));
}

#[test]
fn every_state_of_processes_at_every_size() {
    insta::assert_snapshot!("processes_states", frames(&process_fixtures::states(), ""));
}

#[test]
fn detail_of_processes_at_every_size() {
    insta::assert_snapshot!("processes_detail", frames(&process_fixtures::board(), "3d"));
    insta::assert_snapshot!("processes_detail_drift", frames(&process_fixtures::states(), "2d"));
    insta::assert_snapshot!("processes_detail_locked", frames(&process_fixtures::board(), "4d"));
}

#[test]
fn list_of_processes_at_every_size() {
    insta::assert_snapshot!("processes_list", frames(&process_fixtures::board(), "A"));
}

#[test]
fn memory_of_processes_at_every_size() {
    insta::assert_snapshot!("processes_memory", frames(&process_fixtures::board(), "w"));
}

#[test]
fn processes_by_theme_or_glyph_set() {
    for name in ThemeName::ALL {
        let mut console = board(&process_fixtures::states(), 80, 24);
        console.state.theme = Theme::new(name);
        console.keys("0j");
        insta::assert_snapshot!(format!("processes_theme_{name}"), dump::styled(&console.frame));
    }
    for set in [GlyphSet::Braille, GlyphSet::Ascii] {
        let mut console = board(&process_fixtures::states(), 120, 30);
        console.state.glyphs = Glyphs::new(set);
        console.draw();
        insta::assert_snapshot!(format!("processes_glyphs_{set}"), console.text());
    }
}

#[test]
fn graph_shows_cpu_time_of_processes() {
    let console = board(&process_fixtures::board(), 120, 36);
    assert!(!console.text().contains("CPU over time"), "{}", console.text());
    let mut console = board(&process_fixtures::board(), 120, 36);
    console.keys("2");
    let text = console.text();
    let tops = text.lines().filter(|line| line.contains("    2 ")).count();
    assert!(text.contains("redis: CPU over time") && tops > 0, "{text}");
    assert!(text.contains("4711       5  1.62   84M  /usr/bin/redis"), "{text}");
}

#[test]
fn help_explains_the_signs_of_processes() {
    let mut console = board(&process_fixtures::board(), 120, 100);
    console.keys("?");
    for words in ["◆ ◇ at a row", "3p 64t", "the processes run on every core"] {
        assert!(console.text().contains(words), "{words} in {}", console.text());
    }
}

#[test]
fn frames_of_processes_fit_any_size() {
    for snapshot in [process_fixtures::board(), process_fixtures::states()] {
        let mut console = board(&snapshot, 120, 36);
        for width in [1, 39, 40, 41, 59, 60, 80, 99, 100, 131, 200, 300] {
            for height in [1, 11, 12, 13, 17, 22, 30, 60] {
                console.frame = Buffer::empty(Rect::new(0, 0, width, height));
                console.draw();
                for keys in ["b2", "d", "w", "A", "b4", "d"] {
                    console.keys(keys);
                    for (place, target) in console.hits.iter() {
                        let area = console.frame.area;
                        assert_eq!(area.intersection(*place), *place, "{target:?} in {area}");
                    }
                    if keys == "A" {
                        console.key(KeyCode::Esc);
                    }
                }
            }
        }
    }
}

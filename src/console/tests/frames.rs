//! Snapshot tests of frames with their styles, in all important sizes and states.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test console::frames`, and look at the
//! difference. `cargo test console::frames::look -- --ignored --nocapture` prints them to look at.

use std::sync::Arc;

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::GlyphSet;
use crate::console::format;
use crate::console::glyphs::Glyphs;
use crate::console::picture::dump;
use crate::console::state::{Action, Target};
use crate::console::theme::{Theme, ThemeName};
use crate::layout::CoreOwner;
use crate::scheduler::Control;
use crate::telemetry::{LoanView, LogLevel, MemoryRow, Snapshot, VerdictStatus};

/// Returns a console that shows the board of a snapshot, with a minute of history.
fn board(snapshot: &Snapshot, width: u16, height: u16) -> TestConsole {
    let mut console = TestConsole::new(width, height);
    for second in (0..60).rev() {
        let mut past = snapshot.clone();
        past.uptime_us -= second * 1_000_000;
        console.state.history.observe(&past);
    }
    // the layout was loaded and not changed
    let rows = snapshot.models.iter().map(|view| view.row.budget.clone());
    console.state.saved = Some(rows.collect());
    console.act(Action::Snapshot(Arc::new(snapshot.clone())));
    console
}

fn styled(console: &TestConsole) -> String {
    dump::styled(&console.frame)
}

#[test]
fn board_at_every_size() {
    for (width, height) in [(200, 60), (120, 36), (80, 24), (40, 12), (39, 12), (1, 1)] {
        let console = board(&fixtures::board(), width, height);
        insta::assert_snapshot!(format!("board_{width}x{height}"), styled(&console));
    }
}

#[test]
fn board_states() {
    for (name, snapshot) in [
        ("empty", fixtures::empty()),
        ("loading", fixtures::loading()),
        ("failed", fixtures::failed()),
        ("oversubscribed", fixtures::oversubscribed()),
        ("huge", fixtures::huge()),
        ("names", fixtures::names()),
        ("gpus", fixtures::gpus()),
        ("two_gpus", fixtures::two_gpus()),
    ] {
        insta::assert_snapshot!(format!("board_{name}"), styled(&board(&snapshot, 120, 36)));
    }
}

#[test]
fn gpu_pane_shows_a_slow_driver() {
    let text = board(&fixtures::gpus(), 160, 40).text();
    let line = |word: &str| text.lines().find(|line| line.contains(word)).unwrap_or("").to_owned();
    assert!(line("   GPU CPU ").contains("2 found"), "{text}");
    assert!(line("2.3 s to answer").contains("figures may be old"), "{text}");
    let whole = line("H100");
    for word in ["73%", "31.0G/80.0G", "412 W", "67 °C", "throttled: power limit"] {
        assert!(whole.contains(word), "{word} in {whole}");
    }
    assert!(line("MIG").contains("0 1g.10gb"), "{text}");
    assert!(line("NVIDIA L4").contains("fell off the bus"), "{text}");
}

#[test]
fn words_are_whole_at_common_sizes() {
    let mut snapshot = fixtures::oversubscribed();
    for (view, bound_ms) in snapshot.models.iter_mut().zip([1_500.5, 200.0]) {
        let bound = std::time::Duration::from_secs_f64(bound_ms / 1e3);
        view.row.budget.slo = Some(crate::layout::Slo { percentile: 99.9, bound });
        view.minute.slo_us = Some(30_000);
    }
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let text = board(&snapshot, width, height).text();
        let head = text.lines().next().unwrap();
        assert!(head.contains("oversubscribed") && head.contains("quota 2.5 CPUs"), "{head}");
        assert!(!head.contains('…'), "{head}");
        assert!(text.contains("85%"), "{text}");
        for (name, bound, slack) in [("detector", "1500.5", "98%"), ("ocr", "200", "85%")] {
            let mut rows = text.lines().filter(|line| line.contains('■') && line.contains(name));
            let row = rows.find(|line| line.contains(bound)).unwrap_or_else(|| panic!("{text}"));
            assert!(row.contains(slack), "{row}");
        }
    }
}

#[test]
fn newest_verdict_fits_common_sizes() {
    let mut snapshot = fixtures::board();
    snapshot.changes = vec![fixtures::entry(1, VerdictStatus::Done, 690).into()];
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let text = board(&snapshot, width, height).text();
        for clause in ["detector p99 21.0 → 14.2 ms (-32%)", "ocr p99 180.0 → 240.0 ms (+33%)"]
        {
            assert!(text.contains(clause), "{clause} at {width}x{height}:\n{text}");
        }
    }
}

#[test]
fn machine_screen_shows_gpu_metrics() {
    let mut console = board(&fixtures::gpus(), 100, 40);
    console.keys("m");
    let text = console.text();
    for words in [
        "GPU 0 NVIDIA H100 80GB HBM3",
        "power   412 of 700 W",
        "MIG 0 NVIDIA H100 80GB HBM3 MIG 1g.10gb: ",
        "processors at 1980 MHz, memory at 2619 MHz",
        "1 process computes on it",
        "slowed by: power limit",
        "GPU 1 NVIDIA L4",
        "fell off the bus",
    ] {
        assert!(text.contains(words), "{words} in:\n{text}");
    }
}

#[test]
fn unknown_wait_is_a_dash() {
    let mut snapshot = fixtures::board();
    for view in &mut snapshot.cores {
        view.wait = None;
    }
    for width in [120, 140, 200] {
        let text = board(&snapshot, width, 36).text();
        assert!(text.contains("wait   -") && !text.contains("hid"), "{text}");
    }
}

#[test]
fn reduced_motion_ignores_the_pointer() {
    for reduced in [false, true] {
        let mut console = board(&fixtures::board(), 120, 36);
        console.state.reduced_motion = reduced;
        let at = console.place(&Target::RowCore(CoreOwner::Model("ocr".into())));
        console.down(at);
        console.drag((at.0, at.1 - 1));
        let text = console.text();
        assert_eq!(text.contains("1 core → detector"), !reduced, "{text}");
        assert!(text.contains("detector 4 -> 5 cores"), "the consequence is shown: {text}");
    }
}

#[test]
fn drag_in_progress() {
    let mut console = board(&fixtures::board(), 120, 36);
    let at = console.place(&Target::RowCore(CoreOwner::Model("ocr".into())));
    console.down(at);
    console.drag((at.0, at.1 - 1));
    insta::assert_snapshot!("drag", styled(&console));
}

#[test]
fn staged_screen() {
    let mut console = board(&fixtures::board(), 120, 36);
    console.keys("t+jl+");
    insta::assert_snapshot!("staged", styled(&console));
}

#[test]
fn other_screens() {
    for (name, keys) in [
        ("help", "?"),
        ("palette", ":sa"),
        ("filter", "/det"),
        ("detail", "d"),
        ("machine", "m"),
        ("memory", "w"),
        ("layouts", "s+o"),
        ("journal", "J"),
        ("save_as", "S"),
        ("quit", "+q"),
        ("expanded_latency", "z"),
    ] {
        let mut console = board(&fixtures::board(), 100, 30);
        if name == "expanded_latency" {
            console.key(KeyCode::Tab);
            console.key(KeyCode::Tab);
        }
        console.keys(keys);
        insta::assert_snapshot!(name, dump::text(&console.frame));
    }
}

/// The tested sizes: wide, common, classic, smallest and too small.
const SIZES: [(u16, u16); 5] = [(200, 60), (120, 36), (80, 24), (40, 12), (1, 1)];

#[test]
fn every_screen_at_every_size() {
    for (name, keys) in
        [("detail", "d"), ("machine", "m"), ("memory", "w"), ("layouts", "s+o"), ("journal", "J")]
    {
        let frames = SIZES.map(|(width, height)| {
            let mut console = board(&fixtures::board(), width, height);
            console.keys(keys);
            console.text()
        });
        insta::assert_snapshot!(format!("sizes_{name}"), frames.join("\n"));
    }
}

#[test]
fn every_state_at_every_size() {
    type Hand = fn(&mut TestConsole);
    let drag: Hand = |console| {
        let (from, to) = (Target::RowCore(CoreOwner::Model("ocr".into())), "detector".into());
        if let (Some(from), Some(to)) =
            (console.hits.find(&from), console.hits.find(&Target::Row(CoreOwner::Model(to))))
        {
            console.down((from.x, from.y));
            console.drag((to.x, to.y));
        }
    };
    let states: [(&str, Snapshot, Hand); 7] = [
        ("empty", fixtures::empty(), |_| {}),
        ("loading", fixtures::loading(), |_| {}),
        ("failed", fixtures::failed(), |_| {}),
        ("oversubscribed", fixtures::oversubscribed(), |_| {}),
        ("drag", fixtures::board(), drag),
        ("staged", fixtures::board(), |console| console.keys("t+jl+")),
        ("huge", fixtures::huge(), |_| {}),
    ];
    for (name, snapshot, hand) in states {
        let frames = SIZES.map(|(width, height)| {
            let mut console = board(&snapshot, width, height);
            hand(&mut console);
            console.text()
        });
        insta::assert_snapshot!(format!("sizes_{name}"), frames.join("\n"));
    }
}

#[test]
fn log_follows_newest_until_scrolled() {
    let mut frames = Vec::new();
    for (width, height) in [(100, 20), (40, 12)] {
        let mut console = board(&fixtures::board(), width, height);
        let logged = [
            (LogLevel::Info, "divvy::scheduler::owner", "detector: loaded in 21 ms"),
            (
                LogLevel::Warn,
                "divvy::stderr",
                "2026-02-01 [W:onnxruntime:, allocator.cc:30] the arena was extended to a size that takes more than a line of this screen to tell",
            ),
            (LogLevel::Error, "divvy::scheduler::owner", "ocr: an instance was lost: it panicked"),
            (LogLevel::Debug, "divvy", "日本語 is as wide as it is"),
        ];
        for round in 0..6u64 {
            for (level, from, text) in logged {
                console.log.push(1_769_949_067_000 + round * 1000, level, from, text);
            }
        }
        console.keys("L");
        frames.push(dump::styled(&console.frame));
        console.keys("kkk");
        console.log.push(1_769_949_090_000, LogLevel::Info, "divvy", "one more");
        console.refresh();
        assert!(!console.text().contains("one more"), "{}", console.text());
        frames.push(console.text());
        console.key(KeyCode::End);
        assert!(console.text().contains("one more"), "{}", console.text());
    }
    insta::assert_snapshot!("log", frames.join("\n"));
}

#[test]
fn row_editor_screen() {
    let mut frames = Vec::new();
    for (width, height) in [(120, 36), (80, 24), (40, 12)] {
        let mut console = board(&fixtures::board(), width, height);
        console.keys("e");
        frames.push(console.text());
        console.key(KeyCode::Enter);
        console.control_key('u');
        console.keys("9");
        frames.push(console.text());
        console.key(KeyCode::Backspace);
        console.keys("2");
        frames.push(console.text());
    }
    insta::assert_snapshot!("row_keys", frames.join("\n"));
}

#[test]
fn screens_by_theme_or_glyph_set() {
    for name in ThemeName::ALL {
        let mut console = board(&fixtures::board(), 80, 24);
        console.state.theme = Theme::new(name);
        console.log.push(1_769_949_067_000, LogLevel::Warn, "divvy", "something is odd");
        // the board, then each further screen
        let frames: Vec<String> = ["b", "d", "m", "w", "o", "J", "L"]
            .into_iter()
            .map(|key| {
                console.keys(key);
                styled(&console)
            })
            .collect();
        insta::assert_snapshot!(format!("theme_{name}"), frames.join("\n"));
    }
    for set in [GlyphSet::Braille, GlyphSet::Ascii] {
        let mut console = board(&fixtures::board(), 120, 30);
        console.state.glyphs = Glyphs::new(set);
        console.draw();
        insta::assert_snapshot!(format!("glyphs_{set}"), console.text());
    }
}

#[test]
fn ascii_board_is_ascii() {
    let mut console = board(&fixtures::board(), 120, 36);
    console.state.glyphs = Glyphs::new(GlyphSet::Ascii);
    console.draw();
    assert!(console.text().is_ascii(), "{}", console.text());
}

#[test]
fn same_state_draws_the_same_frame() {
    let mut console = board(&fixtures::huge(), 200, 60);
    let first = console.frame.clone();
    console.draw();
    assert_eq!(first, console.frame);
    assert_eq!(crate::console::svg(&first), crate::console::svg(&console.frame));
}

#[test]
fn no_panic_at_any_size() {
    let snapshots = [fixtures::board(), fixtures::huge(), fixtures::names(), fixtures::empty()];
    for snapshot in &snapshots {
        let mut console = board(snapshot, 120, 36);
        for width in [1, 2, 39, 40, 41, 59, 80, 99, 100, 131, 200, 300] {
            for height in [1, 2, 11, 12, 13, 17, 18, 22, 26, 30, 37, 60, 100] {
                console.frame = Buffer::empty(Rect::new(0, 0, width, height));
                console.draw();
                for keys in ["", "?", "m", "w", "d", "o", "J", "b"] {
                    console.keys(keys);
                    for (place, target) in console.hits.iter() {
                        let area = console.frame.area;
                        assert_eq!(area.intersection(*place), *place, "{target:?} in {area}");
                    }
                    if keys == "?" {
                        console.key(KeyCode::Esc);
                    }
                }
            }
        }
    }
}

#[test]
fn pointer_reaches_every_visible_core() {
    let console = board(&fixtures::huge(), 200, 60);
    for view in &console.state.snapshot.cores {
        let place = console.place(&Target::Core(view.core.id));
        assert_eq!(console.hits.at(place.0, place.1), Some(&Target::Core(view.core.id)));
    }
}

#[test]
#[ignore = "prints frames to look at"]
fn look() {
    for (width, height) in [(200, 60), (120, 36), (80, 24), (40, 12)] {
        println!("{}", board(&fixtures::board(), width, height).text());
    }
    for snapshot in [fixtures::huge(), fixtures::names(), fixtures::failed()] {
        println!("{}", board(&snapshot, 120, 36).text());
    }
}

#[test]
fn screens_stay_readable_with_200_models() {
    let mut snapshot = fixtures::many();
    snapshot.memory_table.models = (0..200)
        .map(|index| MemoryRow { model: format!("m{index:03}"), ..MemoryRow::default() })
        .collect();
    for (width, height) in [(200, 50), (80, 24), (40, 12)] {
        let mut desk = board(&snapshot, width, height);
        let name = |text: &str, name: &str| text.lines().any(|line| line.contains(name));
        assert!(name(&desk.text(), "m000") && name(&desk.text(), "more below"), "{}", desk.text());
        desk.keys("jjjj");
        desk.key(KeyCode::PageDown);
        assert!(name(&desk.text(), "m014"), "{}", desk.text());
        desk.keys("Gk");
        assert!(name(&desk.text(), "m199"), "{}", desk.text());
        desk.keys("/19");
        desk.key(KeyCode::Enter);
        assert!(name(&desk.text(), "Models with \"19\""), "{}", desk.text());
        desk.keys("w");
        assert!(name(&desk.text(), "more below"), "{}", desk.text());
        desk.key(KeyCode::End);
        assert!(name(&desk.text(), "m199"), "{}", desk.text());
    }
}

#[test]
fn long_list_of_layouts_keeps_selection_in_view() {
    for (width, height) in [(200, 50), (80, 24), (40, 12)] {
        let mut desk = board(&fixtures::board(), width, height);
        let layout = desk.control.layout();
        for index in 0..200 {
            desk.profiles.put(&format!("night-{index:03}"), &layout);
        }
        desk.keys("oG");
        let text = desk.text();
        assert!(text.contains("night-199"), "{text}");
    }
}

#[test]
fn guessed_sizes_are_marked() {
    let mut snapshot = fixtures::board();
    assert!(!board(&snapshot, 120, 36).text().contains('~'));
    let p99 = format!("~{}", format::millis(snapshot.models[0].minute.total.p99_us));
    snapshot.models[0].guessed_dims.insert("height".to_owned(), 224);
    let mut console = board(&snapshot, 120, 36);
    assert!(console.text().contains(&p99), "{}", console.text());
    console.keys("d");
    assert!(console.text().contains("height = 224"), "{}", console.text());
}

#[test]
fn record_key_names_the_file() {
    let mut console = board(&fixtures::board(), 120, 36);
    console.keys("W");
    assert!(console.text().contains("in a.npz"), "{}", console.text());
}

#[test]
fn detail_says_that_a_model_is_not_tried() {
    let mut snapshot = fixtures::board();
    snapshot.models[0].untried = Some("no guess runs".to_owned());
    let mut console = board(&snapshot, 160, 36);
    console.keys("d");
    assert!(
        console.text().contains("not tried     no guess runs; the first"),
        "{}",
        console.text()
    );
}

/// The board's snapshot while the first model lends a core to the second.
fn with_loan(ends_at_unix_ms: Option<u64>) -> Snapshot {
    let mut snapshot = fixtures::board();
    let cores = snapshot.models[0].row.cores.iter().last().into_iter().collect();
    let name = |index: usize| snapshot.models[index].row.budget.name.clone();
    let (lender, borrower) = (Some(name(0)), name(1));
    snapshot.loans = vec![LoanView { id: 1, cores, lender, borrower, ends_at_unix_ms }];
    for (index, cores) in [(0, "0-2"), (1, "3-5")] {
        snapshot.models[index].actual.effective_cores = Some(cores.parse().unwrap());
    }
    snapshot
}

#[test]
fn lent_core_shows_its_borrower() {
    let until = with_loan(Some(1_769_949_100_000));
    let mut console = board(&until, 120, 36);
    insta::assert_snapshot!("board_loan", styled(&console));
    console.keys("d");
    assert!(console.text().contains("detector lends core 3 to ocr until 12:31:40"));
    let text = board(&with_loan(None), 120, 36).text();
    assert!(text.contains("lends core 3 to ocr without a time limit"), "{text}");
}

#[test]
fn loan_shows_effective_core_counts() {
    let text = board(&with_loan(None), 120, 36).text();
    let row = |name: &str| text.lines().find(|line| line.contains(name) && line.contains("/64"));
    assert!(row("detector").unwrap().contains(" 3> "), "{text}");
    assert!(row("ocr").unwrap().contains(" 3> "), "{text}");
    assert!(row("embedder").unwrap().contains(" 1 "), "{text}");
}

#[test]
fn free_core_can_be_lent() {
    let mut snapshot = with_loan(None);
    snapshot.loans[0].lender = None;
    snapshot.loans[0].cores = "7".parse().unwrap();
    let text = board(&snapshot, 120, 36).text();
    assert!(text.contains("free core 7 is lent to ocr"), "{text}");
    assert!(text.contains("7 >ocr"), "{text}");
}

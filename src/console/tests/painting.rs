//! Tests that a frame repainted in parts equals a frame drawn whole, and that the bytes sent for it
//! reproduce it on a terminal.

use std::io;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::Action;
use crate::console::theme::{Theme, ThemeName};
use crate::console::view::{Painted, Painter, SentFrame};
use crate::telemetry::{Alert, ModelState, Snapshot, VerdictStatus};

/// One step of a random run.
#[derive(Clone, Debug)]
enum Step {
    /// A snapshot in which some values changed, chosen by the seed.
    Figures(u64),
    /// The same values, half a second later.
    Later,
    Key(char),
    Code(KeyCode),
    Size(u16, u16),
    /// A frame without any change.
    Nothing,
    /// Another program writes over the screen, and the user redraws it.
    Scribble,
    /// From here on, frames are painted but not sent, as between two frames of a drag.
    Hold,
    /// Ends `Hold`.
    Release,
}

/// A terminal that receives the bytes sent for each frame.
struct FakeScreen {
    sent: SentFrame,
    screen: vt100::Parser,
    held: bool,
}

impl FakeScreen {
    fn new(area: Rect) -> Self {
        let screen = vt100::Parser::new(cells(area.height), cells(area.width), 0);
        Self { sent: SentFrame::default(), screen, held: false }
    }

    fn show(&mut self, frame: &Buffer, changed: &[Rect]) {
        let mut bytes = Vec::new();
        let mut backend = CrosstermBackend::new(&mut bytes);
        self.sent.send(frame, changed, &mut backend).unwrap();
        self.screen.process(&bytes);
    }

    fn scribble(&mut self) {
        self.screen.process("\x1b[3;1H\x1b[41m検出 a library was here\r\n".as_bytes());
        self.sent.invalidate();
    }

    /// Resizes the terminal, which loses its content.
    fn resize(&mut self, area: Rect) {
        self.screen = Self::new(area).screen;
        self.sent.invalidate();
    }

    /// Compares the cells with those of a terminal that received only this frame.
    fn assert_shows(&self, frame: &Buffer) {
        let mut fresh = Self::new(frame.area);
        fresh.show(frame, &[]);
        let (kept, whole) = (self.screen.screen(), fresh.screen.screen());
        for place in frame.area.positions() {
            let at = |screen: &vt100::Screen| screen.cell(place.y, place.x).map(appearance);
            assert_eq!(at(kept), at(whole), "at {place:?}\n{}", kept.contents());
        }
        let lines: Vec<String> = kept.rows(0, frame.area.width).collect();
        for (y, line) in lines.iter().enumerate() {
            assert_eq!(line.trim_end(), text(frame, y as u16).trim_end(), "in row {y}");
        }
    }
}

/// The visible content of a cell. A cell that was never written looks like a space.
fn appearance(cell: &vt100::Cell) -> impl PartialEq + std::fmt::Debug + use<> {
    let text = if cell.has_contents() { cell.contents() } else { " " };
    let attributes = [cell.bold(), cell.dim(), cell.italic(), cell.underline(), cell.inverse()];
    (text.to_owned(), cell.is_wide(), cell.fgcolor(), cell.bgcolor(), attributes)
}

fn cells(count: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(count).unwrap()
}

/// The text of a row, without the columns that wide characters cover.
fn text(frame: &Buffer, y: u16) -> String {
    let mut text = String::new();
    let mut x = frame.area.x;
    while let Some(cell) = frame.cell((x, y)) {
        text.push_str(cell.symbol());
        x += crate::console::format::width(cell.symbol()).max(1) as u16;
    }
    text
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = prop::sample::select(vec![(200, 60), (120, 36), (80, 24), (40, 12), (30, 8)]);
    let keys = prop::sample::select("jjjkkklhOOtzT ?bdmwoJL+-ux".chars().collect::<Vec<char>>());
    let codes =
        prop::sample::select(vec![KeyCode::Tab, KeyCode::Esc, KeyCode::Enter, KeyCode::Down]);
    prop_oneof![
        8 => any::<u64>().prop_map(Step::Figures),
        2 => Just(Step::Later),
        4 => keys.prop_map(Step::Key),
        2 => codes.prop_map(Step::Code),
        1 => sizes.prop_map(|(width, height)| Step::Size(width, height)),
        1 => Just(Step::Nothing),
        1 => Just(Step::Scribble),
        1 => Just(Step::Hold),
        2 => Just(Step::Release),
    ]
}

/// Changes some values of a snapshot.
fn change(snapshot: &mut Snapshot, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for model in &mut snapshot.models {
        match random.u8(0..20) {
            0 => model.cpu = random.f64() * 4.0,
            1 => model.minute.total.p99_us = random.u64(500..90_000),
            2 => model.counts.executing = random.u64(0..3),
            3 => model.counts.queued = random.u64(0..60),
            4 => model.second.completed_per_s = random.f64() * 500.0,
            5 => model.second.total.p99_us = random.u64(500..90_000),
            6 => {
                // wide characters at even and odd columns, and narrow ones in their place
                let reason = ["植えられた故障", " 植えられた故障", "planted"];
                let reason = reason[random.usize(0..3)].to_owned();
                model.state = ModelState::Failed { reason };
            }
            7 => model.state = ModelState::Running,
            8 => model.histogram.total.iter_mut().for_each(|count| *count += 3),
            9 => model.minute.slo_us = random.bool().then(|| random.u64(500..90_000)),
            10 => model.actual.difference = random.bool().then(|| "planted".to_owned()),
            11 => model.histogram_second.total.iter_mut().for_each(|count| *count += 1),
            12 => model.row.concurrency = random.usize(1..5),
            _ => {}
        }
    }
    for core in &mut snapshot.cores {
        match random.u8(0..10) {
            0 => core.busy = random.f64(),
            1 => core.wait = random.bool().then(|| random.f64()),
            2 => core.by_model.clear(),
            _ => {}
        }
    }
    match random.u8(0..12) {
        0 => snapshot.alerts = vec![Alert { model: None, text: format!("alert {seed}") }],
        1 => snapshot.alerts.clear(),
        2 if snapshot.models.len() > 2 => {
            snapshot.models.remove(random.usize(1..snapshot.models.len()));
        }
        3 => {
            let id = snapshot.changes.len() as u64 + 1;
            let second = (snapshot.uptime_us / 1_000_000).min(751);
            snapshot.changes.push(fixtures::entry(id, VerdictStatus::Open, second).into());
        }
        4 => {
            if let Some(entry) = snapshot.changes.last_mut() {
                let entry = Arc::make_mut(entry);
                entry.undone = !entry.undone;
            }
        }
        _ => {}
    }
}

/// Paints the state and compares the kept frame with one drawn whole, and the terminal with both.
fn compare(painter: &mut Painter, desk: &mut TestConsole, screen: &mut FakeScreen, step: &Step) {
    painter.paint(&desk.state, desk.frame.area);
    if !screen.held {
        let changed = painter.take_changed();
        screen.show(painter.frame(), &changed);
    }
    desk.draw();
    assert_eq!(painter.hits(), &desk.hits, "{step:?}");
    if *painter.frame() != desk.frame {
        let kept = crate::console::picture::dump::styled(painter.frame());
        let whole = crate::console::picture::dump::styled(&desk.frame);
        panic!("after {step:?} the kept frame\n{kept}\nis not\n{whole}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn kept_frame_equals_whole_frame(
        steps in prop::collection::vec(step(), 1..60), huge in any::<bool>(),
    ) {
        let mut desk = TestConsole::new(120, 36);
        let mut snapshot = if huge { fixtures::huge() } else { fixtures::board() };
        desk.show(snapshot.clone());
        let mut painter = Painter::default();
        let mut screen = FakeScreen::new(desk.frame.area);
        for step in &steps {
            match step {
                Step::Figures(seed) => {
                    change(&mut snapshot, *seed);
                    snapshot.uptime_us += 500_000;
                    desk.show(snapshot.clone());
                }
                Step::Later => {
                    snapshot.uptime_us += 500_000;
                    desk.show(snapshot.clone());
                }
                Step::Key(letter) => desk.keys(&letter.to_string()),
                Step::Code(code) => {
                    desk.act(Action::Key(KeyEvent::new(*code, KeyModifiers::NONE)));
                }
                Step::Size(width, height) => {
                    desk.frame = Buffer::empty(Rect::new(0, 0, *width, *height));
                    desk.act(Action::Resized);
                    screen.resize(desk.frame.area);
                }
                Step::Nothing => {}
                Step::Scribble => screen.scribble(),
                Step::Hold => screen.held = true,
                Step::Release => screen.held = false,
            }
            compare(&mut painter, &mut desk, &mut screen, step);
        }
        // a wrong cell stays wrong until it changes, so once per run is enough
        screen.held = false;
        compare(&mut painter, &mut desk, &mut screen, &Step::Release);
        screen.assert_shows(painter.frame());
    }
}

#[test]
fn unchanged_state_paints_nothing() {
    let mut desk = TestConsole::new(120, 36);
    desk.show(fixtures::board());
    let mut painter = Painter::default();
    assert_eq!(painter.paint(&desk.state, desk.frame.area), Painted::Changed);
    assert_eq!(painter.paint(&desk.state, desk.frame.area), Painted::Unchanged);
}

/// A row of letters, wide characters and gaps, each in one of two styles.
fn line() -> impl Strategy<Value = Vec<(&'static str, bool)>> {
    let texts = prop::sample::select(vec!["a", "b", " ", "検", "出", "─", "e\u{301}"]);
    prop::collection::vec((texts, any::<bool>()), 0..16)
}

fn drawn(line: &[(&str, bool)]) -> Buffer {
    let mut frame = Buffer::empty(Rect::new(0, 0, 16, 1));
    let mut x = 0;
    for (text, reversed) in line {
        let modifier = if *reversed { Modifier::REVERSED } else { Modifier::empty() };
        (x, _) = frame.set_stringn(x, 0, text, 16usize.saturating_sub(x.into()), modifier);
    }
    frame
}

proptest! {
    #[test]
    fn sent_line_replaces_any_other(lines in prop::collection::vec(line(), 1..6)) {
        let area = Rect::new(0, 0, 16, 1);
        let mut screen = FakeScreen::new(area);
        for line in &lines {
            let frame = drawn(line);
            screen.show(&frame, &[area]);
            screen.assert_shows(&frame);
        }
    }
}

#[test]
fn unchanged_areas_send_nothing() {
    let frame = drawn(&[("a", false), ("検", true)]);
    let mut sent = SentFrame::default();
    let mut backend = CrosstermBackend::new(io::sink());
    let mut send = |frame, changed: &[Rect]| sent.send(frame, changed, &mut backend).unwrap();
    assert_eq!(send(&frame, &[]), 2);
    assert_eq!(send(&frame, &[frame.area]), 0);
    let other = drawn(&[("b", false), ("出", true)]);
    assert_eq!(send(&other, &[Rect::new(0, 0, 1, 1)]), 1);
    assert_eq!(send(&other, &[Rect::new(1, 0, 5, 1)]), 1);
}

/// Terminals differ in how they show such a cell, and after which other cell it is sent matters too.
#[test]
fn no_cell_is_both_bold_and_dim() {
    for name in ThemeName::ALL {
        let mut console = TestConsole::new(120, 36);
        console.state.theme = Theme::new(name);
        console.show(fixtures::board());
        for keys in ["b", "j", "d", "m", "w", "J", "!", "b?"] {
            console.keys(keys);
            let both = Modifier::BOLD | Modifier::DIM;
            let cells = &console.frame.content;
            assert!(!cells.iter().any(|cell| cell.modifier.contains(both)), "{name} {keys}");
        }
    }
}

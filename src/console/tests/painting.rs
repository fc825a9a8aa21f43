//! Tests that a frame repainted in parts equals a frame drawn whole.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::Action;
use crate::console::view::{Painted, Painter};
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
            6 => model.state = ModelState::Failed { reason: "planted".to_owned() },
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

/// Paints the state and compares the kept frame with one drawn whole.
fn compare(painter: &mut Painter, desk: &mut TestConsole, step: &Step) {
    painter.paint(&desk.state, desk.frame.area);
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
                }
                Step::Nothing => {}
            }
            compare(&mut painter, &mut desk, step);
        }
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

//! What a frame of the console costs, drawn into memory: small and huge, whole and unchanged, and
//! what the plan costs that is shown while something is dragged.

mod scene;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::Serialize;

use super::BenchArgs;
use super::report::{Setting, Table, print, quantile};
use crate::command::CommandError;
use crate::console::ConsoleOptions;
use crate::console::state::{Action, ConsoleState, update};
use crate::console::view;
use crate::layout::{Change, CoreOwner, CoreSelection, Edit};
use crate::machine::this_machine;
use scene::Scene;

/// Half seconds of history behind the first frame.
const BEFORE: u64 = 120;

/// What a full frame of the huge scene is to cost at most, microseconds.
const TARGET_US: f64 = 2000.0;

/// The report.
#[derive(Debug, Serialize)]
struct FrameReport {
    #[serde(flatten)]
    setting: Setting,
    /// What a full frame is to cost at most, microseconds.
    target_us: f64,
    scenes: Vec<SceneReport>,
}

/// One size of machine and screen.
#[derive(Debug, Serialize)]
struct SceneReport {
    models: usize,
    cores: usize,
    columns: u16,
    rows: u16,
    /// A snapshot is taken in.
    taken_in: Cost,
    /// A frame over a blank screen.
    full: Cost,
    /// A frame after a snapshot whose figures have all changed.
    changed: Cost,
    /// A frame where nothing has changed.
    unchanged: Cost,
    /// The consequence of moving one core.
    plan: Cost,
}

/// Times of one thing, done many times.
#[derive(Debug, Serialize)]
struct Cost {
    count: usize,
    median_us: f64,
    p99_us: f64,
    /// Median of the cells that would be sent; 0 where none are drawn.
    cells: u64,
}

#[derive(Default)]
struct Times {
    us: Vec<f64>,
    cells: Vec<f64>,
}

impl Times {
    /// Times something that answers how many cells it sends.
    fn take(&mut self, deed: impl FnOnce() -> usize) {
        let start = Instant::now();
        let cells = deed();
        self.us.push(start.elapsed().as_secs_f64() * 1e6);
        self.cells.push(cells as f64);
    }

    fn cost(&self) -> Cost {
        Cost {
            count: self.us.len(),
            median_us: quantile(&self.us, 0.5),
            p99_us: quantile(&self.us, 0.99),
            cells: quantile(&self.cells, 0.5) as u64,
        }
    }
}

impl fmt::Display for FrameReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting.title())?;
        let mut table =
            Table::new(&["scene", "what", "times", "cells", "median us", "p99 us", "target"]);
        for scene in &self.scenes {
            let mut name = format!(
                "{} models, {} cores, {}x{}",
                scene.models, scene.cores, scene.columns, scene.rows
            );
            let target = format!("<= {}", self.target_us);
            for (what, cost, target) in [
                ("full frame", &scene.full, target.as_str()),
                ("changed frame", &scene.changed, ""),
                ("unchanged frame", &scene.unchanged, ""),
                ("snapshot taken in", &scene.taken_in, ""),
                ("plan of a change", &scene.plan, ""),
            ] {
                table.row(vec![
                    std::mem::take(&mut name),
                    what.to_owned(),
                    cost.count.to_string(),
                    cost.cells.to_string(),
                    format!("{:.1}", cost.median_us),
                    format!("{:.1}", cost.p99_us),
                    target.to_owned(),
                ]);
            }
        }
        write!(f, "{table}")
    }
}

/// Runs it.
///
/// # Errors
/// [`CommandError::Failed`] when a made-up layout cannot be placed.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let description = this_machine(None)?.describe();
    let window = Duration::from_secs_f64(args.seconds / 2.0);
    let scenes = vec![
        measure(&Scene::new(3, 2, 8)?, (120, 36), window)?,
        measure(&Scene::new(64, 192, 60)?, (200, 60), window)?,
    ];
    let report = FrameReport {
        setting: Setting::new("frame", args, &description, "the console in memory".to_owned()),
        target_us: TARGET_US,
        scenes,
    };
    print(args, &report)
}

fn measure(
    scene: &Scene,
    (columns, rows): (u16, u16),
    window: Duration,
) -> Result<SceneReport, CommandError> {
    let mut state = ConsoleState::new(&ConsoleOptions::default());
    update(&mut state, Action::Baseline(scene.desired.layout()));
    for step in 0..BEFORE {
        update(&mut state, Action::Snapshot(Arc::new(scene.snapshot(step))));
    }
    let blank = Buffer::empty(Rect::new(0, 0, columns, rows));
    let (mut frame, mut before, mut copy) = (blank.clone(), blank.clone(), blank.clone());
    let change = one_core(scene);
    let [mut taken_in, mut full, mut changed, mut unchanged, mut plan]: [Times; 5] =
        Default::default();
    // as the console does it: painted anew, copied for pictures, compared with the last one
    let mut draw = |state: &ConsoleState, before: &Buffer, frame: &mut Buffer| {
        frame.reset();
        view::draw(state, frame);
        copy.clone_from(frame);
        before.diff(frame).len()
    };
    draw(&state, &blank, &mut before);
    let start = Instant::now();
    let mut step = BEFORE;
    while start.elapsed() < window || step == BEFORE {
        let snapshot = Arc::new(scene.snapshot(step));
        taken_in.take(|| {
            update(&mut state, Action::Snapshot(snapshot));
            0
        });
        changed.take(|| draw(&state, &before, &mut frame));
        before.clone_from(&frame);
        unchanged.take(|| draw(&state, &before, &mut frame));
        full.take(|| draw(&state, &blank, &mut frame));
        let mut planned = Ok(());
        plan.take(|| {
            planned = scene.desired.plan(&change, &scene.machine).map(|_| ());
            0
        });
        planned.map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
        step += 1;
    }
    Ok(SceneReport {
        models: scene.desired.rows.len(),
        cores: scene.machine.topology.cores.len(),
        columns,
        rows,
        taken_in: taken_in.cost(),
        full: full.cost(),
        changed: changed.cost(),
        unchanged: unchanged.cost(),
        plan: plan.cost(),
    })
}

/// One core from the first model to the last.
fn one_core(scene: &Scene) -> Change {
    let rows = &scene.desired.rows;
    let party = |row: Option<&crate::layout::Row>| {
        row.map_or(CoreOwner::Free, |row| CoreOwner::Model(row.budget.name.clone()))
    };
    Change::from(Edit::TransferCores {
        cores: CoreSelection::Count(1),
        from: party(rows.first()),
        to: party(rows.last()),
        share: false,
    })
}

//! The cost of a frame of the console, drawn into memory: on a small and on a huge machine, with
//! nothing, a few rows or all rows changed; and the cost of the plan shown during a drag.

pub(super) mod scenario;

use std::fmt;
use std::io::{self, Sink};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use serde::Serialize;

use super::BenchArgs;
use super::report::{Setting, Table, print, quantile};
use crate::command::CommandError;
use crate::console::ConsoleOptions;
use crate::console::state::{Action, ConsoleState, update};
use crate::console::view::{Painted, Painter, SentFrame};
use crate::layout::{Change, CoreOwner, CoreSelection, Edit};
use crate::machine::this_machine;
use scenario::{Figures, FrameScenario};

/// Snapshots, one per half second, before the first measured frame.
const BEFORE: u64 = 120;

/// Rows whose figures change in the frame in which a few change.
const FEW: usize = 8;

/// The most that a frame of the huge scenario may cost, microseconds.
const UNCHANGED_TARGET_US: f64 = 100.0;
const FEW_TARGET_US: f64 = 500.0;
const ALL_TARGET_US: f64 = 1500.0;

/// The report.
#[derive(Debug, Serialize)]
struct FrameReport {
    #[serde(flatten)]
    setting: Setting,
    scenarios: Vec<ScenarioReport>,
}

/// One size of machine and screen.
#[derive(Debug, Serialize)]
struct ScenarioReport {
    models: usize,
    cores: usize,
    columns: u16,
    rows: u16,
    /// A frame of the same snapshot and state as the last one.
    unchanged: Cost,
    /// A frame of a new snapshot with the same figures: only clock and memory change.
    same_figures: Cost,
    /// A frame of a new snapshot in which the figures of a few rows and their cores changed.
    few_changed: Cost,
    /// A frame of a new snapshot in which all figures changed.
    all_changed: Cost,
    /// The first frame, over an empty screen.
    first: Cost,
    /// Taking in a snapshot.
    taken_in: Cost,
    /// The plan of moving one core, as shown during a drag.
    plan: Cost,
}

/// The times of one operation.
#[derive(Debug, Serialize)]
struct Cost {
    count: usize,
    median_us: f64,
    p99_us: f64,
    /// Median of the cells sent to the terminal.
    cells: u64,
}

#[derive(Default)]
struct Times {
    us: Vec<f64>,
    cells: Vec<f64>,
}

impl Times {
    /// Times an operation that returns how many cells it sends.
    fn take(&mut self, operation: impl FnOnce() -> usize) {
        let start = Instant::now();
        let cells = operation();
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
            Table::new(&["scenario", "frame", "times", "cells", "median us", "p99 us", "target"]);
        for scenario in &self.scenarios {
            let mut name = format!(
                "{} models, {} cores, {}x{}",
                scenario.models, scenario.cores, scenario.columns, scenario.rows
            );
            let few = format!("{FEW} rows changed");
            for (what, cost, target) in [
                ("nothing changed", &scenario.unchanged, Some(UNCHANGED_TARGET_US)),
                ("new snapshot, same figures", &scenario.same_figures, None),
                (few.as_str(), &scenario.few_changed, Some(FEW_TARGET_US)),
                ("all rows changed", &scenario.all_changed, Some(ALL_TARGET_US)),
                ("first frame", &scenario.first, None),
                ("snapshot taken in", &scenario.taken_in, None),
                ("plan of a change", &scenario.plan, None),
            ] {
                table.row(vec![
                    std::mem::take(&mut name),
                    what.to_owned(),
                    cost.count.to_string(),
                    cost.cells.to_string(),
                    format!("{:.1}", cost.median_us),
                    format!("{:.1}", cost.p99_us),
                    target.map_or_else(String::new, |us| format!("< {us}")),
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
    let scenarios = vec![
        measure(&FrameScenario::new(3, 2, 8)?, (120, 36), window)?,
        measure(&FrameScenario::new(64, 192, 60)?, (200, 60), window)?,
    ];
    let report = FrameReport {
        setting: Setting::new("frame", args, &description, "the console in memory".to_owned()),
        scenarios,
    };
    print(args, &report)
}

fn measure(
    scenario: &FrameScenario,
    (columns, rows): (u16, u16),
    window: Duration,
) -> Result<ScenarioReport, CommandError> {
    let mut state = ConsoleState::new(&ConsoleOptions::default());
    update(&mut state, Action::Baseline(scenario.desired.layout()));
    for step in 0..BEFORE {
        update(
            &mut state,
            Action::Snapshot(Arc::new(scenario.snapshot(step, Figures { base: step, rows: 0 }))),
        );
    }
    let change = one_core(scenario);
    let [mut taken_in, mut first, mut all, mut few, mut same, mut unchanged, mut plan]: [Times; 7] =
        Default::default();
    let mut terminal = FakeTerminal::new(Rect::new(0, 0, columns, rows));
    terminal.draw(&state);
    let start = Instant::now();
    let mut step = BEFORE;
    while start.elapsed() < window || step == BEFORE {
        for (figures, times) in [
            (Figures { base: step, rows: 0 }, &mut all),
            (Figures { base: step, rows: 0 }, &mut same),
            (Figures { base: step, rows: FEW }, &mut few),
        ] {
            let snapshot = Arc::new(scenario.snapshot(step, figures));
            taken_in.take(|| {
                update(&mut state, Action::Snapshot(snapshot));
                0
            });
            times.take(|| terminal.draw(&state));
            unchanged.take(|| terminal.draw(&state));
            step += 1;
        }
        first.take(|| FakeTerminal::new(terminal.area).draw(&state));
        let mut planned = Ok(());
        plan.take(|| {
            planned = scenario.desired.plan(&change, &scenario.machine).map(|_| ());
            0
        });
        planned.map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
    }
    Ok(ScenarioReport {
        models: scenario.desired.rows.len(),
        cores: scenario.machine.topology.cores.len(),
        columns,
        rows,
        unchanged: unchanged.cost(),
        same_figures: same.cost(),
        few_changed: few.cost(),
        all_changed: all.cost(),
        first: first.cost(),
        taken_in: taken_in.cost(),
        plan: plan.cost(),
    })
}

/// Draws as the console does: paints, compares the changed areas with the frame sent last, and encodes
/// the cells for a terminal.
struct FakeTerminal {
    area: Rect,
    painter: Painter,
    sent: SentFrame,
    backend: CrosstermBackend<Sink>,
}

impl FakeTerminal {
    fn new(area: Rect) -> Self {
        let backend = CrosstermBackend::new(io::sink());
        Self { area, painter: Painter::default(), sent: SentFrame::default(), backend }
    }

    /// Returns the number of cells sent.
    fn draw(&mut self, state: &ConsoleState) -> usize {
        if self.painter.paint(state, self.area) == Painted::Unchanged {
            return 0;
        }
        let changed = self.painter.take_changed();
        // a sink never fails
        self.sent.send(self.painter.frame(), &changed, &mut self.backend).unwrap_or_default()
    }
}

/// One core from the first model to the last.
fn one_core(scenario: &FrameScenario) -> Change {
    let rows = &scenario.desired.rows;
    let owner = |row: Option<&crate::layout::Row>| {
        row.map_or(CoreOwner::Free, |row| CoreOwner::Model(row.budget.name.clone()))
    };
    Change::from(Edit::TransferCores {
        cores: CoreSelection::Count(1),
        from: owner(rows.first()),
        to: owner(rows.last()),
        share: false,
    })
}

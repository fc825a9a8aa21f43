//! Compares default sessions, bounded sharing and divided cores, with the same models under the same
//! load, in turns. Every row prints its full configuration.

mod rows;
mod window;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::BenchArgs;
use super::models::load_models;
use super::report::{Setting, Table, median, print, ratio};
use crate::command::CommandError;
use crate::layout::LoadSpec;
use crate::machine::this_machine;
use rows::{BenchArrangement, ModelSet, arrangements};
use window::{ModelLoad, ModelMetrics, can_share_session, light, measure, offers};

/// Windows of each row.
const ROUNDS: usize = 5;

/// Share of the default's throughput that counts as equal: arrivals in a window vary by that much.
const NOT_LOWER: f64 = 0.98;

/// The report.
#[derive(Debug, Serialize)]
struct DivideReport {
    #[serde(flatten)]
    setting: Setting,
    rounds: usize,
    window_ms: u64,
    loads: Vec<String>,
    rows: Vec<RowReport>,
    /// The divided row with the best worst p99 among those where no model's throughput is lower
    /// than the default's; `None` where there is none.
    best: Option<String>,
    /// The default row's worst p99 divided by that of `best`.
    best_ratio: f64,
    target: f64,
}

/// One row, medians over its windows.
#[derive(Debug, Serialize)]
struct RowReport {
    name: String,
    /// True if it divides the cores.
    divided: bool,
    /// For each model: instances x threads, spinning, CPUs.
    configuration: Vec<String>,
    models: Vec<ModelDivision>,
    worst_p99_ms: f64,
    /// The default row's worst p99 as a multiple of this one's.
    p99_ratio: f64,
    /// The lowest of the models' throughputs, each as a share of the default row's.
    throughput_ratio: f64,
}

/// One model of a row.
#[derive(Debug, Serialize)]
struct ModelDivision {
    model: String,
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl fmt::Display for DivideReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting.title())?;
        writeln!(f, "load: {}", self.loads.join("; "))?;
        let mut table = Table::new(&[
            "row",
            "model",
            "configuration",
            "per s",
            "p50 ms",
            "p99 ms",
            "p99 x",
            "rate x",
        ]);
        for row in &self.rows {
            for (at, (model, set)) in row.models.iter().zip(&row.configuration).enumerate() {
                let only_first = |text: String| if at == 0 { text } else { String::new() };
                table.row(vec![
                    only_first(row.name.clone()),
                    model.model.clone(),
                    set.clone(),
                    format!("{:.1}", model.per_s),
                    format!("{:.1}", model.p50_ms),
                    format!("{:.1}", model.p99_ms),
                    only_first(format!("{:.2}", row.p99_ratio)),
                    only_first(format!("{:.2}", row.throughput_ratio)),
                ]);
            }
        }
        write!(f, "{table}")?;
        match &self.best {
            Some(best) => writeln!(
                f,
                "best of divvy's layouts: {best}, worst p99 {:.2} times better (target {})",
                self.best_ratio, self.target
            ),
            None => writeln!(f, "no layout keeps the throughput of every model"),
        }
    }
}

/// Compares the arrangements.
///
/// # Errors
/// [`CommandError::BadInput`] for a model that cannot be loaded, [`CommandError::Failed`] when one
/// cannot be run.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let machine = this_machine(None)?;
    let description = machine.describe();
    let subjects = load_models(args)?;
    let engine = subjects.first().map_or_else(String::new, |first| first.loaded.title.clone());
    let offers = offers(&subjects, args.seed)?;
    let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    let allows_one_session = subjects.iter().all(can_share_session);
    let cast = ModelSet { names: &names, allows_one_session, light: light(&offers) };
    let rows = arrangements(&cast, &description.limits.allowed);
    let window = Duration::from_secs_f64(args.seconds / (ROUNDS * rows.len().max(1)) as f64);
    let mut measured: Vec<Vec<Vec<ModelMetrics>>> = rows.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        let mut turns: Vec<usize> = (0..rows.len()).collect();
        turns.rotate_left(round % rows.len().max(1));
        for turn in turns {
            if let (Some(row), Some(windows)) = (rows.get(turn), measured.get_mut(turn)) {
                windows.push(measure(&machine, &subjects, &offers, row, window)?);
            }
        }
    }
    let mut reports: Vec<RowReport> = rows
        .iter()
        .zip(&measured)
        .map(|(row, windows)| RowReport::of(row, &names, windows))
        .collect();
    compare(&mut reports);
    let keeps_throughput = |row: &&RowReport| row.divided && row.throughput_ratio >= NOT_LOWER;
    let best =
        reports.iter().filter(keeps_throughput).max_by(|a, b| a.p99_ratio.total_cmp(&b.p99_ratio));
    let load = |(name, offer): (&String, &ModelLoad)| {
        format!("{name} {}", LoadSpec::description(&offer.spec))
    };
    let report = DivideReport {
        setting: Setting::new("divide", args, &description, engine),
        rounds: ROUNDS,
        window_ms: window.as_millis() as u64,
        loads: names.iter().zip(&offers).map(load).collect(),
        best: best.map(|row| row.name.clone()),
        best_ratio: best.map_or(0.0, |row| row.p99_ratio),
        rows: reports,
        target: 1.4,
    };
    print(args, &report)
}

impl RowReport {
    fn of(row: &BenchArrangement, names: &[String], windows: &[Vec<ModelMetrics>]) -> Self {
        let models: Vec<ModelDivision> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let all = |figure: fn(&ModelMetrics) -> f64| -> f64 {
                    let values: Vec<f64> =
                        windows.iter().filter_map(|models| models.get(at)).map(figure).collect();
                    median(&values)
                };
                ModelDivision {
                    model: name.clone(),
                    per_s: all(|figures| figures.per_s),
                    p50_ms: all(|figures| figures.p50_ms),
                    p99_ms: all(|figures| figures.p99_ms),
                }
            })
            .collect();
        Self {
            name: row.name.clone(),
            divided: row.divided,
            configuration: row.placements.iter().map(rows::ModelPlacement::description).collect(),
            worst_p99_ms: models.iter().map(|model| model.p99_ms).fold(0.0, f64::max),
            models,
            p99_ratio: 1.0,
            throughput_ratio: 1.0,
        }
    }
}

/// Ratios against the first row, the default.
fn compare(rows: &mut [RowReport]) {
    let Some(default) = rows.first() else { return };
    let worst = default.worst_p99_ms;
    let rates: Vec<f64> = default.models.iter().map(|model| model.per_s).collect();
    for row in rows {
        row.p99_ratio = ratio(worst, row.worst_p99_ms);
        let shares = row.models.iter().zip(&rates).map(|(model, rate)| ratio(model.per_s, *rate));
        row.throughput_ratio = shares.fold(f64::INFINITY, f64::min);
    }
}

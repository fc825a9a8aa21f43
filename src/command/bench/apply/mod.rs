//! Seeded random changes over models under full load: is anything lost, how soon is a change in
//! force, and what do the requests feel of it. Windows with and without changes take turns.

mod changes;
mod windows;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::BenchArgs;
use super::models;
use super::pools::TIMEOUT;
use super::report::{Setting, Table, median, print, quantile, ratio};
use crate::command::CommandError;
use crate::layout::{Auto, Budget, CoreRequest, Layout, LoadSpec, QueuePolicy};
use crate::load::LoadFollower;
use crate::machine::{Description, request_short_slice, this_machine};
use crate::pool::Client;
use crate::scheduler::{Control, Options, Scheduler};
use crate::telemetry::{Author, Counts, ModelState};
use changes::{Kind, random};
use windows::{Feel, Watch};

/// Turns of windows without and with changes.
const ROUNDS: u32 = 6;

/// Callers of a closed loop.
const CLIENTS: usize = 4;

/// The report.
#[derive(Debug, Serialize)]
struct ApplyReport {
    #[serde(flatten)]
    setting: Setting,
    rounds: u32,
    window_ms: u64,
    changes: u64,
    refused: u64,
    submitted: u64,
    completed: u64,
    rejected: u64,
    timed_out: u64,
    cancelled: u64,
    failed: u64,
    /// Requests without an answer at the end; must be 0.
    lost: u64,
    /// By kind of change.
    force: Vec<Force>,
    models: Vec<ModelReport>,
}

/// From `apply` until masks were read back and bounds in force, in microseconds.
#[derive(Debug, Serialize)]
struct Force {
    kind: &'static str,
    count: usize,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

/// What requests felt of it: medians over the windows, silence also at its longest.
#[derive(Debug, Serialize)]
struct ModelReport {
    model: String,
    load: String,
    p99_ms_without: f64,
    p99_ms_with: f64,
    per_s_without: f64,
    per_s_with: f64,
    silence_ms_without: f64,
    silence_ms_with: f64,
    /// The longest silence of all windows with changes as a multiple of that of all windows without.
    silence_ratio: f64,
    /// The same of the median window.
    silence_ratio_median: f64,
}

impl fmt::Display for ApplyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting.title())?;
        writeln!(
            f,
            "{} changes, {} refused; {} requests: {} completed, {} rejected, {} timed out, {} \
             failed, {} lost",
            self.changes,
            self.refused,
            self.submitted,
            self.completed,
            self.rejected,
            self.timed_out,
            self.failed,
            self.lost
        )?;
        let mut table = Table::new(&["in force after, us", "count", "p50", "p99", "max"]);
        for force in &self.force {
            table.row(vec![
                force.kind.to_owned(),
                force.count.to_string(),
                format!("{:.0}", force.p50_us),
                format!("{:.0}", force.p99_us),
                format!("{:.0}", force.max_us),
            ]);
        }
        writeln!(f, "{table}")?;
        let head = ["model", "load", "p99 ms", "with", "per s", "with", "silence ms", "with", "x"];
        let mut table = Table::new(&head);
        for model in &self.models {
            table.row(vec![
                model.model.clone(),
                model.load.clone(),
                format!("{:.1}", model.p99_ms_without),
                format!("{:.1}", model.p99_ms_with),
                format!("{:.1}", model.per_s_without),
                format!("{:.1}", model.per_s_with),
                format!("{:.1}", model.silence_ms_without),
                format!("{:.1}", model.silence_ms_with),
                format!("{:.2}", model.silence_ratio),
            ]);
        }
        write!(f, "{table}")
    }
}

/// The rows: the last model under an open loop, the others under closed ones.
fn layout(args: &BenchArgs, machine: &Description) -> Result<Layout, CommandError> {
    let mut models = models::budgets(args)?;
    let last = models.len().saturating_sub(1);
    let each = (machine.limits.allowed.len() / models.len().max(1)).max(1);
    for (at, budget) in models.iter_mut().enumerate() {
        budget.cores = CoreRequest::Count(each);
        budget.concurrency = Auto::Exactly(each);
        budget.threads = Auto::Exactly(1);
        budget.queue = QueuePolicy { limit: 4096, ..QueuePolicy::default() };
        budget.load = Some(if at == last && at > 0 {
            LoadSpec::Poisson { rate: 40.0 }
        } else {
            LoadSpec::Closed { clients: CLIENTS, think: Duration::ZERO }
        });
    }
    Ok(Layout { description: "bench apply".to_owned(), models })
}

/// Waits until every model runs.
fn until_running(scheduler: &Scheduler) -> Result<String, CommandError> {
    let until = Instant::now() + TIMEOUT;
    loop {
        let snapshot = scheduler.snapshots().borrow().clone();
        for model in &snapshot.models {
            if let ModelState::Failed { reason } = &model.state {
                let name = &model.row.budget.name;
                return Err(CommandError::BadInput(format!("{name}: {reason}")));
            }
        }
        let runs = |model: &crate::telemetry::ModelView| model.state == ModelState::Running;
        if !snapshot.models.is_empty() && snapshot.models.iter().all(runs) {
            let first = snapshot.models.first();
            return Ok(first.map_or_else(String::new, |model| model.engine_title.clone()));
        }
        if Instant::now() >= until {
            return Err(CommandError::Failed("the models are not ready".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs it.
///
/// # Errors
/// [`CommandError::Failed`] when a request was lost, after the report was printed.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    // as the console's own threads do
    request_short_slice();
    let machine = this_machine(None)?;
    let description = machine.describe();
    let layout = layout(args, &description)?;
    let options = Options::new(machine, models::loader(args));
    let scheduler = Scheduler::start(&layout, options)
        .map_err(|refusal| CommandError::BadInput(refusal.to_string()))?;
    let engine = until_running(&scheduler)?;
    let load = LoadFollower::start(scheduler.loads())?;
    let clients: BTreeMap<String, Client> = layout
        .models
        .iter()
        .filter_map(|budget| Some((budget.name.clone(), scheduler.client(&budget.name)?)))
        .collect();
    let window = Duration::from_secs_f64(args.seconds / f64::from(ROUNDS) / 2.0);
    std::thread::sleep(window.min(Duration::from_secs(1)));

    let mut random = random(args.seed, &layout, &description);
    let mut watch = Watch::start(args.watch);
    let (mut taken, mut refused) = (0, 0);
    let mut force: BTreeMap<Kind, Vec<f64>> = BTreeMap::new();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let feel = Feel::begin(&clients);
            if (turn + round) % 2 == 0 {
                let until = Instant::now() + window;
                while Instant::now() < until {
                    watch.look();
                    std::thread::sleep((until - Instant::now()).min(Duration::from_millis(50)));
                }
                without.push(feel.end(&clients));
                continue;
            }
            let until = Instant::now() + window;
            while Instant::now() < until {
                let (kind, change) = random.next(&clients);
                match scheduler.apply(change, Author::Api) {
                    Ok(applied) => {
                        taken += 1;
                        force.entry(kind).or_default().push(applied.force_us as f64);
                    }
                    Err(_) => refused += 1,
                }
                watch.look();
                std::thread::sleep(random.pause(args.changes));
            }
            with.push(feel.end(&clients));
        }
    }

    let unanswered = load.stop(TIMEOUT);
    let last = scheduler
        .stop(TIMEOUT)
        .ok_or_else(|| CommandError::Failed("the scheduler has stopped".to_owned()))?;
    let total =
        |count: fn(&Counts) -> u64| last.models.iter().map(|m| count(&m.counts)).sum::<u64>();
    let submitted = total(|counts| counts.submitted);
    let ended = total(|c| c.completed + c.rejected + c.timed_out + c.cancelled + c.failed);
    let report = ApplyReport {
        setting: Setting::new("apply", args, &description, engine),
        rounds: ROUNDS,
        window_ms: window.as_millis() as u64,
        changes: taken,
        refused,
        submitted,
        completed: total(|counts| counts.completed),
        rejected: total(|counts| counts.rejected),
        timed_out: total(|counts| counts.timed_out),
        cancelled: total(|counts| counts.cancelled),
        failed: total(|counts| counts.failed),
        lost: unanswered.max(submitted.saturating_sub(ended)),
        force: force.iter().map(|(kind, times)| Force::of(*kind, times)).collect(),
        models: layout.models.iter().map(|row| ModelReport::of(row, &without, &with)).collect(),
    };
    print(args.json, &report)?;
    watch.verdict()?;
    if report.lost > 0 {
        return Err(CommandError::Failed(format!("{} requests were lost", report.lost)));
    }
    Ok(())
}

impl Force {
    fn of(kind: Kind, times: &[f64]) -> Self {
        Self {
            kind: kind.words(),
            count: times.len(),
            p50_us: median(times),
            p99_us: quantile(times, 0.99),
            max_us: quantile(times, 1.0),
        }
    }
}

impl ModelReport {
    fn of(row: &Budget, without: &[windows::Felt], with: &[windows::Felt]) -> Self {
        let of = |windows: &[windows::Felt], figure: fn(&windows::Figures) -> f64| -> Vec<f64> {
            windows.iter().filter_map(|felt| felt.get(&row.name)).map(figure).collect()
        };
        let silence = |windows| of(windows, |figures| figures.silence_ms);
        let longest = |windows| quantile(&silence(windows), 1.0);
        let p99 = |windows| median(&of(windows, |figures| figures.p99_ms));
        let rate = |windows| median(&of(windows, |figures| figures.per_s));
        Self {
            model: row.name.clone(),
            load: row.load.as_ref().map_or_else(String::new, LoadSpec::description),
            p99_ms_without: p99(without),
            p99_ms_with: p99(with),
            per_s_without: rate(without),
            per_s_with: rate(with),
            silence_ms_without: longest(without),
            silence_ms_with: longest(with),
            silence_ratio: ratio(longest(with), longest(without)),
            silence_ratio_median: ratio(median(&silence(with)), median(&silence(without))),
        }
    }
}

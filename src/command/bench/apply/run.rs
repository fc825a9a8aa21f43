//! The run of `divvy bench apply`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::changes::{ChangeKind, RandomChanges};
use super::growth::GrowthCheck;
use super::report::{ApplyReport, ChangeTimes, ForceReport, ModelReport, stage_reports};
use super::timed_machine::TimedMachine;
use super::windows::{MeasuredWindow, WindowReport};
use crate::command::CommandError;
use crate::command::bench::pools::TIMEOUT;
use crate::command::bench::report::{Setting, print};
use crate::command::bench::{BenchArgs, models};
use crate::layout::{Auto, CoreRequest, Layout, LoadSpec, QueuePolicy};
use crate::load::LoadFollower;
use crate::machine::{Description, request_short_slice, this_machine};
use crate::pool::Client;
use crate::scheduler::{Control, Options, Scheduler};
use crate::telemetry::{Author, ModelState, RequestCounts};

/// Pairs of a window without and one with changes.
const ROUNDS: u32 = 6;

/// Callers of a closed loop.
const CLIENTS: usize = 4;

/// Returns the layout: the last model under an open loop, the others under closed ones.
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

/// Waits until every model runs. Returns the engine.
pub(in crate::command::bench) fn until_running(
    scheduler: &Scheduler,
) -> Result<String, CommandError> {
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

/// Runs the bench.
///
/// # Errors
/// [`CommandError::Failed`] if a request was lost or the process grew, after the report was printed.
pub(in crate::command::bench) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    // As the console's own threads do.
    request_short_slice();
    let machine = Arc::new(TimedMachine::new(this_machine(None)?));
    let description = crate::machine::Machine::describe(&*machine);
    let layout = layout(args, &description)?;
    let options = Options::new(machine.clone(), models::loader(args));
    let scheduler = Scheduler::start(&layout, options)
        .map_err(|refusal| CommandError::BadInput(refusal.to_string()))?;
    let engine = until_running(&scheduler)?;
    let load = LoadFollower::start(scheduler.loads())?;
    let window = Duration::from_secs_f64(args.seconds / f64::from(ROUNDS) / 2.0);
    std::thread::sleep(window.min(Duration::from_secs(1)));
    let mut bench = ApplyBench {
        clients: clients(&scheduler, &layout),
        random: RandomChanges::new(args.seed, &layout, &description),
        growth: GrowthCheck::start(args.watch),
        scheduler: &scheduler,
        machine: &machine,
        rate: args.changes,
        window,
        refused: 0,
        changes: BTreeMap::new(),
        without: Vec::new(),
        with: Vec::new(),
    };
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            bench.wait();
            bench.change();
        } else {
            bench.change();
            bench.wait();
        }
    }
    let ApplyBench { growth, refused, changes, without, with, .. } = bench;
    let unanswered = load.stop(TIMEOUT);
    let last = scheduler
        .stop(TIMEOUT)
        .ok_or_else(|| CommandError::Failed("the scheduler has stopped".to_owned()))?;
    let total = |count: fn(&RequestCounts) -> u64| {
        last.models.iter().map(|m| count(&m.counts)).sum::<u64>()
    };
    let submitted = total(|counts| counts.submitted);
    let ended = total(|c| c.completed + c.rejected + c.timed_out + c.cancelled + c.failed);
    let report = ApplyReport {
        setting: Setting::new("apply", args, &description, engine),
        rounds: ROUNDS,
        window_ms: window.as_millis() as u64,
        changes: changes.values().map(|changes| changes.len() as u64).sum(),
        refused,
        submitted,
        completed: total(|counts| counts.completed),
        rejected: total(|counts| counts.rejected),
        timed_out: total(|counts| counts.timed_out),
        cancelled: total(|counts| counts.cancelled),
        failed: total(|counts| counts.failed),
        lost: unanswered.max(submitted.saturating_sub(ended)),
        force: changes.iter().map(|(kind, changes)| ForceReport::new(*kind, changes)).collect(),
        stages: changes.iter().flat_map(|(kind, changes)| stage_reports(*kind, changes)).collect(),
        models: layout.models.iter().map(|row| ModelReport::new(row, &without, &with)).collect(),
    };
    print(args, &report)?;
    growth.require_bounded()?;
    if report.lost > 0 {
        return Err(CommandError::Failed(format!("{} requests were lost", report.lost)));
    }
    Ok(())
}

fn clients(scheduler: &Scheduler, layout: &Layout) -> BTreeMap<String, Client> {
    let client = |name: &String| Some((name.clone(), scheduler.client(name)?.current()?));
    layout.models.iter().filter_map(|budget| client(&budget.name)).collect()
}

/// A running bench and its results.
struct ApplyBench<'a> {
    scheduler: &'a Scheduler,
    machine: &'a TimedMachine,
    clients: BTreeMap<String, Client>,
    random: RandomChanges,
    growth: GrowthCheck,
    /// Changes per second.
    rate: f64,
    /// Length of a window.
    window: Duration,
    refused: u64,
    changes: BTreeMap<ChangeKind, Vec<ChangeTimes>>,
    /// Windows without changes.
    without: Vec<WindowReport>,
    /// Windows with changes.
    with: Vec<WindowReport>,
}

impl ApplyBench<'_> {
    /// Measures a window without changes.
    fn wait(&mut self) {
        let measured = MeasuredWindow::start(&self.clients);
        let until = Instant::now() + self.window;
        while Instant::now() < until {
            self.growth.sample();
            let rest = until.saturating_duration_since(Instant::now());
            std::thread::sleep(rest.min(Duration::from_millis(50)));
        }
        self.without.push(measured.end(&self.clients));
    }

    /// Measures a window with changes.
    fn change(&mut self) {
        let measured = MeasuredWindow::start(&self.clients);
        let until = Instant::now() + self.window;
        while Instant::now() < until {
            let (kind, change) = self.random.next(&self.clients);
            self.machine.take();
            let start = Instant::now();
            match self.scheduler.apply(change, Author::Api) {
                Ok(applied) => {
                    let returned_us = start.elapsed().as_secs_f64() * 1e6;
                    let times = ChangeTimes::new(&applied, self.machine.take(), returned_us);
                    self.changes.entry(kind).or_default().push(times);
                }
                Err(_) => self.refused += 1,
            }
            self.growth.sample();
            std::thread::sleep(self.random.pause(self.rate));
        }
        self.with.push(measured.end(&self.clients));
    }
}

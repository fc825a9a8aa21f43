//! The error rates of verdicts, as false differences and missed slowdowns of 20 %: on seeded
//! autocorrelated streams of 10 to 200,000 requests per second, and on this machine under a load that
//! does not change.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::pools::TIMEOUT;
use super::report::{Setting, Table, print, ratio};
use super::verdict_streams::{STREAMS, StreamKind};
use super::{BenchArgs, BenchEngine, models};
use crate::command::CommandError;
use crate::layout::{Auto, Change, CoreRequest, Edit, Layout, LoadSpec, QueuePolicy, Slo};
use crate::load::LoadFollower;
use crate::machine::this_machine;
use crate::scheduler::{Control, Options, Scheduler, VerdictWindows};
use crate::telemetry::verdict::{compare, metric_count};
use crate::telemetry::{Author, VerdictStatus};

/// The report.
#[derive(Debug, Serialize)]
struct VerdictReport {
    #[serde(flatten)]
    setting: Setting,
    streams: Vec<Stream>,
    machine: MachineVerdicts,
}

/// One kind of stream.
#[derive(Debug, Serialize)]
struct Stream {
    /// Requests per second.
    rate: u32,
    /// Correlation of neighbours.
    correlation: f64,
    /// The neighbours that are correlated: "requests", or "cells" of 250 ms.
    correlated: &'static str,
    /// The effective sample size of one side, in independent requests.
    /// Below about 100, chance alone can cause a difference of 20 %, and no method can be sure.
    effective: u64,
    trials: u64,
    /// Share of the trials without a change that claim one; to be at most 0.05.
    false_claims: f64,
    /// Share of the trials with a slow-down of 20 % that find it; to be at least 0.95.
    found: f64,
}

/// Verdicts on changes without an effect, on this machine.
#[derive(Debug, Serialize)]
struct MachineVerdicts {
    window_ms: u64,
    verdicts: u64,
    claims: u64,
}

impl fmt::Display for VerdictReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting.title())?;
        let mut table = Table::new(&[
            "stream, correlation",
            "effective",
            "trials",
            "false claims",
            "20 % slower, found",
        ]);
        for stream in &self.streams {
            table.row(vec![
                format!("{}/s, {} of {}", stream.rate, stream.correlation, stream.correlated),
                stream.effective.to_string(),
                stream.trials.to_string(),
                format!("{:.1} %", stream.false_claims * 100.0),
                format!("{:.1} %", stream.found * 100.0),
            ]);
        }
        write!(f, "{table}")?;
        writeln!(
            f,
            "this machine, {} ms windows: {} of {} verdicts without a change claim one",
            self.machine.window_ms, self.machine.claims, self.machine.verdicts
        )
    }
}

/// Returns the share of the trials that claim a change by this factor.
fn claims(kind: &StreamKind, seed: u64, trials: u64, factor: f64) -> f64 {
    let slo = Slo { percentile: 99.0, bound: Duration::from_millis(15) };
    let clear = |trial: &u64| {
        let seed = seed.wrapping_mul(0x9e37_79b9).wrapping_add(*trial * 2);
        let (before, after) = (kind.side(seed, 1.0), kind.side(seed + 1, factor));
        compare(&before, &after, Some(&slo), metric_count(Some(&slo))).iter().any(|one| one.clear)
    };
    ratio((0..trials).filter(clear).count() as f64, trials as f64)
}

/// Measures one kind of stream.
fn stream(kind: &StreamKind, args: &BenchArgs) -> Stream {
    let BenchArgs { seed, trials, .. } = *args;
    Stream {
        rate: kind.rate,
        correlation: kind.correlation,
        correlated: kind.source.unit(),
        effective: kind.effective(),
        trials,
        false_claims: claims(kind, seed, trials, 1.0),
        found: claims(kind, seed.wrapping_add(1), trials, 1.2),
    }
}

/// Measures all kinds of streams, as many at a time as there are cores.
fn all_streams(args: &BenchArgs) -> Vec<Stream> {
    use rayon::prelude::*;
    STREAMS.par_iter().map(|kind| stream(kind, args)).collect()
}

/// Runs it.
///
/// # Errors
/// [`CommandError::Failed`] when the load cannot be started.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let description = this_machine(None)?.describe();
    let report = VerdictReport {
        setting: Setting::new("verdict", args, &description, "synthetic".to_owned()),
        streams: all_streams(args),
        machine: on_this_machine(args)?,
    };
    print(args, &report)
}

/// A model under load and changes that change nothing: the queue is never nearly full.
fn on_this_machine(args: &BenchArgs) -> Result<MachineVerdicts, CommandError> {
    let synthetic =
        BenchArgs { engine: BenchEngine::Synthetic, models: Vec::new(), ..args.clone() };
    let machine = this_machine(None)?;
    let length = Duration::from_secs_f64((args.seconds / 20.0).clamp(0.4, 20.0));
    let windows = VerdictWindows { length, shortest: length / 2, settle: length / 20 };
    let mut models = models::budgets(&synthetic)?;
    models.truncate(1);
    for budget in &mut models {
        budget.cores = CoreRequest::Count(1);
        budget.concurrency = Auto::Exactly(1);
        budget.load = Some(LoadSpec::Closed { clients: 2, think: Duration::ZERO });
    }
    let name = models.first().map(|budget| budget.name.clone()).unwrap_or_default();
    let layout = Layout { description: String::new(), models };
    let options = Options { windows, ..Options::new(machine, models::loader(&synthetic)) };
    let scheduler = Scheduler::start(&layout, options)
        .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
    let load = LoadFollower::start(scheduler.loads())?;
    let until = Instant::now() + Duration::from_secs_f64(args.seconds);
    std::thread::sleep(length);
    let mut limit = 1000;
    while Instant::now() < until {
        limit = 3000 - limit;
        let queue = QueuePolicy { limit, ..QueuePolicy::default() };
        let change = Change::from(Edit::SetQueue { model: name.clone(), queue });
        scheduler
            .apply(change, Author::Api)
            .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
        // Longer than the window, so that it is full when the next change comes.
        std::thread::sleep(length + windows.settle + Duration::from_millis(600));
    }
    load.stop(TIMEOUT);
    let journal = scheduler.journal();
    let done = journal
        .iter()
        .flat_map(|entry| &entry.verdicts)
        .filter(|verdict| verdict.status == VerdictStatus::Done);
    let clear = |verdict: &&crate::telemetry::Verdict| verdict.comparisons.iter().any(|c| c.clear);
    Ok(MachineVerdicts {
        window_ms: length.as_millis() as u64,
        verdicts: done.clone().count() as u64,
        claims: done.filter(clear).count() as u64,
    })
}

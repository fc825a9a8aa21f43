//! The share of an engine's throughput that the pool costs: requests per second through the pool, callers asking in
//! a closed loop, beside threads that run the same instances in a bare loop.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::models::{BenchModel, load_models};
use super::pools::{Callers, PoolSetup, serving_pool};
use super::report::{Setting, Table, median, print, ratio};
use super::{BenchArgs, pools};
use crate::command::CommandError;
use crate::engine::{Instance, InstanceSetup};
use crate::machine::this_machine;
use crate::pool::Pool;

/// Repetitions of both measurements.
const ROUNDS: u32 = 9;

const SETUP: InstanceSetup = InstanceSetup::cpu(1);

/// The report.
#[derive(Debug, Serialize)]
struct OverheadReport {
    #[serde(flatten)]
    setting: Setting,
    rounds: u32,
    instances: usize,
    models: Vec<ModelOverhead>,
    /// Lower limit of the ratio.
    target: f64,
}

/// Requests per second, medians over the rounds.
#[derive(Debug, Serialize)]
struct ModelOverhead {
    model: String,
    bare_per_s: f64,
    pool_per_s: f64,
    /// Median over the rounds of the pool's rate as a share of the bare loop's.
    ratio: f64,
}

impl fmt::Display for OverheadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} instances a model", self.setting.title(), self.instances)?;
        let mut table = Table::new(&["model", "bare/s", "pool/s", "ratio", "target"]);
        for model in &self.models {
            table.row(vec![
                model.model.clone(),
                format!("{:.1}", model.bare_per_s),
                format!("{:.1}", model.pool_per_s),
                format!("{:.3}", model.ratio),
                format!(">= {}", self.target),
            ]);
        }
        write!(f, "{table}")
    }
}

/// Runs it.
///
/// # Errors
/// [`CommandError::BadInput`] for a model that cannot be loaded, [`CommandError::Failed`] for one
/// that cannot be run.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let machine = this_machine(None)?;
    let description = machine.describe();
    let instances = description.limits.allowed.len();
    let subjects = load_models(args)?;
    let windows = f64::from(ROUNDS) * 2.0 * subjects.len() as f64;
    let window = Duration::from_secs_f64(args.seconds / windows);
    let engine = subjects.first().map_or_else(String::new, |first| first.loaded.title.clone());
    let mut models = Vec::new();
    for subject in &subjects {
        let warm_up = subject.loaded.requests.inputs.first().cloned().unwrap_or_default();
        let setup = PoolSetup {
            name: subject.name.clone(),
            model: subject.loaded.model.clone(),
            warm_up,
            instance: SETUP,
            instances,
            cores: description.limits.allowed,
        };
        let pool = serving_pool(&machine, setup)?;
        let (mut bare, mut pooled) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for turn in 0..2 {
                if (turn + round) % 2 == 0 {
                    bare.push(bare_rate(subject, instances, window)?);
                } else {
                    pooled.push(pool_rate(subject, &pool, instances, window)?);
                }
            }
        }
        pool.drain(pools::TIMEOUT);
        let ratios: Vec<f64> =
            pooled.iter().zip(&bare).map(|(pool, bare)| ratio(*pool, *bare)).collect();
        models.push(ModelOverhead {
            model: subject.name.clone(),
            bare_per_s: median(&bare),
            pool_per_s: median(&pooled),
            ratio: median(&ratios),
        });
    }
    let setting = Setting::new("overhead", args, &description, engine);
    print(args, &OverheadReport { setting, rounds: ROUNDS, instances, models, target: 0.98 })
}

/// Requests a second of a pool, with a request waiting beside each one that runs.
fn pool_rate(
    subject: &BenchModel,
    pool: &Pool,
    instances: usize,
    window: Duration,
) -> Result<f64, CommandError> {
    let inputs = subject.loaded.requests.inputs.clone();
    let callers = Callers::start(pool.sender(), inputs, instances * 2);
    std::thread::sleep(window / 10);
    let (from, start) = (callers.completed(), Instant::now());
    std::thread::sleep(window);
    let rate = (callers.completed() - from) as f64 / start.elapsed().as_secs_f64();
    if !callers.stop() {
        return Err(CommandError::Failed(format!("{}: a request has no answer", subject.name)));
    }
    Ok(rate)
}

/// Requests a second of as many threads that do nothing but run.
fn bare_rate(
    subject: &BenchModel,
    instances: usize,
    window: Duration,
) -> Result<f64, CommandError> {
    let model = &subject.loaded.model;
    let built: Result<Vec<_>, _> = (0..instances).map(|_| model.instance(SETUP)).collect();
    let mut built = built.map_err(|error| CommandError::Failed(error.to_string()))?;
    let (stop, done, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicBool::new(false));
    let inputs = &subject.loaded.requests.inputs;
    let repeat = |instance: &mut dyn Instance| {
        for inputs in inputs.iter().cycle() {
            if stop.load(Ordering::Acquire) {
                return;
            }
            if instance.run(inputs).is_err() {
                return failed.store(true, Ordering::Release);
            }
            done.fetch_add(1, Ordering::AcqRel);
        }
    };
    let rate = std::thread::scope(|scope| {
        for instance in &mut built {
            scope.spawn(|| instance.occupy(&mut |instance| repeat(instance)));
        }
        std::thread::sleep(window / 10);
        let (from, start) = (done.load(Ordering::Acquire), Instant::now());
        std::thread::sleep(window);
        let rate = (done.load(Ordering::Acquire) - from) as f64 / start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Release);
        rate
    });
    if failed.load(Ordering::Acquire) {
        return Err(CommandError::Failed(format!("{}: a bare run failed", subject.name)));
    }
    Ok(rate)
}

//! The throughput of 1, 2, 4 and 8 workers of one pool: callers in a closed loop, and requests of a fixed
//! amount of work.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::pools::{self, Callers, PoolSetup, serving_pool};
use super::report::{Table, median, ratio};
use crate::command::CommandError;
use crate::engine::{
    EngineError, EngineMemory, Instance, InstanceSetup, Model, NamedTensor, Signature,
};
use crate::machine::{Machine, ThreadId};
use crate::pool::Pool;

/// The numbers of workers that are measured.
pub(super) const WORKERS: [usize; 4] = [1, 2, 4, 8];

/// Steps of a request's work: about 20 us.
const STEPS: u64 = 20_000;

/// Share of a perfect speedup that is expected.
const SHARE: f64 = 0.9;

/// The throughput of a number of workers, medians over the rounds.
#[derive(Debug, Serialize)]
pub(super) struct WorkerRate {
    workers: usize,
    per_s: f64,
    /// Median over the rounds of the rate as a multiple of one worker's.
    speedup: f64,
    /// Lower limit of the speedup.
    target: f64,
}

/// The pool and the rates measured so far.
pub(super) struct WorkerLoop {
    pool: Pool,
    cores: usize,
    rates: [Vec<f64>; WORKERS.len()],
}

impl WorkerLoop {
    /// Builds a pool with as many instances as the largest number of workers.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when its instances cannot be built.
    pub(super) fn start(machine: &Arc<dyn Machine>) -> Result<Self, CommandError> {
        let cores = machine.describe().limits.allowed;
        let setup = PoolSetup {
            name: "loop".to_owned(),
            model: Arc::new(StepModel(Signature::default())),
            warm_up: Arc::default(),
            instance: InstanceSetup::cpu(1),
            instances: WORKERS.iter().copied().max().unwrap_or(1),
            cores,
        };
        let pool = serving_pool(machine, setup)?;
        Ok(Self { pool, cores: cores.len(), rates: Default::default() })
    }

    /// Measures each number of workers once. Two callers per worker keep a request waiting for each.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when a request has no answer.
    pub(super) fn measure(&mut self, window: Duration) -> Result<(), CommandError> {
        for (workers, rates) in WORKERS.iter().zip(&mut self.rates) {
            self.pool.set_bound(*workers);
            let callers = Callers::start(self.pool.sender(), Vec::new(), workers * 2);
            std::thread::sleep(window / 10);
            let (from, start) = (callers.completed(), Instant::now());
            std::thread::sleep(window);
            rates.push((callers.completed() - from) as f64 / start.elapsed().as_secs_f64());
            if !callers.stop() {
                return Err(CommandError::Failed("a request has no answer".to_owned()));
            }
        }
        Ok(())
    }

    /// Ends the pool and returns the medians.
    pub(super) fn finish(self) -> Vec<WorkerRate> {
        self.pool.drain(pools::TIMEOUT);
        let [ones, ..] = &self.rates;
        let rate = |(workers, rates): (&usize, &Vec<f64>)| {
            let speedups: Vec<f64> =
                rates.iter().zip(ones).map(|(rate, one)| ratio(*rate, *one)).collect();
            WorkerRate {
                workers: *workers,
                per_s: median(rates),
                speedup: median(&speedups),
                target: SHARE * (*workers).min(self.cores) as f64,
            }
        };
        WORKERS.iter().zip(&self.rates).map(rate).collect()
    }
}

/// Returns the table of the rates.
pub(super) fn table(rates: &[WorkerRate]) -> Table {
    let mut table = Table::new(&["workers", "requests/s", "speedup", "target"]);
    for rate in rates {
        table.row(vec![
            rate.workers.to_string(),
            format!("{:.0}", rate.per_s),
            format!("{:.2}", rate.speedup),
            format!(">= {:.1}", rate.target),
        ]);
    }
    table
}

/// A model whose requests do a fixed amount of work, so that a worker without a core makes no progress.
struct StepModel(Signature);

impl Model for StepModel {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn instance(&self, _: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        Ok(Box::new(StepInstance))
    }

    fn memory(&self) -> EngineMemory {
        EngineMemory::default()
    }
}

struct StepInstance;

impl Instance for StepInstance {
    fn threads(&self) -> Vec<ThreadId> {
        Vec::new()
    }

    fn run(&mut self, _: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        for step in 0..STEPS {
            black_box(step);
        }
        Ok(Vec::new())
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        body(self);
    }
}

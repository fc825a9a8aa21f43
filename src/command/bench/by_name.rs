//! The cost of finding a model by its name: requests through a client that follows the name, beside
//! requests to its pool, and the look-up alone on one thread and on all.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::dispatch::at_once;
use super::pools::{RequestInputs, TIMEOUT};
use super::report::{Table, median, ratio};
use crate::command::CommandError;
use crate::engine::synthetic::NoopModel;
use crate::engine::{EngineError, EngineKind};
use crate::layout::{Auto, Budget, CoreRequest, Layout, ModelSource, QueuePolicy};
use crate::machine::Machine;
use crate::pool::Client;
use crate::scheduler::{
    LoadRequest, LoadedModel, Loader, ModelClient, ModelDirectory, Options, PreparedRequests,
    Scheduler,
};

/// Measurements of [`NamedModel::measure`] per round, each as long as a window.
pub(super) const WINDOWS: usize = 4;

/// The model's name.
const NAME: &str = "noop";

/// Look-ups between two checks of the time.
const BATCH: u32 = 256;

/// Medians over the rounds.
#[derive(Debug, Serialize)]
pub(super) struct NamedCost {
    /// Microseconds per request to the pool, when saturated.
    pool_us: f64,
    /// Microseconds per request through the client by name, when saturated.
    by_name_us: f64,
    /// Median over the rounds of the cost by name as a share of the pool's.
    ratio: f64,
    /// Upper limit of the ratio.
    target: f64,
    /// Nanoseconds per look-up on one thread.
    lookup_ns: f64,
    /// Nanoseconds per look-up of each thread, while as many threads as there are CPUs look up.
    lookup_all_ns: f64,
}

/// A no-op model in a scheduler.
pub(super) struct NamedModel {
    scheduler: Scheduler,
    threads: usize,
    by_name: ModelClient,
    pool: Client,
    /// Each measurement of each round.
    costs: [Vec<f64>; WINDOWS],
}

impl NamedModel {
    /// Starts the scheduler and waits until the model has `threads` instances.
    ///
    /// # Errors
    /// [`CommandError::Failed`] if the scheduler does not start or the model does not serve.
    pub(super) fn start(machine: &Arc<dyn Machine>, threads: usize) -> Result<Self, CommandError> {
        let mut budget = Budget::new(NAME, ModelSource::Embedded("noop.onnx".to_owned()));
        budget.cores = CoreRequest::Count(threads);
        budget.concurrency = Auto::Exactly(threads);
        budget.threads = Auto::Exactly(1);
        budget.queue = QueuePolicy { limit: QueuePolicy::MAX_LIMIT, ..QueuePolicy::default() };
        let layout = Layout { description: "bench dispatch".to_owned(), models: vec![budget] };
        let options = Options::new(machine.clone(), Arc::new(NoopLoader));
        let scheduler = Scheduler::start(&layout, options)
            .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
        let by_name = scheduler.client(NAME).ok_or_else(not_ready)?;
        let pool = by_name.current().ok_or_else(not_ready)?;
        let until = Instant::now() + TIMEOUT;
        while pool.seats().serving < threads {
            if Instant::now() >= until {
                return Err(not_ready());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { scheduler, threads, by_name, pool, costs: Default::default() })
    }

    /// Measures each cost once, in reverse order if `reverse`.
    pub(super) async fn measure(
        &mut self,
        window: Duration,
        inputs: &RequestInputs,
        reverse: bool,
    ) {
        let mut turns: [usize; WINDOWS] = std::array::from_fn(|turn| turn);
        if reverse {
            turns.reverse();
        }
        for turn in turns {
            let cost = match turn {
                0 => at_once(window, || answered(self.pool.submit(inputs.clone()))).await,
                1 => at_once(window, || answered(self.by_name.submit(inputs.clone()))).await,
                2 => lookup_ns(&self.scheduler.models(), 1, window),
                _ => lookup_ns(&self.scheduler.models(), self.threads, window),
            };
            if let Some(costs) = self.costs.get_mut(turn) {
                costs.push(cost);
            }
        }
    }

    /// Stops the scheduler and returns the medians.
    pub(super) fn finish(self) -> NamedCost {
        self.scheduler.stop(TIMEOUT);
        let [pool, by_name, lookup, lookup_all] = &self.costs;
        let ratios: Vec<f64> =
            by_name.iter().zip(pool).map(|(by_name, pool)| ratio(*by_name, *pool)).collect();
        NamedCost {
            pool_us: median(pool),
            by_name_us: median(by_name),
            ratio: median(&ratios),
            target: 1.1,
            lookup_ns: median(lookup),
            lookup_all_ns: median(lookup_all),
        }
    }
}

/// Returns the table of the costs.
pub(super) fn table(cost: &NamedCost) -> Table {
    let titles = ["", "pool us", "by name us", "ratio", "target", "look-up ns", "on all CPUs ns"];
    let mut table = Table::new(&titles);
    table.row(vec![
        "saturated".to_owned(),
        format!("{:.2}", cost.pool_us),
        format!("{:.2}", cost.by_name_us),
        format!("{:.2}", cost.ratio),
        format!("<= {}", cost.target),
        format!("{:.0}", cost.lookup_ns),
        format!("{:.0}", cost.lookup_all_ns),
    ]);
    table
}

fn not_ready() -> CommandError {
    CommandError::Failed("the model in the scheduler is not ready".to_owned())
}

async fn answered(pending: crate::pool::Pending) {
    drop(black_box(pending.await));
}

/// Nanoseconds per look-up of each of `threads` threads that look up at the same time.
fn lookup_ns(models: &ModelDirectory, threads: usize, window: Duration) -> f64 {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let barrier = Barrier::new(threads + 1);
    let look_up = || {
        barrier.wait();
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..BATCH {
                black_box(models.get(black_box(NAME)));
            }
            count += u64::from(BATCH);
        }
        done.fetch_add(count, Ordering::Relaxed);
    };
    let took = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(look_up)).collect();
        barrier.wait();
        let start = Instant::now();
        std::thread::sleep(window);
        stop.store(true, Ordering::Relaxed);
        for thread in running {
            // A look-up does not panic.
            let _ = thread.join();
        }
        start.elapsed()
    });
    ratio(took.as_secs_f64() * 1e9 * threads as f64, done.load(Ordering::Relaxed) as f64)
}

/// Loads the no-op model.
pub(super) struct NoopLoader;

impl Loader for NoopLoader {
    fn load(&self, _: &LoadRequest) -> Result<LoadedModel, EngineError> {
        let inputs = vec![Arc::default()];
        Ok(LoadedModel {
            model: Arc::new(NoopModel::default()),
            engine: EngineKind::Synthetic,
            title: "no-op".to_owned(),
            requests: PreparedRequests { inputs, ..PreparedRequests::default() },
        })
    }
}

//! The cost of the pool itself: a no-op model in the pool, next to tokio's `spawn_blocking` and a rayon
//! pool with as many threads. Idle: one request at a time, there and back. Saturated: many at once. Then
//! the cost of a model's name (`by_name.rs`) and the throughput of 1, 2, 4 and 8 workers (`worker_loop.rs`).

use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::by_name::{self, NamedCost, NamedModel};
use super::pools::RequestInputs;
use super::report::{Setting, Table, median, print, ratio};
use super::worker_loop::{self, WORKERS, WorkerLoop, WorkerRate};
use super::{BenchArgs, pools};
use crate::command::CommandError;
use crate::engine::synthetic::NoopModel;
use crate::engine::{InstanceSetup, NamedTensor};
use crate::machine::this_machine;
use crate::pool::{Client, collecting_wakes, wake_collected};

/// Repetitions of all measurements.
const ROUNDS: u32 = 9;

/// Requests in flight at once when saturated.
const AT_ONCE: usize = 512;

/// The report.
#[derive(Debug, Serialize)]
struct DispatchReport {
    #[serde(flatten)]
    setting: Setting,
    rounds: u32,
    threads: usize,
    at_once: usize,
    idle: Pair,
    saturated: Pair,
    by_name: NamedCost,
    loops: Vec<WorkerRate>,
}

/// Microseconds per request, medians over the rounds.
#[derive(Debug, Serialize)]
struct Pair {
    pool_us: f64,
    spawn_blocking_us: f64,
    rayon_us: f64,
    /// Median over the rounds of the pool's cost as a share of `spawn_blocking`'s.
    ratio: f64,
    /// Upper limit of the ratio.
    target: f64,
}

impl Pair {
    fn of(pool: &[f64], blocking: &[f64], rayon: &[f64], target: f64) -> Self {
        let ratios: Vec<f64> =
            pool.iter().zip(blocking).map(|(pool, blocking)| ratio(*pool, *blocking)).collect();
        Self {
            pool_us: median(pool),
            spawn_blocking_us: median(blocking),
            rayon_us: median(rayon),
            ratio: median(&ratios),
            target,
        }
    }
}

impl fmt::Display for DispatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} threads", self.setting.title(), self.threads)?;
        let mut table =
            Table::new(&["", "pool us", "spawn_blocking us", "rayon us", "ratio", "target"]);
        for (name, pair) in [("idle", &self.idle), ("saturated", &self.saturated)] {
            table.row(vec![
                name.to_owned(),
                format!("{:.2}", pair.pool_us),
                format!("{:.2}", pair.spawn_blocking_us),
                format!("{:.2}", pair.rayon_us),
                format!("{:.2}", pair.ratio),
                format!("<= {}", pair.target),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(f, "{}", by_name::table(&self.by_name))?;
        write!(f, "{}", worker_loop::table(&self.loops))
    }
}

/// Runs it.
///
/// # Errors
/// [`CommandError::Failed`] when a runtime or the pool cannot be started.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let machine = this_machine(None)?;
    let description = machine.describe();
    let threads = description.limits.allowed.len();
    let setup = pools::PoolSetup {
        name: "noop".to_owned(),
        model: Arc::new(NoopModel::default()),
        warm_up: Arc::default(),
        instance: InstanceSetup::cpu(1),
        instances: threads,
        cores: description.limits.allowed,
    };
    let pool = pools::serving_pool(&machine, setup)?;
    let client = pool.client();
    // Made before the requests, and carried by those of each side.
    let inputs = RequestInputs::default();
    // it wakes instances as the server's threads do
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(wake_collected)
        .max_blocking_threads(threads)
        .thread_keep_alive(Duration::from_hours(1))
        .build()?;
    let rayon = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| CommandError::Failed(error.to_string()))?;
    let mut workers = WorkerLoop::start(&machine)?;
    let mut named = NamedModel::start(&machine, threads)?;
    let windows = 6 + by_name::WINDOWS + WORKERS.len();
    let window = Duration::from_secs_f64(args.seconds / f64::from(ROUNDS) / windows as f64);
    let mut costs: [Vec<f64>; 6] = Default::default();
    for round in 0..ROUNDS {
        let mut turns = [0, 1, 2, 3, 4, 5];
        if round % 2 == 1 {
            turns.reverse();
        }
        for turn in turns {
            let cost = runtime.block_on(collecting_wakes(async {
                match turn {
                    0 => one_by_one(window, || by_pool(&client, &inputs)).await,
                    1 => one_by_one(window, || by_tokio(&inputs)).await,
                    2 => one_by_one(window, || by_rayon(&rayon, &inputs)).await,
                    3 => at_once(window, || by_pool(&client, &inputs)).await,
                    4 => at_once(window, || by_tokio(&inputs)).await,
                    _ => at_once(window, || by_rayon(&rayon, &inputs)).await,
                }
            }));
            if let Some(costs) = costs.get_mut(turn) {
                costs.push(cost);
            }
        }
        runtime.block_on(named.measure(window, &inputs, round % 2 == 1));
        workers.measure(window)?;
    }
    let [idle_pool, idle_tokio, idle_rayon, full_pool, full_tokio, full_rayon] = &costs;
    let report = DispatchReport {
        setting: Setting::new("dispatch", args, &description, "no-op".to_owned()),
        rounds: ROUNDS,
        threads,
        at_once: AT_ONCE,
        idle: Pair::of(idle_pool, idle_tokio, idle_rayon, 1.0),
        saturated: Pair::of(full_pool, full_tokio, full_rayon, 1.0),
        by_name: named.finish(),
        loops: workers.finish(),
    };
    print(args, &report)
}

fn by_pool(client: &Client, inputs: &RequestInputs) -> impl Future<Output = ()> + use<> {
    let pending = client.submit(inputs.clone());
    async move {
        drop(black_box(pending.await));
    }
}

fn by_tokio(inputs: &RequestInputs) -> impl Future<Output = ()> + use<> {
    let inputs = inputs.clone();
    let pending = tokio::task::spawn_blocking(move || run_noop(&inputs));
    async move {
        drop(black_box(pending.await));
    }
}

fn by_rayon(rayon: &rayon::ThreadPool, inputs: &RequestInputs) -> impl Future<Output = ()> + use<> {
    let inputs = inputs.clone();
    let (sender, pending) = tokio::sync::oneshot::channel();
    rayon.spawn(move || {
        // The receiver is awaited below.
        let _ = sender.send(run_noop(&inputs));
    });
    async move {
        drop(black_box(pending.await));
    }
}

/// The no-op engine's work, without the pool.
fn run_noop(inputs: &[NamedTensor]) -> Vec<NamedTensor> {
    black_box(inputs);
    black_box(Vec::new())
}

/// Microseconds a request, each asked when the last one was answered.
async fn one_by_one<F: Future<Output = ()>>(window: Duration, ask: impl Fn() -> F) -> f64 {
    for _ in 0..10 {
        ask().await;
    }
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < window || count == 0 {
        ask().await;
        count += 1;
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

/// Microseconds a request, many under way at once.
pub(super) async fn at_once<F: Future<Output = ()>>(window: Duration, ask: impl Fn() -> F) -> f64 {
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < window || count == 0 {
        let pending: Vec<F> = (0..AT_ONCE).map(|_| ask()).collect();
        for one in pending {
            one.await;
            count += 1;
        }
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

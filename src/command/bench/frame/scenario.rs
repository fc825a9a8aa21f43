//! Synthetic machines and snapshots, the same in every run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::CommandError;
use crate::engine::{EngineKind, EngineMemory};
use crate::layout::{Budget, CoreRequest, DesiredState, Layout, ModelSource, Row, Slo};
use crate::machine::{Description, MemoryUse, ThreadId};
use crate::telemetry::{
    Actual, CoreShare, CoreView, Distribution, Histogram, Latencies, ModelState, ModelView,
    RequestCounts, Snapshot, ThreadView, Window,
};

/// Cores around one cache, and caches around one node.
const CACHE: u32 = 16;
const NODE: u32 = 4;

/// The values of a snapshot: those of `base`, except for the first `rows` rows, which get others.
#[derive(Clone, Copy, Debug)]
pub(in crate::command::bench) struct Figures {
    pub(in crate::command::bench) base: u64,
    pub(in crate::command::bench) rows: usize,
}

impl Figures {
    fn seed(self, row: usize) -> u64 {
        if row < self.rows { !self.base } else { self.base }
    }
}

/// A machine with models on it.
pub(in crate::command::bench) struct FrameScenario {
    /// The machine.
    pub machine: Description,
    /// The state in force on it.
    pub desired: DesiredState,
}

impl FrameScenario {
    /// `models` models that share `cores` cores evenly, with names of `width` letters.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when they cannot be placed.
    pub(in crate::command::bench) fn new(
        models: usize,
        cores: usize,
        width: usize,
    ) -> Result<Self, CommandError> {
        let mut machine = Description::uniform(cores);
        for core in &mut machine.topology.cores {
            let cache = u32::from(core.id.0) / CACHE;
            core.l3 = Some(cache);
            core.node = (cache / NODE) as u16;
            core.package = core.node;
        }
        let budget = |index: usize| {
            let name = format!("model-{index:02}{}", "-of-a-box".repeat(width / 9));
            let name: String = name.chars().take(width).collect();
            let mut budget = Budget::new(name, ModelSource::File(PathBuf::from("/model.onnx")));
            budget.cores = CoreRequest::Share(100.0 / models as f64);
            budget.slo = Some(Slo { percentile: 99.0, bound: Duration::from_millis(50) });
            budget
        };
        let layout =
            Layout { models: (0..models).map(budget).collect(), description: String::new() };
        let desired = DesiredState::resolve(&layout, &machine)
            .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
        Ok(Self { machine, desired })
    }

    /// Returns the snapshot of half second `step`, with the layout in force.
    pub(in crate::command::bench) fn snapshot(&self, step: u64, figures: Figures) -> Snapshot {
        let models: Vec<ModelView> = (0..)
            .zip(&self.desired.rows)
            .map(|(index, row)| view(row, index, share(figures.seed(index as usize), index)))
            .collect();
        let ledger = self.desired.ledger(&self.machine);
        let cores = self.machine.topology.cores.iter().map(|core| {
            let owners: Vec<usize> = (0..)
                .zip(&models)
                .filter(|(_, model)| model.row.cores.contains(core.id))
                .map(|(index, _)| index)
                .collect();
            let seed = figures.seed(owners.first().copied().unwrap_or(usize::MAX));
            let busy = share(seed, u64::from(core.id.0) + 1000);
            CoreView {
                core: core.clone(),
                allowed: true,
                busy,
                by_model: owners
                    .first()
                    .map(|first| CoreShare { model: *first, share: busy * 0.9 })
                    .into_iter()
                    .collect(),
                others: busy * 0.1,
                wait: Some(busy * 0.2),
                owners,
                ..CoreView::default()
            }
        });
        Snapshot {
            version: Snapshot::VERSION,
            sequence: step,
            at_unix_ms: 1_769_949_067_000 + step * 500,
            uptime_us: step * 500_000,
            interval_us: 500_000,
            cores: cores.collect(),
            ledger,
            memory: MemoryUse { total: 32 << 30, used: (8 << 30) + (step << 20), process: 4 << 28 },
            process_cpu: 6.0,
            models,
            ..Snapshot::default()
        }
    }
}

/// Returns a number from 0 to 1 that depends only on `step` and `place`.
fn share(step: u64, place: u64) -> f64 {
    let seed = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ place.wrapping_mul(0xd6e8_feb8_6659_fd93);
    fastrand::Rng::with_seed(seed).f64()
}

fn window(median_us: u64, span_s: u64) -> Window {
    let total = Distribution {
        count: 200 * span_s,
        mean_us: median_us as f64 * 1.1,
        p50_us: median_us,
        p90_us: median_us * 3 / 2,
        p99_us: median_us * 2,
        p999_us: median_us * 3,
        max_us: median_us * 4,
    };
    Window {
        span_us: span_s * 1_000_000,
        completed_per_s: 1e6 / median_us as f64,
        goodput_per_s: Some(0.9e6 / median_us as f64),
        lost_per_s: 0.0,
        slo_us: Some(total.p99_us),
        queue: Distribution { p50_us: median_us / 4, ..total },
        compute: Distribution { p50_us: median_us * 3 / 4, ..total },
        total,
    }
}

/// A bell of 40 buckets around a latency.
fn histogram(median_us: u64, seconds: f64) -> Histogram {
    let first = (median_us as f64).log2().mul_add(8.0, -12.0).max(0.0) as usize;
    let mut histogram = Histogram { first, ..Histogram::default() };
    for offset in 0..40 {
        let distance = (f64::from(offset) - 12.0) / 6.0;
        let count = (200.0 * seconds * (-distance * distance).exp()) as u64;
        histogram.total.push(count);
        histogram.queue_us.push(count * u64::from(offset as u32));
        histogram.compute_us.push(count * 40);
    }
    histogram
}

fn view(row: &Row, index: u64, share: f64) -> ModelView {
    let median = 4_000 + (share * 40_000.0) as u64;
    let threads = (0..row.concurrency).map(|instance| ThreadView {
        id: ThreadId::of_tid(4000 + index as i32 * 100 + instance as i32),
        instance,
        helper: false,
        allowed: row.cores,
        nice: Some(0),
        last_core: row.cores.iter().next(),
        cpu: share,
        wait: Some(share * 0.1),
    });
    let waiting = (share * 60.0) as u64;
    ModelView {
        row: row.clone(),
        process: None,
        state: ModelState::Running,
        engine: Some(EngineKind::OnnxRuntime),
        engine_title: "ONNX Runtime".to_owned(),
        actual: Actual {
            cores: row.cores,
            effective_cores: None,
            active: row.concurrency,
            parked: 0,
            threads_per_instance: row.threads,
            threads: threads.collect(),
            difference: None,
        },
        counts: RequestCounts {
            submitted: 100_000 + waiting,
            queued: waiting,
            completed: 100_000,
            ..RequestCounts::default()
        },
        second: window(median, 1),
        minute: window(median, 60),
        since_change: window(median, 30),
        run: window(median, 600),
        histogram: histogram(median, 60.0),
        histogram_second: histogram(median, 1.0),
        latencies: Latencies::default(),
        guessed_dims: BTreeMap::new(),
        untried: None,
        cpu: share * row.cores.len() as f64,
        cpu_total_us: 0,
        wait: Some(share * 0.1),
        memory: EngineMemory {
            weights: 30 << 20,
            copies: 1,
            arena: Some(5 << 20),
            ..EngineMemory::default()
        },
        load: None,
        offered_per_s: None,
    }
}

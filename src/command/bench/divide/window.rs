//! Measures one window of one arrangement under the load of all models.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::rows::{BenchArrangement, CLIENTS};
use crate::command::CommandError;
use crate::command::bench::models::BenchModel;
use crate::command::bench::pools::{PoolSetup, TIMEOUT, serving_pool};
use crate::engine::{EngineError, EngineMemory, Instance, InstanceSetup, Model, Signature};
use crate::layout::LoadSpec;
use crate::load::{LoadDriver, LoadJob, LoadRequests};
use crate::machine::Machine;

/// Load of the open loop's model, as a share of one core.
const OPEN_SHARE: f64 = 0.15;

/// The load of one model.
pub(super) struct ModelLoad {
    pub spec: LoadSpec,
    requests: Arc<LoadRequests>,
    seed: u64,
}

/// The metrics of one model in one window.
pub(super) struct ModelMetrics {
    pub per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Returns the loads: an open loop at a low rate for the lightest model, closed loops of four callers
/// for the others.
pub(super) fn offers(subjects: &[BenchModel], seed: u64) -> Result<Vec<ModelLoad>, CommandError> {
    let costs = subjects.iter().map(cost).collect::<Result<Vec<f64>, _>>()?;
    let lightest = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let mut needs_open_loop = subjects.len() > 1;
    let mut offers = Vec::new();
    for (subject, cost) in subjects.iter().zip(costs) {
        let is_open = needs_open_loop && cost <= lightest;
        let spec = if is_open {
            needs_open_loop = false;
            LoadSpec::Poisson { rate: (OPEN_SHARE / cost).clamp(1.0, 200.0).round() }
        } else {
            LoadSpec::Closed { clients: CLIENTS, think: Duration::ZERO }
        };
        let requests = LoadRequests::of_order(&subject.loaded.requests)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        offers.push(ModelLoad { spec, requests: Arc::new(requests), seed });
    }
    Ok(offers)
}

/// Returns the index of the model under an open loop.
pub(super) fn light(offers: &[ModelLoad]) -> Option<usize> {
    offers.iter().position(|offer| matches!(offer.spec, LoadSpec::Poisson { .. }))
}

/// Returns true if one session of this model can run several requests at once.
pub(super) fn can_share_session(subject: &BenchModel) -> bool {
    let instance = subject.loaded.model.instance(InstanceSetup::cpu(1));
    instance.is_ok_and(|instance| instance.another().is_some())
}

/// A model whose instances are all the same session, as in a program that calls one session from
/// several threads.
struct OneSession {
    model: Arc<dyn Model>,
    first: Mutex<Option<Box<dyn Instance>>>,
}

impl Model for OneSession {
    fn signature(&self) -> &Signature {
        self.model.signature()
    }

    fn instance(&self, setup: InstanceSetup) -> Result<Box<dyn Instance>, EngineError> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(another) = first.as_ref().and_then(|first| first.another()) {
            return Ok(another);
        }
        let built = self.model.instance(setup)?;
        *first = built.another();
        Ok(built)
    }

    fn memory(&self) -> EngineMemory {
        self.model.memory()
    }
}

/// Returns the seconds of a request on one thread: the least of five.
fn cost(subject: &BenchModel) -> Result<f64, CommandError> {
    let failed = |error| CommandError::Failed(format!("{}: {error}", subject.name));
    let setup = InstanceSetup::cpu(1);
    let mut instance = subject.loaded.model.instance(setup).map_err(failed)?;
    let inputs = subject.loaded.requests.inputs.first().cloned().unwrap_or_default();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        instance.run(&inputs).map_err(failed)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best.max(1e-6))
}

/// Measures one window; its first fifth warms up and does not count.
pub(super) fn measure(
    machine: &Arc<dyn Machine>,
    subjects: &[BenchModel],
    offers: &[ModelLoad],
    row: &BenchArrangement,
    window: Duration,
) -> Result<Vec<ModelMetrics>, CommandError> {
    let mut pools = Vec::new();
    for (subject, placement) in subjects.iter().zip(&row.placements) {
        let warm_up = subject.loaded.requests.inputs.first().cloned().unwrap_or_default();
        let mut model = subject.loaded.model.clone();
        if placement.one_session {
            model = Arc::new(OneSession { model, first: Mutex::new(None) });
        }
        let setup = PoolSetup {
            name: subject.name.clone(),
            model,
            warm_up,
            instance: placement.setup,
            instances: placement.instances,
            cores: placement.cores,
        };
        let pool = serving_pool(machine, setup)?;
        pool.set_nice(placement.nice).map_err(|found| CommandError::Failed(found.join("; ")))?;
        pools.push(pool);
    }
    let driver = LoadDriver::start()?;
    for ((subject, pool), offer) in subjects.iter().zip(&pools).zip(offers) {
        let job = LoadJob {
            sender: pool.sender(),
            spec: offer.spec.clone(),
            requests: offer.requests.clone(),
            seed: offer.seed,
        };
        driver
            .set(&subject.name, Some(job))
            .map_err(|error| CommandError::Failed(error.to_string()))?;
    }
    std::thread::sleep(window / 5);
    let from = Instant::now();
    let before: Vec<_> = pools.iter().map(|pool| pool.recorder().latencies()).collect();
    std::thread::sleep(window * 4 / 5);
    let span = from.elapsed().as_secs_f64().max(1e-9);
    let figures = pools
        .iter()
        .zip(&before)
        .map(|(pool, before)| {
            let totals = pool.recorder().latencies().since(before);
            ModelMetrics {
                per_s: totals.count as f64 / span,
                p50_ms: totals.p50_us as f64 / 1e3,
                p99_ms: totals.p99_us as f64 / 1e3,
            }
        })
        .collect();
    let lost = driver.stop(TIMEOUT);
    for pool in &pools {
        pool.drain(TIMEOUT);
    }
    if lost > 0 {
        return Err(CommandError::Failed(format!(
            "{}: {lost} requests were not answered",
            row.name
        )));
    }
    Ok(figures)
}

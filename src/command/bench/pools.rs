//! Pools without a scheduler, and callers that ask again as soon as they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::command::CommandError;
use crate::engine::{InstanceSetup, Model, NamedTensor};
use crate::layout::QueuePolicy;
use crate::machine::{CpuSet, Machine};
use crate::pool::{Door, Pool, PoolEvent, Request};

/// How long instances may take to be built, and requests to be answered.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// A request's tensors.
pub(super) type Inputs = Arc<Vec<NamedTensor>>;

/// A pool that serves: instances built and warm, allowed on `cores`.
///
/// # Errors
/// [`CommandError::Failed`] when its instances cannot be built.
pub(super) fn serving(
    name: &str,
    machine: &Arc<dyn Machine>,
    model: Arc<dyn Model>,
    warm_up: Inputs,
    (setup, instances, cores): (InstanceSetup, usize, CpuSet),
) -> Result<Pool, CommandError> {
    let (sender, events) = std::sync::mpsc::channel();
    let listener = Box::new(move |event| {
        // Nobody listens any more once the pool serves.
        let _ = sender.send(event);
    });
    let queue = QueuePolicy { limit: QueuePolicy::MAX_LIMIT, ..QueuePolicy::default() };
    let pool = Pool::new(name, machine.clone(), queue, cores, listener);
    pool.install(model, warm_up);
    let all = machine.describe().limits.allowed;
    pool.ensure(instances, setup, all);
    pool.set_bound(instances);
    let failed = |reason: &str| Err(CommandError::Failed(format!("{name}: {reason}")));
    match events.recv_timeout(PATIENCE) {
        Ok(PoolEvent::Built(_)) => Ok(pool),
        Ok(PoolEvent::Elsewhere { reasons }) => failed(&reasons.join("; ")),
        Ok(PoolEvent::BuildFailed { reason, .. } | PoolEvent::InstanceLost { reason, .. }) => {
            failed(&reason)
        }
        Err(_) => failed("its instances are not ready"),
    }
}

/// Callers that ask again from within their answer, so that they need no thread of their own.
pub(super) struct Callers {
    door: Arc<dyn Door>,
    inputs: Vec<Inputs>,
    stop: AtomicBool,
    done: AtomicU64,
    live: AtomicUsize,
}

impl Callers {
    /// Starts `count` of them.
    pub(super) fn start(door: Arc<dyn Door>, inputs: Vec<Inputs>, count: usize) -> Arc<Self> {
        let callers = Arc::new(Self {
            door,
            inputs,
            stop: AtomicBool::new(false),
            done: AtomicU64::new(0),
            live: AtomicUsize::new(count),
        });
        for caller in 0..count {
            ask(&callers, caller);
        }
        callers
    }

    /// Requests answered with tensors so far.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// Lets them leave; returns whether all have.
    pub(super) fn stop(&self) -> bool {
        self.stop.store(true, Ordering::Release);
        let until = Instant::now() + PATIENCE;
        while self.live.load(Ordering::Acquire) > 0 {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

fn ask(callers: &Arc<Callers>, request: usize) {
    let asking = callers.clone();
    let variants = callers.inputs.len().max(1);
    let inputs = callers.inputs.get(request % variants).cloned().unwrap_or_default();
    let reply = Box::new(move |outcome: crate::pool::Outcome| {
        // A caller that is turned away leaves: asking again at once would not end.
        if outcome.result.is_ok() {
            asking.done.fetch_add(1, Ordering::AcqRel);
            if !asking.stop.load(Ordering::Acquire) {
                return ask(&asking, request + 1);
            }
        }
        asking.live.fetch_sub(1, Ordering::AcqRel);
    });
    callers.door.submit(Request { inputs, arrival: Instant::now(), reply });
}

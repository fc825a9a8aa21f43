//! Pools without a scheduler, and closed-loop callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::command::CommandError;
use crate::engine::{InstanceSetup, Model, NamedTensor};
use crate::layout::QueuePolicy;
use crate::machine::{CpuSet, Machine};
use crate::pool::{Pool, PoolEvent, Request, RequestSender};

/// Time for instances to be built, and for requests to be answered.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);

/// The input tensors of a request.
pub(super) type RequestInputs = Arc<Vec<NamedTensor>>;

/// The model and the instances of a pool.
pub(super) struct PoolSetup {
    /// Name of the pool.
    pub name: String,
    /// The model.
    pub model: Arc<dyn Model>,
    /// The inputs of the first request of each instance.
    pub warm_up: RequestInputs,
    /// Threads and device of an instance.
    pub instance: InstanceSetup,
    /// Number of instances.
    pub instances: usize,
    /// CPUs of the instances.
    pub cores: CpuSet,
}

/// Returns a pool whose instances are built and warm.
///
/// # Errors
/// [`CommandError::Failed`] when its instances cannot be built.
pub(super) fn serving_pool(
    machine: &Arc<dyn Machine>,
    setup: PoolSetup,
) -> Result<Pool, CommandError> {
    let PoolSetup { name, model, warm_up, instance, instances, cores } = setup;
    let (sender, events) = std::sync::mpsc::channel();
    let listener = Box::new(move |event| {
        // the receiver is gone once the pool serves
        let _ = sender.send(event);
    });
    let queue = QueuePolicy { limit: QueuePolicy::MAX_LIMIT, ..QueuePolicy::default() };
    let pool = Pool::new(&name, machine.clone(), queue, cores, listener);
    pool.install(model, warm_up);
    pool.pin_builders(machine.describe().limits.allowed);
    pool.ensure(instances, instance);
    pool.set_bound(instances);
    let failed = |reason: &str| Err(CommandError::Failed(format!("{name}: {reason}")));
    match events.recv_timeout(TIMEOUT) {
        Ok(PoolEvent::Built(_)) => Ok(pool),
        Ok(PoolEvent::PlacementMismatch { reasons }) => failed(&reasons.join("; ")),
        Ok(PoolEvent::BuildFailed { reason, .. } | PoolEvent::InstanceLost { reason, .. }) => {
            failed(&reason)
        }
        Err(_) => failed("its instances are not ready after a minute"),
    }
}

/// Closed-loop callers that send their next request from the reply, so that they need no threads.
pub(super) struct Callers {
    sender: Arc<dyn RequestSender>,
    inputs: Vec<RequestInputs>,
    stop: AtomicBool,
    completed: AtomicU64,
    active: AtomicUsize,
}

impl Callers {
    /// Starts `count` callers.
    pub(super) fn start(
        sender: Arc<dyn RequestSender>,
        inputs: Vec<RequestInputs>,
        count: usize,
    ) -> Arc<Self> {
        let callers = Arc::new(Self {
            sender,
            inputs,
            stop: AtomicBool::new(false),
            completed: AtomicU64::new(0),
            active: AtomicUsize::new(count),
        });
        for caller in 0..count {
            send(&callers, caller);
        }
        callers
    }

    /// Returns the number of requests completed so far.
    pub(super) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
    }

    /// Stops the callers; returns true if all have stopped in time.
    pub(super) fn stop(&self) -> bool {
        self.stop.store(true, Ordering::Release);
        let until = Instant::now() + TIMEOUT;
        while self.active.load(Ordering::Acquire) > 0 {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

fn send(callers: &Arc<Callers>, request: usize) {
    let sender = callers.clone();
    let variants = callers.inputs.len().max(1);
    let inputs = callers.inputs.get(request % variants).cloned().unwrap_or_default();
    let reply = Box::new(move |outcome: crate::pool::Outcome| {
        // a rejected caller stops: sending again at once would never end
        if outcome.result.is_ok() {
            sender.completed.fetch_add(1, Ordering::AcqRel);
            if !sender.stop.load(Ordering::Acquire) {
                return send(&sender, request + 1);
            }
        }
        sender.active.fetch_sub(1, Ordering::AcqRel);
    });
    let _ = callers.sender.submit(Request::new(inputs, reply));
}

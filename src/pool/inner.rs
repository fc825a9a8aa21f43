//! The state that a pool's handle, its senders and its workers share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::event::{Listener, PoolEvent};
use super::gate::{Gate, Submitted, Waiting};
use super::memory::{MemoryCharge, MemoryLimit, NO_ROOM};
use super::panic_message::panic_message;
use super::request::{Outcome, Request, RequestError, RequestSender, answer};
use super::threads::Threads;
use crate::engine::{EngineError, Instance, InstanceSetup, Model, NamedTensor, Signature};
use crate::machine::Machine;
use crate::machine::heap::trim_heap;
use crate::telemetry::Recorder;

/// A request in the gate, with the charge for its inputs.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) charge: MemoryCharge,
}

/// The shared state of a pool.
pub(super) struct Inner {
    pub(super) gate: Gate<Job>,
    pub(super) memory: MemoryLimit,
    pub(super) threads: Threads,
    pub(super) machine: Arc<dyn Machine>,
    pub(super) recorder: Recorder,
    pub(super) listener: Listener,
    loaded: RwLock<Option<Loaded>>,
    last_loss: Mutex<Option<String>>,
}

#[derive(Clone)]
struct Loaded {
    model: Arc<dyn Model>,
    signature: Arc<Signature>,
    warm_up: Arc<Vec<NamedTensor>>,
}

impl Inner {
    pub(super) fn new(
        gate: Gate<Job>,
        threads: Threads,
        machine: Arc<dyn Machine>,
        listener: Listener,
    ) -> Self {
        Self {
            gate,
            memory: MemoryLimit::new(),
            threads,
            machine,
            recorder: Recorder::new(Instant::now()),
            listener,
            loaded: RwLock::new(None),
            last_loss: Mutex::new(None),
        }
    }

    fn loaded(&self) -> Option<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the loaded model.
    pub(super) fn model(&self) -> Option<Arc<dyn Model>> {
        self.loaded().map(|loaded| loaded.model)
    }

    pub(super) fn set_model(&self, model: Arc<dyn Model>, warm_up: Arc<Vec<NamedTensor>>) {
        let signature = Arc::new(model.signature().clone());
        let loaded = Loaded { model, signature, warm_up };
        self.memory.look(&*loaded.model);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
    }

    pub(super) fn forget_model(&self) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.memory.clear();
    }

    /// The inputs of the trial request; `None` before a model is loaded.
    pub(super) fn warm_up_inputs(&self) -> Option<Arc<Vec<NamedTensor>>> {
        self.loaded().map(|loaded| loaded.warm_up)
    }

    /// Makes the engine free what it does not need, and the heap return its free pages.
    pub(super) fn shrink(&self) {
        if let Some(loaded) = self.loaded() {
            self.memory.shrink(&*loaded.model, &loaded.warm_up);
            trim_heap();
        }
    }

    pub(super) fn build_instance(
        &self,
        setup: InstanceSetup,
    ) -> Result<Box<dyn Instance>, EngineError> {
        let unavailable = |reason| Err(EngineError::Unavailable { reason });
        let Some(model) = self.model() else {
            return unavailable("the model is not loaded".to_owned());
        };
        catch_unwind(AssertUnwindSafe(|| model.instance(setup))).unwrap_or_else(|panic| {
            unavailable(format!("the engine panicked: {}", panic_message(&*panic)))
        })
    }

    pub(super) fn report(&self, event: PoolEvent) {
        (self.listener)(event);
    }

    /// Reports an instance that broke and could not be rebuilt.
    pub(super) fn lost(&self, instance: usize, reason: String) {
        *self.last_loss.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        self.report(PoolEvent::InstanceLost { instance, reason });
    }

    /// Answers requests whose time in the queue has run out.
    pub(super) fn expire(&self, now: Instant) {
        for Waiting { since, job, .. } in self.gate.expire(now) {
            let waited = now.saturating_duration_since(since);
            job.reject(RequestError::TimedOut { waited }, now);
        }
    }

    /// Rejects all waiting requests.
    pub(super) fn reject_waiting(&self, reason: &'static str) {
        let now = Instant::now();
        for waiting in self.gate.reject_all_waiting() {
            waiting.job.reject(RequestError::Rejected { reason }, now);
        }
    }

    /// Submits a request. Returns its number if it was accepted.
    pub(super) fn hand_in(&self, request: Request) -> Option<u64> {
        let now = Instant::now();
        let Some(charge) = self.memory.admit(&request.inputs) else {
            self.gate.count_rejected();
            reject(request, RequestError::Rejected { reason: NO_ROOM }, now);
            return None;
        };
        match self.gate.submit(Job { request, charge }, now) {
            Submitted::Accepted(id) => Some(id),
            Submitted::Rejected(job, reason) => {
                job.reject(RequestError::Rejected { reason }, now);
                None
            }
        }
    }

    /// Cancels a request that no instance has taken yet, and answers it.
    pub(super) fn cancel(&self, id: u64) -> bool {
        let found = self.gate.cancel(id);
        let is_found = found.is_some();
        if let Some(job) = found {
            job.reject(RequestError::Cancelled, Instant::now());
        }
        is_found
    }
}

impl Job {
    fn reject(self, error: RequestError, now: Instant) {
        // Release the charge before the caller is answered.
        drop(self.charge);
        reject(self.request, error, now);
    }
}

fn reject(request: Request, error: RequestError, now: Instant) {
    let queue = now.saturating_duration_since(request.arrival);
    answer(request.reply, Outcome { result: Err(error), queue, compute: Duration::ZERO });
}

impl RequestSender for Inner {
    fn signature(&self) -> Arc<Signature> {
        self.loaded().map_or_else(Arc::default, |loaded| loaded.signature)
    }

    fn submit(&self, request: Request) {
        let _ = self.hand_in(request);
    }
}

//! The state that a pool's handle, its senders and its workers share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use super::build_places::BuildPlaces;
use super::builders::BuilderThreads;
use super::event::{Listener, PoolEvent};
use super::gate::{BATCH, Gate, JobTerms, Present, Submitted, Waiting};
use super::input_check::InputCheck;
use super::job::Job;
use super::memory::{MemoryLimit, tensor_bytes};
use super::recording::RequestTap;
use super::rejection::Rejection;
use super::replies::ReplyThread;
use super::request::{Request, RequestError, RequestId, RequestSender};
use super::threads::{Pinned, Threads, place};
use super::trial::Trial;
use crate::engine::{EngineError, Instance, InstanceSetup, Model, NamedTensor, Signature};
use crate::machine::heap::request_trim;
use crate::machine::{CpuSet, Machine, panic_message, running_now};
use crate::telemetry::Recorder;

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestOrigin {
    /// A caller, whose requests can be recorded.
    Caller,
    /// The built-in load.
    BuiltInLoad,
}

/// The shared state of a pool.
pub(super) struct Inner {
    /// The pool's number, unique in this process.
    id: u64,
    pub(super) gate: Gate<Job>,
    pub(super) memory: MemoryLimit,
    pub(super) threads: Threads,
    /// The threads that load the model or build its instances.
    pub(super) builders: BuilderThreads,
    /// The places for loads, builds and trial requests.
    pub(super) places: Arc<BuildPlaces>,
    /// True once the model is being removed: its load is not needed.
    pub(super) is_draining: AtomicBool,
    /// True once nothing waits for a rebuilt instance either.
    is_stopped: AtomicBool,
    pub(super) machine: Arc<dyn Machine>,
    pub(super) recorder: Recorder,
    pub(super) listener: Listener,
    pub(super) replies: Arc<ReplyThread>,
    /// True once a caller other than the built-in load has sent a request.
    pub(super) has_callers: AtomicBool,
    /// The trial request of new and of doubtful instances.
    pub(super) trial: Trial,
    /// Takes the requests of callers for a recording.
    pub(super) tap: RequestTap,
    inputs: InputCheck,
    loaded: RwLock<Option<Loaded>>,
    last_loss: Mutex<Option<String>>,
}

#[derive(Clone)]
struct Loaded {
    model: Arc<dyn Model>,
    /// Why no trial request was known when it was loaded; `None` if one was.
    untried: Option<Arc<str>>,
}

impl Inner {
    pub(super) fn new(
        gate: Gate<Job>,
        threads: Threads,
        machine: Arc<dyn Machine>,
        listener: Listener,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let builders = BuilderThreads::new(machine.clone(), &threads);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            gate,
            memory: MemoryLimit::new(),
            threads,
            builders,
            places: Arc::default(),
            is_draining: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            machine,
            recorder: Recorder::new(running_now()),
            listener,
            replies: ReplyThread::shared(),
            has_callers: AtomicBool::new(false),
            trial: Trial::default(),
            tap: RequestTap::default(),
            inputs: InputCheck::default(),
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

    pub(super) fn set_model(&self, model: Arc<dyn Model>, trial: Arc<Vec<NamedTensor>>) {
        self.trial.set(trial);
        self.set_loaded(Loaded { model, untried: None });
    }

    /// Sets a model of which no request is known to run, for this reason. `known` is the last good request
    /// of its callers.
    pub(super) fn set_untried_model(
        &self,
        model: Arc<dyn Model>,
        reason: &str,
        known: Option<Arc<Vec<NamedTensor>>>,
    ) {
        self.memory.set_prepared(known.as_ref().map_or(0, |inputs| tensor_bytes(inputs)));
        self.trial.open(known);
        self.set_loaded(Loaded { model, untried: Some(reason.into()) });
    }

    fn set_loaded(&self, loaded: Loaded) {
        self.inputs.publish(&*loaded.model);
        self.memory.look(&*loaded.model);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
    }

    pub(super) fn forget_model(&self) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.trial.clear();
        self.memory.clear();
    }

    /// Returns why no request is known that the model runs; `None` if one is, or without a model.
    pub(super) fn untried(&self) -> Option<String> {
        self.loaded().and_then(|loaded| self.trial.untried(&loaded.untried?))
    }

    /// Makes the engine free what it does not need. The heap returns its free pages soon after.
    pub(super) fn shrink(&self) {
        if let Some(loaded) = self.loaded() {
            let trial = self.trial.request();
            self.memory.shrink(&*loaded.model, trial.as_ref().map(|inputs| inputs.as_slice()));
            request_trim();
        }
    }

    /// Returns the pool's number.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Has the steps of builds that wait for a place check whether they are cancelled.
    pub(super) fn wake_builders(&self) {
        self.places.wake(self.id);
    }

    /// Ends the repairs of instances before their next step.
    pub(super) fn stop_repairs(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.wake_builders();
    }

    /// Returns true if broken instances are not rebuilt any more.
    pub(super) fn has_stopped_repairs(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    /// Sets and verifies the CPU mask of the model's threads. Returns one message per thread whose mask
    /// differs.
    pub(super) fn pin(&self, mask: CpuSet) -> Vec<String> {
        self.settle(self.threads.pin(mask))
    }

    /// Sets and verifies the CPU mask of the threads that load or build. Returns one message per thread
    /// whose mask differs.
    pub(super) fn pin_builders(&self, cores: CpuSet) -> Vec<String> {
        self.settle(self.builders.pin(cores))
    }

    /// Places the threads again that became members or builders while they were moved as the other.
    /// Whoever joins a set places its threads after that, so a thread that is in neither set at this
    /// moment needs nothing. Returns the differences of the rest.
    fn settle(&self, pinned: Pinned) -> Vec<String> {
        for thread in pinned.left {
            let cores = || self.threads.mask_of(thread).or_else(|| self.builders.cores_of(thread));
            let mut wanted = cores();
            while let Some(mask) = wanted {
                let members = self.threads.begin_call(thread);
                let Some(_call) = members.or_else(|| self.builders.begin_call(thread)) else {
                    break;
                };
                // The check of the machine finds a thread that is not where it should be.
                let _ = place(&*self.machine, thread, &mask);
                let newest = cores();
                if newest == wanted {
                    break;
                }
                wanted = newest;
            }
        }
        pinned.differences
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

    /// Has requests answered whose time in the queue has run out.
    pub(super) fn expire(&self, now: Instant) {
        loop {
            let expired = self.gate.expire(Present { running: now, callers: Instant::now() });
            let is_last = expired.len() < BATCH;
            if !expired.is_empty() {
                self.replies.answer_later(move || {
                    for Waiting { terms, job, .. } in expired {
                        let waited = now.saturating_duration_since(terms.since);
                        job.reject(RequestError::TimedOut { waited }, now);
                    }
                });
            }
            if is_last {
                return;
            }
        }
    }

    /// Has all requests rejected that wait now.
    pub(super) fn reject_waiting(self: &Arc<Self>, reason: Rejection) {
        let inner = self.clone();
        // Not those that are submitted once the model accepts requests again.
        let before = self.gate.next_job();
        self.replies.answer_later(move || {
            loop {
                let rejected = inner.gate.reject_waiting(before);
                let (is_last, now) = (rejected.len() < BATCH, running_now());
                for waiting in rejected {
                    waiting.job.reject(RequestError::Rejected { reason }, now);
                }
                if is_last {
                    return;
                }
            }
        });
    }

    /// Returns the id of a request that this pool has accepted under a number.
    pub(super) const fn request_id(&self, number: u64) -> RequestId {
        RequestId { pool: self.id, number }
    }

    /// Submits a request. Returns its number if it was accepted.
    pub(super) fn submit_job(
        &self,
        job: Job,
        terms: JobTerms,
        origin: RequestOrigin,
    ) -> Option<u64> {
        self.offer_job(job, terms, origin).unwrap_or_else(|job| {
            job.reject(RequestError::Rejected { reason: Rejection::Removed }, terms.since);
            None
        })
    }

    /// Submits a request. Returns its number if it was accepted.
    ///
    /// # Errors
    /// The request, unanswered, if the model is being removed.
    pub(super) fn offer_job(
        &self,
        mut job: Job,
        terms: JobTerms,
        origin: RequestOrigin,
    ) -> Result<Option<u64>, Job> {
        let now = terms.since;
        if let Err(error) = self.inputs.check(&job.inputs) {
            return self.refuse_wrong(job, error, now).map(|()| None);
        }
        match self.memory.admit(&job.inputs) {
            Ok(charge) => job.charge = charge,
            Err(reason) => {
                self.gate.count_rejected();
                job.reject(RequestError::Rejected { reason }, now);
                return Ok(None);
            }
        }
        if origin == RequestOrigin::Caller && self.inputs.is_known() {
            self.tap.pass(&job.inputs, job.arrival);
        }
        match self.gate.submit(job, terms) {
            Submitted::Accepted(id) => Ok(Some(id)),
            Submitted::Rejected(job, Rejection::Removed) => Err(Job { charge: None, ..job }),
            Submitted::Rejected(job, reason) => {
                job.reject(RequestError::Rejected { reason }, now);
                Ok(None)
            }
        }
    }

    /// Answers a request whose inputs do not fit the model. No instance sees it.
    ///
    /// # Errors
    /// The request, unanswered, if the model is being removed: its successor may have other inputs.
    fn refuse_wrong(&self, job: Job, error: EngineError, now: Instant) -> Result<(), Job> {
        match self.gate.refusal() {
            Some(Rejection::Removed) => return Err(job),
            Some(reason) => {
                self.gate.count_rejected();
                job.reject(RequestError::Rejected { reason }, now);
            }
            None => {
                self.gate.count_wrong();
                job.reject(error.into(), now);
            }
        }
        Ok(())
    }

    /// Lets requests try again that were told to wait for the memory limit, if that may help.
    pub(super) fn release_held(&self) {
        if self.memory.take_release() {
            self.gate.release();
        }
    }

    /// Removes a request that waits and that nobody waits for any more.
    pub(super) fn discard(&self, id: RequestId) {
        drop(self.gate.discard(id.number));
    }

    /// Cancels a request that waits, and answers it.
    pub(super) fn cancel_number(&self, number: u64) -> bool {
        let found = self.gate.cancel(number);
        let is_found = found.is_some();
        if let Some(job) = found {
            job.reject(RequestError::Cancelled, running_now());
        }
        is_found
    }
}

impl RequestSender for Inner {
    fn signature(&self) -> Arc<Signature> {
        self.inputs.signature()
    }

    fn submit(&self, request: Request) -> Option<RequestId> {
        let terms = request.options.terms(running_now());
        let origin = RequestOrigin::BuiltInLoad;
        self.submit_job(Job::new(request), terms, origin).map(|number| self.request_id(number))
    }

    fn cancel(&self, id: RequestId) -> bool {
        id.pool == self.id && self.cancel_number(id.number)
    }
}

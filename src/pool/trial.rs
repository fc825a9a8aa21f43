//! The trial request. New instances run it before they serve. After a failed request, an instance that still
//! runs it is healthy.
//!
//! A model whose inputs cannot be guessed has none at first. The newest good request of its callers
//! becomes the trial request then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::memory::{MemoryLimit, tensor_bytes};
use super::sync::try_lock;
use crate::engine::NamedTensor;
use crate::layout::Bytes;

/// The largest request of a caller that is kept, in bytes of its tensors.
const MAX_KEPT_BYTES: u64 = 16 << 20;

/// Shortest time between two requests that are kept.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The trial request of a pool.
#[derive(Default)]
pub(super) struct Trial {
    /// True while good requests of callers are kept. Instances read it after each request.
    is_open: AtomicBool,
    /// True once a request of a caller is kept.
    has_kept: AtomicBool,
    /// True once a good request was too large to be kept.
    was_too_large: AtomicBool,
    /// Held only to copy or replace pointers: the owner may wait for it.
    newest: Mutex<NewestRequest>,
}

#[derive(Default)]
struct NewestRequest {
    inputs: Option<Arc<Vec<NamedTensor>>>,
    /// When a request was last considered.
    taken: Option<Instant>,
}

impl Trial {
    fn lock(&self) -> MutexGuard<'_, NewestRequest> {
        // No code that can panic runs under this lock.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, inputs: Option<Arc<Vec<NamedTensor>>>) {
        // The old request is dropped after the lock.
        let _old = std::mem::replace(&mut self.lock().inputs, inputs);
    }

    /// Sets a request that the model is known or expected to run.
    pub(super) fn set(&self, inputs: Arc<Vec<NamedTensor>>) {
        self.is_open.store(false, Ordering::Relaxed);
        self.replace(Some(inputs));
    }

    /// Lets the callers' good requests become the trial request. `known` is one of the model before.
    pub(super) fn open(&self, known: Option<Arc<Vec<NamedTensor>>>) {
        self.has_kept.store(known.is_some(), Ordering::Relaxed);
        self.was_too_large.store(false, Ordering::Relaxed);
        self.replace(known);
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// Removes the request.
    pub(super) fn clear(&self) {
        self.is_open.store(false, Ordering::Relaxed);
        self.replace(None);
    }

    /// Returns the trial request; `None` if no request is known to run.
    pub(super) fn request(&self) -> Option<Arc<Vec<NamedTensor>>> {
        self.lock().inputs.clone()
    }

    /// Returns true if the trial request comes from the callers.
    pub(super) fn is_from_callers(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Returns the last good request of the callers, if these are kept.
    pub(super) fn last_good(&self) -> Option<Arc<Vec<NamedTensor>>> {
        self.is_from_callers().then(|| self.request())?
    }

    /// Returns the state of a model without a trial request, after `reason`; `None` if it has one.
    pub(super) fn untried(&self, reason: &str) -> Option<String> {
        if !self.is_from_callers() || self.has_kept.load(Ordering::Relaxed) {
            return None;
        }
        Some(if self.was_too_large.load(Ordering::Relaxed) {
            let limit = Bytes(MAX_KEPT_BYTES);
            format!("{reason}; its callers' requests exceed {limit} or its memory budget")
        } else {
            reason.to_owned()
        })
    }

    /// Keeps a copy of a request that has succeeded at `now`, if the callers' requests are kept and the
    /// copy is due. Returns true if this took noticeable time.
    pub(super) fn keep(&self, inputs: &[NamedTensor], now: Instant, memory: &MemoryLimit) -> bool {
        if !self.is_open.load(Ordering::Relaxed) || !self.is_due(now) {
            return false;
        }
        let bytes = tensor_bytes(inputs);
        if bytes > MAX_KEPT_BYTES || !memory.charge_trial(bytes) {
            self.was_too_large.store(true, Ordering::Relaxed);
            return false;
        }
        // A copy, so that no caller's buffer stays in use.
        self.replace(Some(Arc::new(inputs.to_vec())));
        self.has_kept.store(true, Ordering::Relaxed);
        true
    }

    fn is_due(&self, now: Instant) -> bool {
        // Another instance that holds the lock is about to keep a request as good as this one.
        let Some(mut newest) = try_lock(&self.newest) else { return false };
        let is_due = newest
            .taken
            .is_none_or(|taken| now.saturating_duration_since(taken) >= REFRESH_INTERVAL);
        if is_due {
            newest.taken = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Tensor, TensorData};

    fn request(values: Vec<u8>) -> Vec<NamedTensor> {
        let tensor = Tensor::new(vec![values.len()], TensorData::U8(values)).unwrap();
        vec![NamedTensor { name: "x".to_owned(), tensor }]
    }

    fn open_trial() -> Trial {
        let trial = Trial::default();
        trial.open(None);
        trial
    }

    #[test]
    fn good_request_is_refreshed_once_a_second() {
        let (trial, memory, now) = (open_trial(), MemoryLimit::new(), Instant::now());
        assert_eq!(trial.untried("no guess runs").as_deref(), Some("no guess runs"));
        assert!(trial.keep(&request(vec![1]), now, &memory));
        assert!(!trial.keep(&request(vec![2]), now + REFRESH_INTERVAL / 2, &memory));
        assert_eq!(*trial.request().unwrap(), request(vec![1]));
        assert!(trial.keep(&request(vec![3]), now + REFRESH_INTERVAL, &memory));
        assert_eq!(*trial.request().unwrap(), request(vec![3]));
        assert_eq!(trial.untried("no guess runs"), None);
    }

    #[test]
    fn large_request_is_not_kept() {
        let (trial, memory) = (open_trial(), MemoryLimit::new());
        let large = request(vec![0; MAX_KEPT_BYTES as usize + 1]);
        assert!(!trial.keep(&large, Instant::now(), &memory));
        assert!(trial.request().is_none());
        assert!(trial.untried("no guess runs").unwrap().contains("exceed 16MiB"));
    }

    #[test]
    fn request_beyond_the_budget_is_not_kept() {
        let (trial, memory) = (open_trial(), MemoryLimit::new());
        memory.set_limit(Some(3));
        assert!(!trial.keep(&request(vec![0; 4]), Instant::now(), &memory));
        assert!(trial.keep(&request(vec![0; 3]), Instant::now() + REFRESH_INTERVAL, &memory));
    }

    #[test]
    fn working_guess_is_not_replaced() {
        let (trial, memory) = (Trial::default(), MemoryLimit::new());
        trial.set(Arc::default());
        assert!(!trial.keep(&request(vec![1]), Instant::now(), &memory));
        assert!(trial.request().unwrap().is_empty() && trial.last_good().is_none());
    }
}

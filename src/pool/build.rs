//! A batch of instances that are being built together: how many are ready, and what happens when
//! the last one is, or one fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::inner::Inner;
use super::{BuildReport, PoolEvent};
use crate::engine::InstanceSetup;

/// One batch.
pub struct Build {
    generation: u64,
    setup: InstanceSetup,
    total: usize,
    ready: AtomicUsize,
    over: AtomicBool,
    started: Instant,
}

impl Build {
    /// A batch of `total` instances for a generation of the gate.
    pub fn new(generation: u64, setup: InstanceSetup, total: usize) -> Self {
        Self {
            generation,
            setup,
            total,
            ready: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            started: Instant::now(),
        }
    }

    /// The gate's generation that the instances belong to.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How they are built.
    pub fn setup(&self) -> InstanceSetup {
        self.setup
    }

    /// Instances ready, and in all; `None` when the batch is over.
    pub fn progress(&self) -> Option<(usize, usize)> {
        (!self.over.load(Ordering::Acquire))
            .then(|| (self.ready.load(Ordering::Acquire).min(self.total), self.total))
    }

    /// One instance is warm and has its seat. The last one makes the generation serve.
    pub fn ready(&self, inner: &Inner) {
        if self.ready.fetch_add(1, Ordering::AcqRel) + 1 == self.total
            && !self.over.swap(true, Ordering::AcqRel)
        {
            inner.gate.serve(self.generation);
            inner.report(PoolEvent::Built(BuildReport {
                generation: self.generation,
                setup: self.setup,
                took: self.started.elapsed(),
            }));
        }
    }

    /// One instance could not be built: the whole batch is given up, once.
    pub fn fail(&self, inner: &Inner, reason: String) {
        if !self.over.swap(true, Ordering::AcqRel) {
            inner.gate.abandon(self.generation);
            inner.report(PoolEvent::BuildFailed {
                generation: self.generation,
                setup: self.setup,
                reason,
            });
        }
    }

    /// A newer batch took its place.
    pub fn supersede(&self, inner: &Inner) {
        if !self.over.swap(true, Ordering::AcqRel) {
            inner.gate.abandon(self.generation);
        }
    }
}

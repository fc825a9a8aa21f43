//! Counters of the built-in load of one model.

use std::sync::atomic::{AtomicU64, Ordering};

/// The built-in load of one model since the driver started, over all its jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// Intended arrivals so far, including those that the generator has not submitted yet.
    pub offered: u64,
    /// Requests submitted.
    pub submitted: u64,
    /// Requests that have ended, with or without success.
    pub answered: u64,
}

/// The live counters behind [`LoadCounts`].
#[derive(Debug, Default)]
pub(super) struct LoadCounters {
    offered: AtomicU64,
    submitted: AtomicU64,
    answered: AtomicU64,
}

impl LoadCounters {
    /// Counts intended arrivals.
    pub(super) fn add_offered(&self, arrivals: u64) {
        self.offered.fetch_add(arrivals, Ordering::Relaxed);
    }

    /// Counts a submitted request.
    pub(super) fn add_submitted(&self) {
        self.submitted.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a request that has ended.
    pub(super) fn add_answered(&self) {
        self.answered.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the counts now.
    pub(super) fn counts(&self) -> LoadCounts {
        // Read first, so that it is never above `submitted`.
        let answered = self.answered.load(Ordering::Acquire);
        let submitted = self.submitted.load(Ordering::Acquire);
        LoadCounts { offered: self.offered.load(Ordering::Acquire), submitted, answered }
    }
}

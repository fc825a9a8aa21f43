//! Counters of the built-in load, per model.

use std::collections::BTreeMap;
use std::sync::Arc;
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

impl LoadCounts {
    /// Returns the number of submitted requests that have not ended.
    fn unanswered(&self) -> u64 {
        self.submitted.saturating_sub(self.answered)
    }
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

/// The counters of all models whose load runs, or whose requests have not all ended.
#[derive(Debug, Default)]
pub(super) struct CountersByModel(BTreeMap<String, ModelCounters>);

#[derive(Debug, Default)]
struct ModelCounters {
    is_running: bool,
    counters: Arc<LoadCounters>,
}

impl CountersByModel {
    /// Returns the counters of a model whose load starts or changes.
    pub(super) fn start(&mut self, model: &str) -> Arc<LoadCounters> {
        // Models come and go: their counters must not add up over a long run.
        self.0.retain(|name, load| {
            load.is_running || name == model || load.counters.counts().unanswered() > 0
        });
        let load = self.0.entry(model.to_owned()).or_default();
        load.is_running = true;
        load.counters.clone()
    }

    /// Returns the counters of a model whose load stops; `None` for an unknown model.
    pub(super) fn stop(&mut self, model: &str) -> Option<Arc<LoadCounters>> {
        let load = self.0.get_mut(model)?;
        load.is_running = false;
        Some(load.counters.clone())
    }

    /// Returns the counts of a model; zeros for an unknown model.
    pub(super) fn counts(&self, model: &str) -> LoadCounts {
        self.0.get(model).map(|load| load.counters.counts()).unwrap_or_default()
    }

    /// Returns the number of submitted requests of all models that have not ended.
    pub(super) fn unanswered(&self) -> u64 {
        self.0.values().map(|load| load.counters.counts().unanswered()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_ended_loads_are_dropped() {
        let mut all = CountersByModel::default();
        let waiting = all.start("waiting");
        waiting.add_submitted();
        for round in 0..100 {
            let name = format!("model {round}");
            all.start(&name).add_submitted();
            all.stop(&name).unwrap().add_answered();
        }
        all.stop("waiting");
        all.start("last");
        let names: Vec<&str> = all.0.keys().map(String::as_str).collect();
        assert_eq!((names, all.unanswered()), (vec!["last", "waiting"], 1));
        waiting.add_answered();
        all.start("last");
        assert_eq!(all.0.len(), 1);
    }
}

//! Threads and instances of a row, and whether its threads spin.

use super::super::budget::{Auto, Budget, Objective};
use super::super::desired::{DesiredState, Row};
use super::nice::shares_cores;

/// The most threads per instance that "auto" chooses. More rarely pay: the parts of one operator
/// become too small, and a queue of requests uses the cores better.
pub(super) const MOST_AUTO_THREADS: usize = 16;

/// Returns the threads per instance. "auto" means one thread for throughput. For latency it divides
/// the cores evenly between the instances: as many as the row asks for or, if that is "auto" too,
/// the fewest of at most [`MOST_AUTO_THREADS`] threads. Without cores the present number stays, so
/// that nothing is rebuilt for a model that cannot run.
fn threads(budget: &Budget, cores: usize, present: usize) -> usize {
    match (budget.threads, budget.objective) {
        (Auto::Exactly(threads), _) => threads.max(1),
        (Auto::Auto, _) if cores == 0 => present.max(1),
        (Auto::Auto, Objective::Throughput) => 1,
        (Auto::Auto, Objective::Latency) => {
            let instances = match budget.concurrency {
                Auto::Exactly(instances) => instances.max(1),
                Auto::Auto => cores.div_ceil(MOST_AUTO_THREADS),
            };
            (cores / instances).clamp(1, MOST_AUTO_THREADS)
        }
    }
}

/// Returns the instances of a row that is not paused: the number asked for, or cores / threads and
/// at least one; 0 without cores.
pub(super) fn instances(budget: &Budget, cores: usize, threads: usize) -> usize {
    match budget.concurrency {
        _ if cores == 0 => 0,
        Auto::Exactly(instances) => instances.max(1),
        Auto::Auto => (cores / threads.max(1)).max(1),
    }
}

/// Sets a row's threads and instances from its budget and its cores.
pub(super) fn derive_instances(row: &mut Row) {
    let cores = row.cores.len();
    if row.budget.is_process() {
        // It has no instances: each of its cores may have a runnable thread.
        (row.threads, row.concurrency) = (1, cores);
        return;
    }
    row.threads = threads(&row.budget, cores, row.threads);
    row.concurrency =
        if row.budget.paused { 0 } else { instances(&row.budget, cores, row.threads) };
}

impl Row {
    /// Returns true if the row's intra-op threads spin while they wait. They do if the layout asks
    /// for it, except while another model has one of its cores or the row has fewer cores than
    /// threads: a spinning thread would then take time from one that has work. A single thread
    /// never spins, since it waits for no other. Pausing makes no difference.
    pub fn spinning(&self, state: &DesiredState) -> bool {
        if self.budget.spinning != Some(true) || self.threads == 1 {
            return false;
        }
        let cores = self.cores.len();
        let threads = self.threads * instances(&self.budget, cores, self.threads);
        (1..=cores).contains(&threads) && !shares_cores(state, self)
    }

    /// Returns the number of its cores that stay idle when all its instances run.
    pub(super) fn idle_cores(&self) -> usize {
        self.cores.len().saturating_sub(self.threads * self.concurrency)
    }
}

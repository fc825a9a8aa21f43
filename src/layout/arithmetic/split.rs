//! How a row's cores become instances and threads, and whether its threads spin.

use super::super::budget::{Auto, Budget, Objective};
use super::super::desired::{DesiredState, Row};

/// The widest instance that "auto" makes. Wider ones rarely pay: beyond it the parts of one
/// operator become too small, and a queue of requests uses the cores better.
pub(super) const WIDEST_AUTO: usize = 16;

/// Threads of an instance. A number stands as it is. "auto" means one thread for throughput; for
/// latency the cores are divided evenly between the instances: as many as the row asks for, or, if
/// that is auto too, the fewest of at most [`WIDEST_AUTO`] threads. Without cores there is nothing
/// to derive from, and `now` stays, so that nothing is rebuilt for a model that cannot run.
pub(super) fn threads(budget: &Budget, cores: usize, now: usize) -> usize {
    match (budget.threads, budget.objective) {
        (Auto::Exactly(threads), _) => threads.max(1),
        (Auto::Auto, _) if cores == 0 => now.max(1),
        (Auto::Auto, Objective::Throughput) => 1,
        (Auto::Auto, Objective::Latency) => {
            let instances = match budget.concurrency {
                Auto::Exactly(instances) => instances.max(1),
                Auto::Auto => cores.div_ceil(WIDEST_AUTO),
            };
            (cores / instances).clamp(1, WIDEST_AUTO)
        }
    }
}

/// Instances of a row while it is not paused: the number, or cores / threads and at least one.
/// None without cores.
pub(super) fn instances(budget: &Budget, cores: usize, threads: usize) -> usize {
    match budget.concurrency {
        _ if cores == 0 => 0,
        Auto::Exactly(instances) => instances.max(1),
        Auto::Auto => (cores / threads.max(1)).max(1),
    }
}

/// Derives threads and instances of a row from its budget and its cores.
pub(super) fn settle(row: &mut Row) {
    let cores = row.cores.len();
    row.threads = threads(&row.budget, cores, row.threads);
    row.concurrency =
        if row.budget.paused { 0 } else { instances(&row.budget, cores, row.threads) };
}

impl Row {
    /// Whether its intra-op threads spin while they wait, as it takes effect. Never while another
    /// model has one of its cores, or while it has fewer cores than threads that could spin: a
    /// spinning thread would then take the time of one that has work. Else as set, by default off.
    /// One thread has nobody to wait for and never spins. Pausing does not change it.
    pub fn spinning(&self, all: &DesiredState) -> bool {
        if self.budget.spinning != Some(true) || self.threads == 1 {
            return false;
        }
        let cores = self.cores.len();
        let wanted = self.threads * instances(&self.budget, cores, self.threads);
        (1..=cores).contains(&wanted) && !all.shares(self)
    }

    /// Its cores that no thread of its instances can use at once.
    pub(super) fn idle_cores(&self) -> usize {
        self.cores.len().saturating_sub(self.threads * self.concurrency)
    }
}

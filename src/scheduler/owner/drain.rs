//! Workloads of removed models: their requests are answered, off the cores of the models that stay.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::layout::DesiredState;
use crate::machine::CpuSet;
use crate::scheduler::workload::Workload;

/// Time that a removed model has to answer its waiting requests.
const PATIENCE: Duration = Duration::from_secs(10);

/// The workloads of removed models.
#[derive(Default)]
pub(super) struct DrainingWorkloads {
    /// They still accept requests: clients find their successors only in the next published state.
    removed: Vec<Arc<dyn Workload>>,
    draining: Vec<Weak<dyn Workload>>,
}

impl DrainingWorkloads {
    /// Adds the workload of a removed model. [`Self::start`] drains it.
    pub(super) fn add(&mut self, workload: Arc<dyn Workload>) {
        self.removed.push(workload);
    }

    /// Drains the added workloads in the background, once clients no longer find them. Waiting requests
    /// are answered, or rejected when the time is over.
    pub(super) fn start(&mut self) {
        for workload in std::mem::take(&mut self.removed) {
            self.drain(workload);
        }
    }

    fn drain(&mut self, workload: Arc<dyn Workload>) {
        self.draining.push(Arc::downgrade(&workload));
        let spawned = std::thread::Builder::new().name("divvy-drain".to_owned()).spawn(move || {
            drain_until_ended(&*workload, PATIENCE, || {
                tracing::warn!(
                    "a removed model is still loading, building or running a request; its threads end \
                     with that"
                );
            });
        });
        if let Err(error) = spawned {
            tracing::error!("cannot start a thread to drain a removed model: {error}");
        }
    }

    /// Returns the workloads that have not ended.
    pub(super) fn workloads(&self) -> Vec<Arc<dyn Workload>> {
        let draining = self.draining.iter().filter_map(Weak::upgrade);
        draining.chain(self.removed.iter().cloned()).collect()
    }

    /// Moves the threads of draining workloads off the cores that `after` reserves. If that leaves no
    /// core, they stay on all allowed ones.
    pub(super) fn move_off_reserved_cores(&mut self, after: &DesiredState, allowed: CpuSet) {
        self.draining.retain(|workload| workload.strong_count() > 0);
        let reserving = after.rows.iter().filter(|row| row.budget.reserve);
        let reserved = reserving.fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
        for workload in self.workloads() {
            let choose = |present: CpuSet| {
                let choices = [present.intersection(&allowed), allowed];
                let free = choices.iter().map(|cores| cores.difference(&reserved));
                free.into_iter().find(|cores| !cores.is_empty()).unwrap_or(allowed)
            };
            let mut reasons = Vec::new();
            if let Some(present) = workload.builder_cores() {
                let building = choose(present);
                if building != present {
                    reasons.extend(workload.pin_builders(building));
                }
            }
            let mask = choose(workload.mask());
            if workload.mask() != mask {
                reasons.extend(workload.pin(mask));
            }
            for reason in reasons {
                tracing::warn!(
                    "cannot move a removed model's threads off reserved cores: {reason}"
                );
            }
        }
    }
}

/// Drains a workload and returns when its threads have ended. Calls `is_late` if they have not ended in
/// time; the workload is held until they have, so that they can still be moved.
fn drain_until_ended(workload: &dyn Workload, patience: Duration, is_late: impl FnOnce()) {
    if !workload.drain(patience) {
        is_late();
        while !workload.has_ended() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::engine::InstanceSetup;
    use crate::engine::synthetic::{Script, SyntheticModel};
    use crate::layout::QueuePolicy;
    use crate::machine::SimulatedMachine;
    use crate::pool::{Pool, Request};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn drain_holds_the_pool_until_threads_end() {
        let (mask, script): (CpuSet, _) = ("0-1".parse().unwrap(), Arc::new(Script::default()));
        let (sender, events) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let listener = Box::new(move |event| drop(sender.lock().unwrap().send(event)));
        let machine = Arc::new(SimulatedMachine::uniform(2));
        let pool = Pool::new("m", machine, QueuePolicy::default(), mask, listener);
        pool.install(Arc::new(SyntheticModel::new(script.clone())), Arc::default());
        assert!(pool.ensure(1, InstanceSetup::cpu(1)));
        events.recv_timeout(PATIENCE).unwrap();
        pool.set_bound(1);
        script.run_blocked.store(true, Ordering::SeqCst);
        let (answer, answered) = mpsc::channel();
        let reply = Box::new(move |_| answer.send(()).unwrap());
        let request = Request::new(Arc::default(), reply);
        pool.client().sender().submit(request);
        let start = Instant::now();
        while pool.counts().executing == 0 {
            assert!(start.elapsed() < PATIENCE, "it runs");
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut threads_when_late = 0;
        drain_until_ended(&pool, Duration::ZERO, || {
            threads_when_late = pool.members().len();
            script.run_blocked.store(false, Ordering::SeqCst);
        });
        assert_eq!((threads_when_late, pool.members().len()), (1, 0));
        answered.try_recv().unwrap();
    }
}

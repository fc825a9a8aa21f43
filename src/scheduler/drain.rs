//! Models that go: what they have is answered, out of the way of those that take their cores.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::owner::Owner;
use super::slot::Slot;
use crate::layout::DesiredState;
use crate::machine::CpuSet;
use crate::pool::Pool;

impl Owner {
    /// Drains a pool in the background; what waits is answered, what cannot be is rejected.
    pub(super) fn retire(&mut self, slot: Slot) {
        self.leaving.push(Arc::downgrade(&slot.pool));
        let spawned = std::thread::Builder::new().name("divvy-drain".to_owned()).spawn(move || {
            drain_until_ended(&slot.pool, Duration::from_secs(10), || {
                tracing::warn!("a removed model still runs a request; its thread ends with it");
            });
        });
        if let Err(error) = spawned {
            tracing::error!("cannot start a thread to drain a model: {error}");
        }
    }

    /// Moves what is left of models that went off the cores that `after` reserves: where there are
    /// none but those, it stays on all.
    pub(super) fn move_off_reserved_cores(&mut self, after: &DesiredState) {
        self.leaving.retain(|pool| pool.strong_count() > 0);
        let reserving = after.rows.iter().filter(|row| row.budget.reserve);
        let reserved = reserving.fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
        let allowed = self.description.limits.allowed;
        for pool in self.leaving.iter().filter_map(Weak::upgrade) {
            let choices = [pool.mask().intersection(&allowed), allowed];
            let clear = choices.iter().map(|cores| cores.difference(&reserved));
            let mask = clear.into_iter().find(|cores| !cores.is_empty()).unwrap_or(allowed);
            if pool.mask() != mask {
                for reason in pool.pin(mask) {
                    tracing::warn!("a model that goes is in the way: {reason}");
                }
            }
        }
    }
}

/// Drains a pool, says so where it does not end in time, and returns when it has ended all the same:
/// who holds it for that long can still be moved out of the way.
fn drain_until_ended(pool: &Pool, patience: Duration, is_late: impl FnOnce()) {
    if !pool.drain(patience) {
        is_late();
        while !pool.has_ended() {
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
    use crate::pool::Request;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_model_whose_request_outlasts_the_drain_is_held_until_its_thread_has_ended() {
        let (mask, script): (CpuSet, _) = ("0-1".parse().unwrap(), Arc::new(Script::default()));
        let (tell, told) = mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let listener = Box::new(move |event| drop(tell.lock().unwrap().send(event)));
        let machine = Arc::new(SimulatedMachine::uniform(2));
        let pool = Pool::new("m", machine, QueuePolicy::default(), mask, listener);
        pool.install(Arc::new(SyntheticModel::new(script.clone())), Arc::default());
        assert!(pool.ensure(1, InstanceSetup::cpu(1), mask));
        told.recv_timeout(PATIENCE).unwrap();
        pool.set_bound(1);
        script.run_held.store(true, Ordering::SeqCst);
        let (answer, answered) = mpsc::channel();
        let reply = Box::new(move |_| answer.send(()).unwrap());
        let request = Request { inputs: Arc::default(), arrival: Instant::now(), reply };
        pool.client().door().submit(request);
        let start = Instant::now();
        while pool.counts().executing == 0 {
            assert!(start.elapsed() < PATIENCE, "it runs");
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut left = 0;
        drain_until_ended(&pool, Duration::ZERO, || {
            left = pool.members().len();
            script.run_held.store(false, Ordering::SeqCst);
        });
        assert_eq!((left, pool.members().len()), (1, 0));
        answered.try_recv().unwrap();
    }
}

//! The thread that expires queued requests and updates the recorders.
//!
//! Separate from the owner thread: it takes locks that the models' own threads hold, and a holder that
//! has lost its core would delay a change.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::machine::{Clock, note_running, request_short_slice};
use crate::pool::Pool;
use crate::scheduler::workload::Workload;

/// Shortest time between checks.
const INTERVAL: Duration = Duration::from_millis(10);

/// Longest time between checks while requests wait or run.
const BUSY_INTERVAL: Duration = Duration::from_millis(25);

/// Part of the shortest queue timeout by which a request may stay longer.
const RESOLUTION: u32 = 20;

/// The longest time between checks while no pool has work.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

/// The handle of the thread. The thread stops when the handle is dropped.
pub(super) struct Housekeeper {
    messages: Sender<HousekeeperMessage>,
}

/// Messages to the thread.
enum HousekeeperMessage {
    /// Check these pools from now on.
    Pools(Vec<Arc<Pool>>),
    /// A change of these workloads was in force.
    Changed { workloads: Vec<Arc<dyn Workload>>, at: Instant },
}

impl Housekeeper {
    /// Starts the thread. `cell` is the shortest length of the cells that the recorders keep for
    /// verdicts.
    ///
    /// # Errors
    /// The system's error if the thread cannot be started.
    pub(super) fn start(clock: Arc<dyn Clock>, cell: Duration) -> io::Result<Self> {
        let (sender, messages) = mpsc::channel();
        std::thread::Builder::new()
            .name("divvy-expire".to_owned())
            .spawn(move || run(&messages, &*clock, cell))
            .map(|_| Self { messages: sender })
    }

    /// Sets the pools to check from now on.
    pub(super) fn set_pools(&self, pools: Vec<Arc<Pool>>) {
        // An error means that the thread has panicked, which the panic hook has logged.
        let _ = self.messages.send(HousekeeperMessage::Pools(pools));
    }

    /// Has the recorders of workloads begin their metrics since the last change.
    pub(super) fn mark_change(&self, workloads: Vec<Arc<dyn Workload>>, at: Instant) {
        let _ = self.messages.send(HousekeeperMessage::Changed { workloads, at });
    }
}

fn run(messages: &Receiver<HousekeeperMessage>, clock: &dyn Clock, cell: Duration) {
    // Timeouts must not wait for the models' own threads.
    request_short_slice();
    let mut pools: Vec<Arc<Pool>> = Vec::new();
    let mut submitted = 0;
    // Without pools nothing is due.
    let mut next: Option<Instant> = None;
    loop {
        let message = match next {
            Some(next) => messages.recv_timeout(clock.sleep_until(next)),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match message {
            Ok(HousekeeperMessage::Pools(newest)) => {
                pools = newest;
                next = soon(&pools, next, clock.now());
            }
            Ok(HousekeeperMessage::Changed { workloads, at }) => {
                for recorder in workloads.iter().filter_map(|workload| workload.recorder()) {
                    recorder.mark_change(at);
                }
                // A pool may have a new timeout.
                next = soon(&pools, next, clock.now());
            }
            Err(RecvTimeoutError::Timeout) => {
                note_running();
                let now = clock.now();
                if next.is_some_and(|next| now < next) {
                    continue;
                }
                let checks: Vec<_> = pools.iter().map(|pool| check(pool, now, cell)).collect();
                // Requests may have come and gone between two checks.
                let newest = checks.iter().map(|check| check.submitted).sum();
                let is_idle = newest == submitted && !checks.iter().any(|check| check.has_work);
                submitted = newest;
                next =
                    Some(now + if is_idle { idle_interval(&pools) } else { busy_interval(&pools) });
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Returns the time of the next check if one is due soon; `None` without pools.
fn soon(pools: &[Arc<Pool>], next: Option<Instant>, now: Instant) -> Option<Instant> {
    let soon = now + INTERVAL;
    (!pools.is_empty()).then(|| next.map_or(soon, |next| soon.min(next)))
}

/// The work of a pool at a check.
struct PoolWork {
    has_work: bool,
    /// Requests since the start.
    submitted: u64,
}

fn check(pool: &Pool, now: Instant, cell: Duration) -> PoolWork {
    pool.expire(now);
    let counts = pool.counts();
    let has_work = counts.queued + counts.executing > 0;
    pool.recorder().note_work(now, has_work);
    pool.recorder().close_cell(now, cell);
    PoolWork { has_work, submitted: counts.submitted }
}

/// Returns the time to the next check while requests wait or run. Each check wakes the thread, so they
/// are only as frequent as the queue timeouts need, or as a measurement of silence does.
fn busy_interval(pools: &[Arc<Pool>]) -> Duration {
    if pools.iter().any(|pool| pool.recorder().measures_silence()) {
        return INTERVAL;
    }
    interval_for(pools.iter().filter_map(|pool| pool.queue_timeout()).min())
}

/// Returns the time between checks for the shortest queue timeout.
fn interval_for(timeout: Option<Duration>) -> Duration {
    let needed = timeout.map_or(BUSY_INTERVAL, |timeout| timeout / RESOLUTION);
    needed.clamp(INTERVAL, BUSY_INTERVAL)
}

/// Returns the time to the next check while no pool has work: at most the shortest queue timeout, so
/// that a check finds a request before its timeout ends.
fn idle_interval(pools: &[Arc<Pool>]) -> Duration {
    let shortest = pools.iter().filter_map(|pool| pool.queue_timeout()).min();
    shortest.map_or(IDLE_INTERVAL, |timeout| timeout.clamp(INTERVAL, IDLE_INTERVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_as_frequent_as_timeouts_need() {
        let millis = |timeout: u64| interval_for(Some(Duration::from_millis(timeout))).as_millis();
        assert_eq!([10, 200, 400, 500, 60_000].map(millis), [10, 10, 20, 25, 25]);
        assert_eq!(interval_for(None), BUSY_INTERVAL);
    }
}

//! The thread that expires queued requests and updates the recorders.
//!
//! Separate from the owner thread: it takes locks that the models' own threads hold, and a holder that
//! has lost its core would delay a change.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::machine::request_short_slice;
use crate::pool::Pool;

/// Time between checks for expired requests, and so the resolution of queue timeouts.
const INTERVAL: Duration = Duration::from_millis(10);

/// The handle of the thread. The thread stops when the handle is dropped.
pub(super) struct Housekeeper {
    messages: Sender<HousekeeperMessage>,
}

/// Messages to the thread.
enum HousekeeperMessage {
    /// Check these pools from now on.
    Pools(Vec<Arc<Pool>>),
    /// A change of these pools was in force.
    Changed { pools: Vec<Arc<Pool>>, at: Instant },
}

impl Housekeeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's error if the thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, messages) = mpsc::channel();
        std::thread::Builder::new()
            .name("divvy-expire".to_owned())
            .spawn(move || run(&messages))
            .map(|_| Self { messages: sender })
    }

    /// Sets the pools to check from now on.
    pub(super) fn set_pools(&self, pools: Vec<Arc<Pool>>) {
        // An error means that the thread has panicked, which the panic hook has logged.
        let _ = self.messages.send(HousekeeperMessage::Pools(pools));
    }

    /// Has the recorders of pools begin their metrics since the last change.
    pub(super) fn mark_change(&self, pools: Vec<Arc<Pool>>, at: Instant) {
        let _ = self.messages.send(HousekeeperMessage::Changed { pools, at });
    }
}

fn run(messages: &Receiver<HousekeeperMessage>) {
    // Timeouts must not wait for the models' own threads.
    request_short_slice();
    let mut pools = Vec::new();
    let mut next = Instant::now() + INTERVAL;
    loop {
        match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(HousekeeperMessage::Pools(newest)) => pools = newest,
            Ok(HousekeeperMessage::Changed { pools, at }) => {
                for pool in &pools {
                    pool.recorder().mark_change(at);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = Instant::now();
                for pool in &pools {
                    check(pool, now);
                }
                next = now + INTERVAL;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn check(pool: &Pool, now: Instant) {
    pool.expire(now);
    let counts = pool.counts();
    pool.recorder().note_work(now, counts.queued + counts.executing > 0);
}

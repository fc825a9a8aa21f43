//! The options of a scheduler.

use std::sync::Arc;
use std::time::Duration;

use super::loading::Loader;
use crate::machine::{Clock, Machine, SystemClock};
use crate::process::ProcessHost;
use crate::telemetry::gpu::GpuSource;
use crate::telemetry::{Conditions, JournalSender, ServerSource, verdict};

/// The longest time that a call waits for the scheduler's thread. A change takes it far less than a
/// second, even on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The longest window before a change, and the length of the one after it.
const WINDOW: Duration = Duration::from_secs(20);

/// The shortest window that is compared, when another change cuts it.
const SHORTEST: Duration = Duration::from_secs(8);

/// Time left out after a change: queues drain, caches warm, new instances take over.
const SETTLE: Duration = Duration::from_secs(1);

/// The options of a scheduler.
pub struct Options {
    /// The machine.
    pub machine: Arc<dyn Machine>,
    /// The time by which the scheduler decides what is due.
    pub clock: Arc<dyn Clock>,
    /// The source of models.
    pub loader: Arc<dyn Loader>,
    /// Time between snapshots; 50 ms to 1 minute.
    pub interval: Duration,
    /// True if all changes are refused.
    pub readonly: bool,
    /// The source of GPU metrics; `None` leaves them out of the snapshots.
    pub gpu: Option<Arc<dyn GpuSource>>,
    /// The source of the server's metrics; `None` without a server.
    pub server: Option<Arc<dyn ServerSource>>,
    /// Time between checks for cores that came or went and for threads that were moved; 10 ms to
    /// 1 minute.
    pub machine_check: Duration,
    /// The longest time that a call waits for the scheduler's thread to take its request, and again
    /// for it to answer; 10 ms to 1 minute. A request that was not taken in time is never carried
    /// out.
    pub answer_limit: Duration,
    /// The windows that verdicts compare.
    pub windows: VerdictWindows,
    /// Receives each entry of the journal when it is made, and again whenever it has changed (a
    /// verdict, an undo). Closed when the scheduler has stopped. Entries are dropped and counted
    /// while the receiver is too slow: it never delays a change.
    pub journal: Option<JournalSender>,
    /// The host of process rows; without one, such rows fail.
    pub processes: Option<Arc<ProcessHost>>,
    /// Problems of the surrounding program; snapshots list them among the alerts.
    pub conditions: Conditions,
}

impl Options {
    /// Default intervals and windows; changes are allowed.
    pub fn new(machine: Arc<dyn Machine>, loader: Arc<dyn Loader>) -> Self {
        Self {
            machine,
            clock: Arc::new(SystemClock),
            loader,
            interval: Duration::from_millis(500),
            readonly: false,
            gpu: None,
            server: None,
            machine_check: Duration::from_secs(2),
            answer_limit: ANSWER_LIMIT,
            windows: VerdictWindows::default(),
            journal: None,
            processes: None,
            conditions: Conditions::default(),
        }
    }

    /// The same options with each interval inside its range.
    pub(super) fn clamped(mut self) -> Self {
        let minute = Duration::from_mins(1);
        self.interval = self.interval.clamp(Duration::from_millis(50), minute);
        self.machine_check = self.machine_check.clamp(Duration::from_millis(10), minute);
        self.answer_limit = self.answer_limit.clamp(Duration::from_millis(10), minute);
        self
    }
}

/// The windows that a verdict compares. Requests are kept for five times the shortest one (40 s by
/// default); what is older is left out of a longer window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerdictWindows {
    /// The longest window before a change, and the length of the one after it.
    pub length: Duration,
    /// The shortest window that is compared, when another change cuts it.
    pub shortest: Duration,
    /// Time left out after a change.
    pub settle: Duration,
}

impl VerdictWindows {
    /// Returns the shortest length of the cells in which requests are counted: two per block of the
    /// shortest window, within the range that the housekeeper's checks allow.
    pub(super) fn cell(&self) -> Duration {
        let shortest = self.shortest / (2 * verdict::BLOCKS as u32);
        shortest.clamp(Duration::from_millis(10), Duration::from_millis(250))
    }
}

impl Default for VerdictWindows {
    fn default() -> Self {
        Self { length: WINDOW, shortest: SHORTEST, settle: SETTLE }
    }
}

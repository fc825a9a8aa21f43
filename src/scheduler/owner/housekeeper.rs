//! The thread that expires queued requests and updates the recorders.
//!
//! Separate from the owner thread: it takes locks that the models' own threads hold, and a holder that
//! has lost its core would delay a change.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::machine::{Clock, note_running, request_short_slice};
use crate::scheduler::workload::Workload;
use crate::telemetry::Recorder;

/// Shortest time between checks.
const INTERVAL: Duration = Duration::from_millis(10);

/// Longest time between checks while requests wait or run.
const BUSY_INTERVAL: Duration = Duration::from_millis(25);

/// Part of the shortest queue timeout by which a request may stay longer.
const RESOLUTION: u32 = 20;

/// The longest time between checks while no workload has work.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

/// The handle of the thread. The thread stops when the handle is dropped.
pub(super) struct Housekeeper {
    messages: Sender<HousekeeperMessage>,
}

/// Messages to the thread.
enum HousekeeperMessage {
    /// Check these workloads from now on.
    Workloads(Vec<Arc<dyn Workload>>),
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

    /// Sets the workloads to check from now on.
    pub(super) fn set_workloads(&self, workloads: Vec<Arc<dyn Workload>>) {
        // An error means that the thread has panicked, which the panic hook has logged.
        let _ = self.messages.send(HousekeeperMessage::Workloads(workloads));
    }

    /// Has the recorders of workloads begin their metrics since the last change.
    pub(super) fn mark_change(&self, workloads: Vec<Arc<dyn Workload>>, at: Instant) {
        let _ = self.messages.send(HousekeeperMessage::Changed { workloads, at });
    }
}

fn run(messages: &Receiver<HousekeeperMessage>, clock: &dyn Clock, cell: Duration) {
    // Timeouts must not wait for the models' own threads.
    request_short_slice();
    let mut workloads: Vec<Arc<dyn Workload>> = Vec::new();
    let mut submitted = 0;
    // Without workloads nothing is due.
    let mut next: Option<Instant> = None;
    loop {
        let message = match next {
            Some(next) => messages.recv_timeout(clock.sleep_until(next)),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match message {
            Ok(HousekeeperMessage::Workloads(newest)) => {
                workloads = newest;
                next = soon(&workloads, next, clock.now());
            }
            Ok(HousekeeperMessage::Changed { workloads: changed, at }) => {
                for recorder in changed.iter().filter_map(|workload| workload.recorder()) {
                    recorder.mark_change(at);
                }
                // One may have a new timeout.
                next = soon(&workloads, next, clock.now());
            }
            Err(RecvTimeoutError::Timeout) => {
                note_running();
                let now = clock.now();
                if next.is_some_and(|next| now < next) {
                    continue;
                }
                let checks: Vec<_> =
                    workloads.iter().map(|workload| check(&**workload, now, cell)).collect();
                // Requests may have come and gone between two checks.
                let newest = checks.iter().map(|check| check.submitted).sum();
                let is_idle = newest == submitted && !checks.iter().any(|check| check.has_work);
                submitted = newest;
                let interval = if is_idle { idle_interval } else { busy_interval };
                next = Some(now + interval(&workloads));
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Returns the time of the next check if one is due soon; `None` without workloads.
fn soon(workloads: &[Arc<dyn Workload>], next: Option<Instant>, now: Instant) -> Option<Instant> {
    let soon = now + INTERVAL;
    (!workloads.is_empty()).then(|| next.map_or(soon, |next| soon.min(next)))
}

/// The work of a workload at a check.
struct WorkFound {
    has_work: bool,
    /// Requests since the start.
    submitted: u64,
}

fn check(workload: &dyn Workload, now: Instant, cell: Duration) -> WorkFound {
    workload.expire(now);
    let counts = workload.counts();
    let has_work = counts.queued + counts.executing > 0;
    if let Some(recorder) = workload.recorder() {
        recorder.note_work(now, has_work);
        recorder.close_cell(now, cell);
    }
    WorkFound { has_work, submitted: counts.submitted }
}

/// Returns the time to the next check while requests wait or run. Each check wakes the thread, so they
/// are only as frequent as the queue timeouts need, or as a measurement of silence does.
fn busy_interval(workloads: &[Arc<dyn Workload>]) -> Duration {
    let mut recorders = workloads.iter().filter_map(|workload| workload.recorder());
    if recorders.any(Recorder::measures_silence) {
        return INTERVAL;
    }
    interval_for(shortest_timeout(workloads))
}

/// Returns the shortest queue timeout; `None` if there is none.
fn shortest_timeout(workloads: &[Arc<dyn Workload>]) -> Option<Duration> {
    workloads.iter().filter_map(|workload| workload.queue_timeout()).min()
}

/// Returns the time between checks for the shortest queue timeout.
fn interval_for(timeout: Option<Duration>) -> Duration {
    let needed = timeout.map_or(BUSY_INTERVAL, |timeout| timeout / RESOLUTION);
    needed.clamp(INTERVAL, BUSY_INTERVAL)
}

/// Returns the time to the next check while no workload has work: at most the shortest queue timeout, so
/// that a check finds a request before its timeout ends.
fn idle_interval(workloads: &[Arc<dyn Workload>]) -> Duration {
    shortest_timeout(workloads)
        .map_or(IDLE_INTERVAL, |timeout| timeout.clamp(INTERVAL, IDLE_INTERVAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{SimulatedMachine, SystemClock};
    use crate::scheduler::fake_workload::FakeWorkload;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn closes_cells_of_a_workload_without_pool() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        recorder.instance().record(start, Duration::ZERO, Duration::from_millis(1));
        let machine = Arc::new(SimulatedMachine::uniform(1));
        let workload = FakeWorkload::recording(&machine, recorder);
        let housekeeper = Housekeeper::start(Arc::new(SystemClock), Duration::ZERO).unwrap();
        housekeeper.set_workloads(vec![workload.clone()]);
        let recorder = workload.recorder().unwrap();
        while recorder.cells(start, Instant::now()).is_empty() {
            assert!(start.elapsed() < PATIENCE, "its cells stay open");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn checks_are_as_frequent_as_timeouts_need() {
        let millis = |timeout: u64| interval_for(Some(Duration::from_millis(timeout))).as_millis();
        assert_eq!([10, 200, 400, 500, 60_000].map(millis), [10, 10, 20, 25, 25]);
        assert_eq!(interval_for(None), BUSY_INTERVAL);
    }
}

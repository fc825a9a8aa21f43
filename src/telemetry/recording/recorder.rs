//! The recorder of one model: hands a recorder to each instance, collects what they record, and keeps
//! windows and cells of it.
//!
//! Instances take no lock to record. Collecting takes one that only readers of the windows take, so
//! that however long they hold it, no request waits. Requests belong to the time at which they are
//! collected: at least every 500 ms by the observer, and at the end of each cell.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::cells::{Cell, Cells};
use super::collected::Collected;
use super::instance::{InstanceCounters, InstanceRecorder};
use super::reader::{InstanceReader, InstanceState};
use super::silence::SilenceMeter;
use super::totals::RequestTotals;
use super::windows::{RollingWindows, Windows};
use crate::layout::Slo;
use crate::telemetry::latencies::Latencies;

/// The recorder of one model.
pub struct Recorder {
    /// Instances that no reader has met yet. Apart from the readers' lock, so that an instance does
    /// not wait for them before its first request.
    new_instances: Mutex<Vec<Arc<InstanceCounters>>>,
    silence: Arc<SilenceMeter>,
    started: Instant,
    state: Mutex<RecorderState>,
}

struct RecorderState {
    readers: Vec<InstanceReader>,
    collected: Collected,
    windows: RollingWindows,
    cells: Cells,
    totals: RequestTotals,
}

impl Recorder {
    /// Returns empty windows that begin at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            new_instances: Mutex::new(Vec::new()),
            silence: Arc::new(SilenceMeter::new(now)),
            started: now,
            state: Mutex::new(RecorderState {
                readers: Vec::new(),
                collected: Collected::default(),
                windows: RollingWindows::new(now),
                cells: Cells::new(now),
                totals: RequestTotals::default(),
            }),
        }
    }

    /// Returns a recorder for one more instance.
    pub fn instance(&self) -> InstanceRecorder {
        let counters = Arc::new(InstanceCounters::default());
        self.new_instances().push(counters.clone());
        InstanceRecorder::new(counters, self.silence.clone(), self.started)
    }

    fn new_instances(&self) -> MutexGuard<'_, Vec<Arc<InstanceCounters>>> {
        self.new_instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state with all requests that have been recorded.
    fn collect(&self) -> MutexGuard<'_, RecorderState> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.collect_into(&mut state);
        state
    }

    fn collect_into(&self, state: &mut RecorderState) {
        let new = std::mem::take(&mut *self.new_instances());
        state.readers.extend(new.into_iter().map(InstanceReader::new));
        state.collect();
    }

    /// Notes whether any request waits or runs; silence is measured only then. Called on every check
    /// of the pool, by one thread.
    pub fn note_work(&self, now: Instant, any: bool) {
        self.silence.note_work(now, any);
    }

    /// Returns the longest span since [`Recorder::reset_silence`] in which requests waited or ran and
    /// none completed; zero before its first call.
    pub fn longest_silence(&self) -> Duration {
        self.silence.longest()
    }

    /// Returns true if silence is measured, for which [`Recorder::note_work`] must be called often.
    pub fn measures_silence(&self) -> bool {
        self.silence.is_on()
    }

    /// Starts or restarts the measurement of silence.
    pub fn reset_silence(&self) {
        self.silence.start();
    }

    /// Closes the second and the block if they have ended. `lost` is the number of requests that were
    /// rejected, timed out or failed since the last call. Must be called at least once per second.
    pub fn tick(&self, now: Instant, lost: u64) {
        let mut state = self.collect();
        state.windows.add_lost(lost);
        state.windows.roll(now);
    }

    /// Closes the open cell if it is at least this long. The newest 160 cells are kept for verdicts.
    /// Returns without doing so while another thread reads the windows: the next call comes soon.
    pub fn close_cell(&self, now: Instant, shortest: Duration) {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if state.cells.is_due(now, shortest) {
            self.collect_into(&mut state);
            state.cells.close(now);
        }
    }

    /// Restarts the window since the last change; no other window is cut.
    pub fn mark_change(&self, now: Instant) {
        // Requests completed before the change must not count after it.
        self.collect().windows.restart_change(now);
    }

    /// Returns all windows. Those that end now include requests completed since the last tick.
    pub fn windows(&self, now: Instant, slo: Option<&Slo>) -> Windows {
        self.collect().windows.windows(now, slo)
    }

    /// Returns the latencies of the whole run until now.
    pub fn latencies(&self) -> Latencies {
        self.collect().windows.latencies()
    }

    /// Returns the totals of all requests until now.
    pub fn totals(&self) -> RequestTotals {
        self.collect().totals.clone()
    }

    /// Returns the end of the newest completed request; `None` before the first one.
    pub fn last_end(&self) -> Option<Instant> {
        let last_end = self.collect().collected.last_end;
        (last_end > Duration::ZERO).then(|| self.started + last_end)
    }

    /// Returns the closed cells that lie in `[from, to]`, oldest first.
    pub fn cells(&self, from: Instant, to: Instant) -> Vec<Arc<Cell>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cells.between(from, to)
    }

    /// Returns the start of the oldest kept cell; `None` before the first request.
    pub fn oldest_cell(&self) -> Option<Instant> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cells.oldest()
    }
}

impl RecorderState {
    fn collect(&mut self) {
        let Self { readers, collected, windows, cells, totals } = self;
        collected.clear();
        readers.retain_mut(|reader| reader.collect(collected) == InstanceState::Recording);
        windows.record(collected);
        cells.add(&collected.total);
        totals.add(collected);
    }
}

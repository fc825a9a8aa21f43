//! The use of the CPUs and the reported requests of a process row, second by second, for its verdicts.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Cells that are kept: a minute of cells of one second.
const KEPT: usize = 60;

/// The use of one short span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UseCell {
    /// Start of the span.
    pub from: Instant,
    /// End of the span.
    pub to: Instant,
    /// CPU time, in cores.
    pub cpu: f64,
    /// Time that threads were runnable but waiting, in cores; `None` if the kernel hides it.
    pub wait: Option<f64>,
    /// The requests that the program reports; `None` without a metrics page.
    pub requests: Option<RequestSums>,
}

/// Requests, and the time of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestSums {
    /// Completed requests.
    pub count: f64,
    /// The time of those whose latency is reported, in microseconds.
    pub time_us: f64,
}

/// The newest cells of a row.
#[derive(Debug, Default)]
pub struct UseRecord(Mutex<VecDeque<UseCell>>);

impl UseCell {
    /// Returns the length of the span in seconds.
    pub fn seconds(&self) -> f64 {
        self.to.saturating_duration_since(self.from).as_secs_f64()
    }
}

impl RequestSums {
    /// Returns the growth since an earlier time, multiplied by a factor.
    #[must_use]
    pub fn growth(self, earlier: Self, factor: f64) -> Self {
        Self {
            count: (self.count - earlier.count).max(0.0) * factor,
            time_us: (self.time_us - earlier.time_us).max(0.0) * factor,
        }
    }
}

impl UseRecord {
    /// Adds a cell. The oldest is dropped if there are many.
    pub fn add(&self, cell: UseCell) {
        let mut cells = self.lock();
        if cells.len() == KEPT {
            cells.pop_front();
        }
        cells.push_back(cell);
    }

    /// Returns the cells that lie in `[from, to]`, oldest first.
    pub fn cells(&self, from: Instant, to: Instant) -> Vec<UseCell> {
        self.lock().iter().filter(|cell| cell.from >= from && cell.to <= to).copied().collect()
    }

    /// Returns the start of the oldest cell.
    pub fn oldest(&self) -> Option<Instant> {
        self.lock().front().map(|cell| cell.from)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<UseCell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

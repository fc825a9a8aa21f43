//! The newest requests by short cells of time, for verdicts: bounded in memory at any rate.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::collected::NumberedCount;
use super::log_linear::{OCTAVES, PER_OCTAVE, number_of};

/// Cells that are kept: 40 s of cells of 250 ms.
const KEPT: usize = 160;

/// The requests that completed in one short span of time: their number per latency, within 1 %.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    from: Instant,
    to: Instant,
    completed: u64,
    /// In ascending order of latency.
    counts: Box<[CellCount]>,
}

/// Requests of one total latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyCount {
    /// The latency in microseconds.
    pub us: u64,
    /// The number of requests.
    pub count: u32,
}

impl LatencyCount {
    /// Returns one request of this latency in microseconds.
    pub fn one(us: u64) -> Self {
        Self { us, count: 1 }
    }
}

/// Requests whose latency has one number. Half the size of a [`NumberedCount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CellCount {
    number: u16,
    count: u32,
}

/// The newest cells of a model, and the one that is being filled.
pub(super) struct Cells {
    started: Instant,
    /// Counts of the open cell, by number.
    open: Vec<u32>,
    closed: VecDeque<Arc<Cell>>,
    has_begun: bool,
}

impl Cell {
    /// Returns a cell that holds these requests.
    pub fn new(
        from: Instant,
        to: Instant,
        requests: impl IntoIterator<Item = LatencyCount>,
    ) -> Self {
        let mut open = empty();
        for one in requests {
            count(&mut open, number_of(one.us), one.count);
        }
        Self::of_counts(from, to, &open)
    }

    fn of_counts(from: Instant, to: Instant, open: &[u32]) -> Self {
        let counts: Box<[CellCount]> = (0u16..)
            .zip(open)
            .filter(|(_, count)| **count > 0)
            .map(|(number, count)| CellCount { number, count: *count })
            .collect();
        let completed = counts.iter().map(|one| u64::from(one.count)).sum();
        Self { from, to, completed, counts }
    }

    /// Start of the span.
    pub fn from(&self) -> Instant {
        self.from
    }

    /// End of the span.
    pub fn to(&self) -> Instant {
        self.to
    }

    /// Completed requests.
    pub fn completed(&self) -> u64 {
        self.completed
    }

    /// Returns the counts in ascending order of latency.
    pub(super) fn counts(&self) -> impl Iterator<Item = NumberedCount> {
        self.counts
            .iter()
            .map(|one| NumberedCount { number: usize::from(one.number), count: one.count })
    }
}

impl Cells {
    pub(super) fn new(now: Instant) -> Self {
        Self { started: now, open: empty(), closed: VecDeque::new(), has_begun: false }
    }

    pub(super) fn add(&mut self, totals: &[NumberedCount]) {
        for one in totals {
            count(&mut self.open, one.number, one.count);
        }
    }

    /// Returns true if the open cell is at least this long.
    pub(super) fn is_due(&self, now: Instant, shortest: Duration) -> bool {
        now.saturating_duration_since(self.started) >= shortest
    }

    /// Closes the open cell. Cells are kept from the first request on; the one of the first request,
    /// which is not full of load, is not.
    pub(super) fn close(&mut self, now: Instant) {
        let cell = Cell::of_counts(self.started, now, &self.open);
        self.started = now;
        self.open.fill(0);
        if !self.has_begun {
            self.has_begun = cell.completed > 0;
            return;
        }
        if self.closed.len() == KEPT {
            self.closed.pop_front();
        }
        self.closed.push_back(Arc::new(cell));
    }

    /// Returns the closed cells that lie in `[from, to]`, oldest first.
    pub(super) fn between(&self, from: Instant, to: Instant) -> Vec<Arc<Cell>> {
        let is_inside = |cell: &&Arc<Cell>| cell.from >= from && cell.to <= to;
        self.closed.iter().filter(is_inside).cloned().collect()
    }

    /// Returns the start of the oldest kept cell.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.closed.front().map(|cell| cell.from)
    }
}

fn empty() -> Vec<u32> {
    vec![0; OCTAVES * PER_OCTAVE]
}

fn count(open: &mut [u32], number: usize, more: u32) {
    if let Some(count) = open.get_mut(number) {
        *count = count.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn one(us: u64) -> NumberedCount {
        NumberedCount { number: number_of(us), count: 1 }
    }

    #[test]
    fn cells_hold_what_was_added_in_them() {
        let start = Instant::now();
        let mut cells = Cells::new(start);
        cells.add(&[one(7)]);
        cells.close(start + SECOND);
        cells.add(&[one(900), one(5), one(900)]);
        cells.close(start + SECOND * 2);
        cells.add(&[one(5)]);
        let closed = cells.between(start, start + SECOND * 3);
        let expected =
            Cell::new(start + SECOND, start + SECOND * 2, [900, 5, 900].map(LatencyCount::one));
        assert_eq!(closed, [Arc::new(expected)], "neither the first nor the open one");
    }

    #[test]
    fn number_of_kept_cells_is_bounded() {
        let start = Instant::now();
        let mut cells = Cells::new(start);
        for second in 1..1000 {
            cells.add(&[one(100)]);
            cells.close(start + SECOND * second);
        }
        assert_eq!(cells.between(start, start + SECOND * 1000).len(), KEPT);
        assert_eq!(cells.oldest(), Some(start + SECOND * (999 - KEPT as u32)));
    }

    #[test]
    fn cells_across_a_border_are_left_out() {
        let start = Instant::now();
        let mut cells = Cells::new(start);
        for second in 1..=10 {
            cells.add(&[one(100)]);
            cells.close(start + SECOND * second);
        }
        let inside = cells.between(start + SECOND * 5 / 2, start + SECOND * 13 / 2);
        assert_eq!(inside.first().map(|cell| cell.from()), Some(start + SECOND * 3));
        assert_eq!(inside.last().map(|cell| cell.to()), Some(start + SECOND * 6));
    }
}

//! Cells of about a second from a row's samples, for its verdicts. Samples may be closer to each other.

use std::time::{Duration, Instant};

use super::metrics::CountedRequests;
use crate::telemetry::{ProcessUse, RequestSums, UseCell};

/// The shortest cell.
const SHORTEST: Duration = Duration::from_millis(900);

/// A program whose page is older than this reports no requests.
const OLDEST_PAGE: Duration = Duration::from_secs(3);

/// The cells of one row.
#[derive(Default)]
pub(super) struct UseCells {
    open: Option<OpenCell>,
    counted: Option<CountedRequests>,
    /// Requests per second between the last two pages.
    per_second: Option<RequestSums>,
}

/// The cell that is being filled.
struct OpenCell {
    from: Instant,
    /// The time of the newest sample in it.
    last: Instant,
    /// CPU time at its start.
    cpu_total_us: u64,
    /// Waiting time in seconds; `None` if a sample did not have it.
    wait_s: Option<f64>,
}

impl UseCells {
    /// Forgets the open cell: the processes do not run.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Adds a sample. Returns a cell if it is long enough.
    pub(super) fn add(
        &mut self,
        used: &ProcessUse,
        counted: Option<CountedRequests>,
        now: Instant,
    ) -> Option<UseCell> {
        self.count(counted);
        let fresh =
            OpenCell { from: now, last: now, cpu_total_us: used.cpu_total_us, wait_s: Some(0.0) };
        let Some(open) = &mut self.open else {
            self.open = Some(fresh);
            return None;
        };
        let step = now.saturating_duration_since(open.last).as_secs_f64();
        open.wait_s = open.wait_s.zip(used.wait).map(|(sum, wait)| wait.mul_add(step, sum));
        open.last = now;
        let length = now.saturating_duration_since(open.from);
        if length < SHORTEST {
            return None;
        }
        let seconds = length.as_secs_f64();
        let cpu_us = used.cpu_total_us.saturating_sub(open.cpu_total_us);
        let is_fresh = |it: &CountedRequests| now.saturating_duration_since(it.at) <= OLDEST_PAGE;
        let rate = self.per_second.filter(|_| self.counted.as_ref().is_some_and(is_fresh));
        let cell = UseCell {
            from: open.from,
            to: now,
            cpu: cpu_us as f64 / 1e6 / seconds,
            wait: open.wait_s.map(|wait| wait / seconds),
            // pages and samples have their own times
            requests: rate.map(|rate| rate.growth(RequestSums::default(), seconds)),
        };
        self.open = Some(fresh);
        Some(cell)
    }

    /// Takes the newest page.
    fn count(&mut self, counted: Option<CountedRequests>) {
        let (Some(new), Some(old)) = (counted, self.counted) else {
            (self.counted, self.per_second) = (counted, None);
            return;
        };
        let seconds = new.at.saturating_duration_since(old.at).as_secs_f64();
        if seconds > 0.0 {
            self.per_second = Some(new.sums.growth(old.sums, 1.0 / seconds));
            self.counted = counted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(cpu_total_us: u64, wait: Option<f64>) -> ProcessUse {
        ProcessUse { cpu_total_us, wait, ..ProcessUse::default() }
    }

    #[test]
    fn close_samples_make_one_cell() {
        let (mut cells, start) = (UseCells::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(cells.add(&used(100, Some(9.0)), None, at(0)), None);
        assert_eq!(cells.add(&used(500_100, Some(1.0)), None, at(500)), None);
        let cell = cells.add(&used(1_500_100, Some(3.0)), None, at(1000)).unwrap();
        let expected =
            UseCell { from: start, to: at(1000), cpu: 1.5, wait: Some(2.0), requests: None };
        assert_eq!(cell, expected);
        assert_eq!(cells.add(&used(1_500_100, None), None, at(1500)), None);
        assert_eq!(cells.add(&used(1_500_100, Some(1.0)), None, at(2000)).unwrap().wait, None);
    }

    #[test]
    fn requests_follow_the_rate_of_pages() {
        let (mut cells, start) = (UseCells::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        let page = |ms: u64, count: f64| {
            let sums = RequestSums { count, time_us: count * 5.0 };
            Some(CountedRequests { sums, at: at(ms) })
        };
        let mut add = |ms: u64, page| cells.add(&used(0, None), page, at(ms));
        assert_eq!(add(0, page(0, 10.0)), None);
        let requests = |cell: Option<UseCell>| cell.unwrap().requests;
        let expected = Some(RequestSums { count: 40.0, time_us: 200.0 });
        assert_eq!(requests(add(1000, page(500, 30.0))), expected);
        // no new page in this cell
        assert_eq!(requests(add(2000, page(500, 30.0))), expected);
        assert_eq!(requests(add(4000, page(500, 30.0))), None);
    }
}

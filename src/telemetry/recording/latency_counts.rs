//! Latencies of several cells together: quantiles, and the number within a bound.

use super::cells::Cell;
use super::log_linear::{highest_us, lowest_us};

/// Number of requests per latency.
#[derive(Clone, Debug, Default)]
pub(in crate::telemetry) struct LatencyCounts {
    /// In ascending order of latency.
    counts: Vec<Count>,
    completed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    number: usize,
    count: u64,
}

impl LatencyCounts {
    /// Returns the sum of these cells.
    pub(in crate::telemetry) fn sum<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> Self {
        let mut counts: Vec<Count> = cells
            .into_iter()
            .flat_map(Cell::counts)
            .map(|one| Count { number: one.number, count: u64::from(one.count) })
            .collect();
        counts.sort_unstable_by_key(|one| one.number);
        counts.dedup_by(|next, kept| {
            let is_same = next.number == kept.number;
            kept.count += if is_same { next.count } else { 0 };
            is_same
        });
        let completed = counts.iter().map(|one| one.count).sum();
        Self { counts, completed }
    }

    pub(in crate::telemetry) fn completed(&self) -> u64 {
        self.completed
    }

    /// Returns a quantile in microseconds by nearest rank, `None` without requests. Within the range
    /// of one number it is interpolated: otherwise many requests give the same quantile in each block,
    /// and a difference of one number would be beyond doubt.
    pub(in crate::telemetry) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = ((q * self.completed as f64).ceil() as u64).clamp(1, self.completed.max(1));
        let mut below = 0;
        for one in &self.counts {
            if below + one.count >= rank {
                let (low, high) = (lowest_us(one.number), highest_us(one.number));
                let share = ((rank - below) as f64 - 0.5) / one.count as f64;
                return Some((high - low) as f64 * share + low as f64);
            }
            below += one.count;
        }
        None
    }

    /// Returns the number of requests within a bound in microseconds. The bound is as exact as the
    /// latencies: within 1 %.
    pub(in crate::telemetry) fn within(&self, bound_us: u64) -> u64 {
        let is_within = |one: &&Count| lowest_us(one.number) <= bound_us;
        self.counts.iter().take_while(is_within).map(|one| one.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::telemetry::LatencyCount;

    fn cell(latencies: impl IntoIterator<Item = u64>) -> Cell {
        let now = Instant::now();
        Cell::new(now, now, latencies.into_iter().map(LatencyCount::one))
    }

    #[test]
    fn cells_add_up() {
        let sum = LatencyCounts::sum(&[cell([1, 2, 3]), cell([3, 4]), cell([])]);
        assert_eq!((sum.completed(), sum.within(3)), (5, 4));
        assert_eq!(sum.quantile(0.5), Some(3.0));
        assert_eq!(sum.quantile(1.0), Some(4.0));
    }

    #[test]
    fn no_requests_have_no_quantile() {
        assert_eq!(LatencyCounts::sum(&[cell([])]).quantile(0.5), None);
    }

    #[test]
    fn quantiles_differ_less_than_their_numbers() {
        // All of these have one number.
        let sum = LatencyCounts::sum(&[cell(vec![10_000; 1000])]);
        let (low, high) = (sum.quantile(0.25).unwrap(), sum.quantile(0.75).unwrap());
        assert!(high > low && (low - 10_000.0).abs() < 100.0, "{low} to {high}");
    }
}

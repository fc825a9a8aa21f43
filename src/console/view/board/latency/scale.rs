//! Which buckets of a latency histogram are drawn in which column.

use crate::layout::Slo;
use crate::telemetry::Histogram;

/// Buckets per octave of a [`Histogram`].
pub(super) const OCTAVE: usize = 8;

/// The range of the histogram that is drawn: buckets `low..high`, whole octaves, either several
/// columns per bucket or several buckets per column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) low: usize,
    pub(super) high: usize,
    /// Columns per bucket.
    pub(super) columns: usize,
    /// Buckets per column.
    pub(super) buckets: usize,
}

fn bucket_of(us: u64) -> usize {
    ((us.max(1) as f64).log2() * OCTAVE as f64).floor() as usize
}

pub(super) fn bound_of(bucket: usize) -> u64 {
    (bucket as f64 / OCTAVE as f64).exp2().round() as u64
}

impl Scale {
    /// Returns whole octaves that contain every request and the target; `None` without a request.
    pub(super) fn of(histogram: &Histogram, slo: Option<Slo>, width: usize) -> Option<Self> {
        let filled =
            |(offset, count): (usize, &u64)| (*count > 0).then_some(histogram.first + offset);
        let first = histogram.total.iter().enumerate().find_map(filled)?;
        let last = histogram.total.iter().enumerate().rev().find_map(filled)?;
        let target = slo.map(|slo| bucket_of(slo.bound.as_micros() as u64));
        let low = first.min(target.unwrap_or(first)) / OCTAVE * OCTAVE;
        let high = (last.max(target.unwrap_or(last)) / OCTAVE + 1) * OCTAVE;
        let span = high - low;
        let columns = (width / span).max(1);
        let buckets = span.div_ceil(width.max(1)).max(1);
        Some(Self { low, high, columns, buckets })
    }

    /// Returns the columns of the whole range.
    pub(super) fn width(&self) -> usize {
        (self.high - self.low).div_ceil(self.buckets) * self.columns
    }

    /// Returns the column of a latency.
    pub(super) fn column(&self, us: u64) -> usize {
        let bucket = bucket_of(us).clamp(self.low, self.high - 1);
        (bucket - self.low) / self.buckets * self.columns
    }
}

/// Returns the requests of a column, and the share of their time that they spent in the queue.
pub(super) fn bar(histogram: &Histogram, scale: &Scale, column: usize) -> (u64, f64) {
    let from = scale.low + column / scale.columns * scale.buckets;
    let sum = |values: &[u64]| -> u64 {
        (from..from + scale.buckets)
            .filter_map(|bucket| bucket.checked_sub(histogram.first))
            .filter_map(|at| values.get(at))
            .sum()
    };
    let (queue, compute) = (sum(&histogram.queue_us), sum(&histogram.compute_us));
    let share = queue as f64 / (queue + compute).max(1) as f64;
    (sum(&histogram.total), share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_contains_its_lower_bound() {
        for bucket in 40..200 {
            assert_eq!(bucket_of(bound_of(bucket) + 1), bucket, "{bucket}");
        }
    }

    #[test]
    fn scale_covers_the_target() {
        let histogram = Histogram {
            first: 100,
            total: vec![0, 3, 0, 0, 9],
            queue_us: vec![0; 5],
            compute_us: vec![1; 5],
        };
        let slo = Slo { percentile: 99.0, bound: std::time::Duration::from_millis(500) };
        let scale = Scale::of(&histogram, Some(slo), 60).unwrap();
        assert!(scale.low <= 101 && scale.high > bucket_of(500_000));
        assert!(scale.width() <= 60);
        let all: u64 = (0..scale.width())
            .step_by(scale.columns)
            .map(|column| bar(&histogram, &scale, column).0)
            .sum();
        assert_eq!(all, 12);
    }

    #[test]
    fn no_requests_give_no_scale() {
        assert_eq!(Scale::of(&Histogram::default(), None, 60), None);
    }
}

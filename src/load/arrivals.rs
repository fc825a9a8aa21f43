//! The intended arrivals of a load: an endless schedule, computed and never stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// The longest gap between two arrivals, about a year: slower loads send once a year. Bounds the gap
/// and not the offset from the start, so that a load of any age keeps its rate.
const LONGEST_GAP: Duration = Duration::from_hours(365 * 24);

/// The gaps between arrivals.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// Exponential gaps of mean `1 / rate` seconds, by inversion: `-ln(1 - u) / rate`.
    Poisson {
        /// Requests per second.
        rate: f64,
        /// The seeded source of `u`.
        rng: Rng,
    },
    /// Equal gaps; the n-th arrival is computed from the start, so that rounding does not add up.
    Constant {
        /// Requests per second.
        rate: f64,
    },
    /// The recorded offsets, repeated.
    Recorded {
        /// From the start of the recording, rising.
        offsets: Arc<[Duration]>,
        /// From the first arrival of one pass to that of the next; above zero.
        period: Duration,
    },
}

/// A schedule. A clone has the same arrivals.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    start: Instant,
    pace: Pace,
    /// Arrivals taken so far.
    taken: u64,
    /// Seconds from the start to the next arrival, for paces that add gaps up.
    elapsed: f64,
    next: Instant,
}

impl Arrivals {
    /// A schedule that begins at `start`.
    pub(super) fn new(pace: Pace, start: Instant) -> Self {
        let mut arrivals = Self { start, pace, taken: 0, elapsed: 0.0, next: start };
        arrivals.next = arrivals.compute();
        arrivals
    }

    /// Returns the next intended arrival.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Takes the next arrival and returns it, if it is due.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        if self.next > now {
            return None;
        }
        let due = self.next;
        self.taken += 1;
        self.next = self.compute();
        Some(due)
    }

    fn compute(&mut self) -> Instant {
        let offset = match &mut self.pace {
            Pace::Poisson { rate, rng } => {
                self.elapsed += -(1.0 - rng.f64()).ln() / *rate;
                seconds(self.elapsed)
            }
            Pace::Constant { rate } => seconds((self.taken + 1) as f64 / *rate),
            Pace::Recorded { offsets, period } => {
                let length = offsets.len().max(1) as u64;
                let within = usize::try_from(self.taken % length).unwrap_or(0);
                let offset = offsets.get(within).copied().unwrap_or_default();
                repeated(*period, self.taken / length).saturating_add(offset)
            }
        };
        let latest = self.next.checked_add(LONGEST_GAP).unwrap_or(self.next);
        self.start.checked_add(offset).unwrap_or(latest).min(latest)
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)
}

/// Returns `count` times a period; the longest duration if that is longer.
fn repeated(period: Duration, count: u64) -> Duration {
    let nanos = period.as_nanos().saturating_mul(u128::from(count));
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(pace: Pace, count: usize) -> Vec<Duration> {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(pace, start);
        (0..count)
            .map(|_| {
                let due = arrivals.next();
                assert_eq!(arrivals.take(due), Some(due));
                due - start
            })
            .collect()
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let times = offsets(Pace::Constant { rate: 300.0 }, 3_000_000);
        assert_eq!(times[299], Duration::from_secs(1));
        assert_eq!(times[2_999_999], Duration::from_secs(10_000));
    }

    #[test]
    fn takes_no_arrival_before_it_is_due() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(Pace::Constant { rate: 100.0 }, start);
        assert_eq!(arrivals.take(start + Duration::from_micros(9_999)), None);
        let due = start + Duration::from_millis(10);
        assert_eq!(arrivals.take(start + Duration::from_secs(5)), Some(due));
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let rate = 250.0;
        let times = offsets(Pace::Poisson { rate, rng: Rng::with_seed(7) }, 100_000);
        let mut last = Duration::ZERO;
        let gaps: Vec<f64> = times
            .iter()
            .map(|time| {
                let gap = time.as_secs_f64() - last.as_secs_f64();
                last = *time;
                gap
            })
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // 100,000 gaps: the standard error of the mean is 0.3 %, that of the variation about 0.5 %
        assert!((mean * rate - 1.0).abs() < 0.015, "mean gap {mean}");
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.02,
            "variation {}",
            variance.sqrt() / mean
        );
    }

    #[test]
    fn same_seed_gives_same_schedule() {
        let pace = |seed| Pace::Poisson { rate: 50.0, rng: Rng::with_seed(seed) };
        assert_eq!(offsets(pace(3), 100), offsets(pace(3), 100));
        assert_ne!(offsets(pace(3), 100), offsets(pace(4), 100));
    }

    #[test]
    fn recording_repeats_after_its_period() {
        let millis = Duration::from_millis;
        let pace = Pace::Recorded { offsets: [millis(0), millis(5)].into(), period: millis(30) };
        assert_eq!(offsets(pace, 4), [millis(0), millis(5), millis(30), millis(35)]);
    }

    #[test]
    fn accepts_a_rate_near_zero() {
        let times = offsets(Pace::Constant { rate: 1e-300 }, 1);
        assert_eq!(times[0], LONGEST_GAP);
    }

    #[test]
    fn load_keeps_its_rate_after_a_year() {
        let day = Duration::from_hours(24);
        let times = offsets(Pace::Constant { rate: 1.0 / day.as_secs_f64() }, 1000);
        assert_eq!(times[999], times[998] + day);
    }

    #[test]
    fn recording_repeats_past_four_billion_times() {
        let period = Duration::from_millis(1);
        let pace = Pace::Recorded { offsets: [Duration::ZERO].into(), period };
        let mut arrivals = Arrivals::new(pace, Instant::now());
        arrivals.taken = u64::from(u32::MAX) + 10;
        arrivals.next = arrivals.start + repeated(period, arrivals.taken);
        let due = arrivals.next;
        assert_eq!(arrivals.take(due), Some(due));
        assert_eq!(arrivals.next() - due, period);
    }
}

//! Compares a process row's use of the CPUs, and the requests that it reports, before and after a change.
//!
//! The method is that of [`verdict`](super::verdict), on blocks of about a second: CPU time got, waiting for
//! a CPU, requests per second and their mean latency.

use super::journal::{Comparison, Metric};
use super::use_record::UseCell;
use super::verdict::{BLOCKS, Contrast, ERROR_RATE};

/// Metrics that are compared for one row.
pub const USE_METRICS: usize = 4;

/// Below this many cores a use is counted as none: it is the share of one tick of the kernel's clock.
const LEAST_CORES: f64 = 0.005;

/// The use of some adjoining cells.
#[derive(Clone, Copy, Default)]
struct Use {
    seconds: f64,
    cpu_s: f64,
    wait_s: Option<f64>,
    requests: Option<f64>,
    time_us: f64,
    /// Time in which requests were reported.
    reported_s: f64,
}

/// A metric of a use; `None` if it was not measured.
type UseValue = fn(&Use) -> Option<f64>;

/// Compares two sides, each of adjoining cells, oldest first. `metrics` is the number of metrics that the
/// whole change compares over all its rows; it divides the error rate. Empty if a side has fewer cells than
/// half of [`BLOCKS`].
pub fn compare_use(before: &[UseCell], after: &[UseCell], metrics: usize) -> Vec<Comparison> {
    let level = ERROR_RATE / metrics.max(1) as f64;
    let (old, new) = (blocks(before), blocks(after));
    let (whole_old, whole_new) = (Use::of(before), Use::of(after));
    let compared = [
        (Metric::Cpu, Use::cpu as UseValue, LEAST_CORES),
        (Metric::Wait, Use::wait, LEAST_CORES),
        (Metric::Throughput, Use::rate, 0.5),
        (Metric::Mean, Use::mean, 1.0),
    ];
    let contrast = |(metric, value_of, least): (Metric, UseValue, f64)| {
        let logs = |blocks: &[Use]| -> Vec<f64> {
            blocks.iter().filter_map(|block| Some(value_of(block)?.max(least).ln())).collect()
        };
        let (before, after) = (value_of(&whole_old)?, value_of(&whole_new)?);
        // nothing to compare: it did not run, or did not wait, on either side
        if before < least && after < least {
            return None;
        }
        let (old, new) = (logs(&old), logs(&new));
        Contrast { metric, before, after, old: &old, new: &new }.compare(level)
    };
    compared.into_iter().filter_map(contrast).collect()
}

/// Cuts cells into at most [`BLOCKS`] blocks of equal number.
fn blocks(cells: &[UseCell]) -> Vec<Use> {
    let length = cells.len().div_ceil(BLOCKS).max(1);
    cells.chunks(length).map(Use::of).collect()
}

impl Use {
    fn of(cells: &[UseCell]) -> Self {
        let mut sum = Self::default();
        for cell in cells {
            let seconds = cell.seconds();
            sum.seconds += seconds;
            sum.cpu_s += cell.cpu * seconds;
            if let Some(wait) = cell.wait {
                sum.wait_s = Some(sum.wait_s.unwrap_or(0.0) + wait * seconds);
            }
            if let Some(requests) = cell.requests {
                sum.requests = Some(sum.requests.unwrap_or(0.0) + requests.count);
                sum.time_us += requests.time_us;
                sum.reported_s += seconds;
            }
        }
        sum
    }

    fn per_second(&self, sum: f64) -> Option<f64> {
        (self.seconds > 0.0).then(|| sum / self.seconds)
    }

    fn cpu(&self) -> Option<f64> {
        self.per_second(self.cpu_s)
    }

    fn wait(&self) -> Option<f64> {
        self.per_second(self.wait_s?)
    }

    fn rate(&self) -> Option<f64> {
        let requests = self.requests?;
        (self.reported_s > 0.0).then(|| requests / self.reported_s)
    }

    fn mean(&self) -> Option<f64> {
        let requests = self.requests.filter(|requests| *requests > 0.0)?;
        (self.time_us > 0.0).then(|| self.time_us / requests)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::telemetry::RequestSums;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns `seconds` cells around these values, with seeded noise of 10 %.
    fn cells(seed: u64, seconds: u32, cpu: f64, mean_us: Option<f64>) -> Vec<UseCell> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut noise = || random.f64().mul_add(0.2, 0.9);
        let start = Instant::now();
        let cell = |second| {
            let count = 100.0 * noise();
            let requests =
                mean_us.map(|mean| RequestSums { count, time_us: count * mean * noise() });
            UseCell {
                from: start + SECOND * second,
                to: start + SECOND * (second + 1),
                cpu: cpu * noise(),
                wait: Some(0.0),
                requests,
            }
        };
        (0..seconds).map(cell).collect()
    }

    fn clear(before: &[UseCell], after: &[UseCell]) -> Vec<Metric> {
        let all = compare_use(before, after, USE_METRICS);
        all.iter().filter(|one| one.clear).map(|one| one.metric).collect()
    }

    #[test]
    fn more_cpu_time_is_found() {
        let all = compare_use(&cells(1, 20, 1.0, None), &cells(2, 20, 2.0, None), USE_METRICS);
        let [cpu] = all.as_slice() else { panic!("{all:?}") };
        assert!(
            cpu.metric == Metric::Cpu && cpu.clear && (cpu.change - 1.0).abs() < 0.1,
            "{cpu:?}"
        );
    }

    #[test]
    fn reported_requests_are_compared() {
        let (before, after) = (cells(1, 20, 1.0, Some(5_000.0)), cells(2, 20, 1.0, Some(4_000.0)));
        assert_eq!(clear(&before, &after), [Metric::Mean]);
        let all = compare_use(&before, &after, USE_METRICS);
        let compared: Vec<_> = all.iter().map(|one| one.metric).collect();
        assert_eq!(compared, [Metric::Cpu, Metric::Throughput, Metric::Mean]);
    }

    #[test]
    fn no_change_gives_few_false_claims() {
        let claims = (0..200).filter(|trial| {
            let side = |seed| cells(seed, 20, 1.0, Some(5_000.0));
            !clear(&side(trial * 2), &side(trial * 2 + 1)).is_empty()
        });
        // 5 % of 200 is 10; 20 would be past it by more than three standard deviations.
        let claimed = claims.count();
        assert!(claimed <= 19, "{claimed} of 200");
    }

    #[test]
    fn short_side_gives_no_comparison() {
        assert!(compare_use(&cells(1, 7, 1.0, None), &cells(2, 20, 9.0, None), 1).is_empty());
        assert!(compare_use(&[], &[], 1).is_empty());
    }

    #[test]
    fn idle_process_is_not_compared() {
        assert!(compare_use(&cells(1, 20, 0.0, None), &cells(2, 20, 0.0, None), 1).is_empty());
    }

    #[test]
    fn process_that_stops_is_found() {
        assert_eq!(clear(&cells(1, 20, 1.0, None), &cells(2, 20, 0.0, None)), [Metric::Cpu]);
    }
}

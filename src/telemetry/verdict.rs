//! Compares the time before a change with the time after it and decides which differences are clear.
//!
//! Method: batch means. Each side is cut into blocks of equal time; each metric (p50, p99, throughput,
//! goodput) is computed per block on a logarithmic scale, and the two means are compared by Welch's
//! interval. Blocks are used instead of single requests because latencies are autocorrelated. The
//! correlation that remains between neighbouring blocks widens the interval through the effective
//! number of blocks `n (1 - r) / (1 + r)`. A change without effect is reported as one in at most 5 %
//! of cases: the level is divided by the number of compared metrics (Bonferroni).
//! `divvy bench verdict` calibrates this on seeded autocorrelated streams.
//!
//! Sources: A. M. Law, Simulation Modeling and Analysis (batch means); B. L. Welch, Biometrika 34
//! (1947); Abramowitz and Stegun 26.2.23 (normal quantile) and 26.7.5 (Student quantile).

use std::time::{Duration, Instant};

use super::journal::{Comparison, Metric};
use super::recorder::Sample;
use crate::layout::Slo;

/// Probability that a change without effect is reported as one, over all its metrics.
pub const ERROR_RATE: f64 = 0.05;

/// Blocks per side.
pub const BLOCKS: usize = 16;

/// Minimum number of completed requests per side for a comparison.
pub const MIN_SAMPLES: usize = 10 * BLOCKS;

/// Minimum number of completed requests per side for comparing p99: each block needs some beyond it.
pub const MIN_SAMPLES_P99: usize = 60 * BLOCKS;

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its completed requests, in order of completion.
    pub samples: Vec<Sample>,
    /// Start of the side.
    pub from: Instant,
    /// End of the side.
    pub to: Instant,
}

/// Compares two sides. `metrics` is the number of metrics that the whole change compares over all its
/// models; it divides the error rate. Empty if a side has fewer than [`MIN_SAMPLES`].
pub fn compare(before: &Side, after: &Side, slo: Option<&Slo>, metrics: usize) -> Vec<Comparison> {
    let least = before.samples.len().min(after.samples.len());
    if least < MIN_SAMPLES || before.to <= before.from || after.to <= after.from {
        return Vec::new();
    }
    let level = ERROR_RATE / metrics.max(1) as f64;
    let (old, new) = (Blocks::cut(before), Blocks::cut(after));
    let mut comparisons =
        vec![contrast(Metric::P50, &old, &new, level, |block| block.quantile(0.5))];
    if least >= MIN_SAMPLES_P99 {
        comparisons.push(contrast(Metric::P99, &old, &new, level, |block| block.quantile(0.99)));
    }
    comparisons.push(contrast(Metric::Throughput, &old, &new, level, |block| Some(block.rate())));
    if let Some(slo) = slo {
        let bound = slo.bound.as_micros() as u64;
        comparisons
            .push(contrast(Metric::Goodput, &old, &new, level, |block| Some(block.good(bound))));
    }
    comparisons.into_iter().flatten().collect()
}

/// Returns the number of metrics that [`compare`] compares for one model.
pub fn metric_count(slo: Option<&Slo>) -> usize {
    3 + usize::from(slo.is_some())
}

struct Block {
    /// Total latencies in microseconds, ascending.
    latencies: Vec<u32>,
    span: Duration,
}

struct Blocks {
    blocks: Vec<Block>,
    whole: Block,
}

impl Blocks {
    fn cut(side: &Side) -> Self {
        let length = side.to.saturating_duration_since(side.from);
        let span = length / BLOCKS as u32;
        let mut latencies: Vec<Vec<u32>> = vec![Vec::new(); BLOCKS];
        for sample in &side.samples {
            let at = sample.at.saturating_duration_since(side.from).as_nanos();
            let block = (at / span.as_nanos().max(1)) as usize;
            if let Some(latencies) = latencies.get_mut(block.min(BLOCKS - 1)) {
                latencies.push(sample.total_us);
            }
        }
        let sorted = |mut latencies: Vec<u32>, span| {
            latencies.sort_unstable();
            Block { latencies, span }
        };
        let all = side.samples.iter().map(|sample| sample.total_us).collect();
        Self {
            blocks: latencies.into_iter().map(|latencies| sorted(latencies, span)).collect(),
            whole: sorted(all, length),
        }
    }
}

impl Block {
    /// Returns the nearest-rank quantile, `None` without samples.
    fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).map(|us| f64::from((*us).max(1)))
    }

    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.span.as_secs_f64()
    }

    fn good(&self, bound_us: u64) -> f64 {
        let good = self.latencies.partition_point(|us| u64::from(*us) <= bound_us);
        good as f64 / self.span.as_secs_f64()
    }
}

fn contrast(
    metric: Metric,
    old: &Blocks,
    new: &Blocks,
    level: f64,
    metric_of: impl Fn(&Block) -> Option<f64>,
) -> Option<Comparison> {
    let (before, after) = (metric_of(&old.whole)?, metric_of(&new.whole)?);
    // Half a request per block keeps the logarithm finite for an empty block.
    let floor = |block: &Block| match metric {
        Metric::P50 | Metric::P99 => 1.0,
        Metric::Throughput | Metric::Goodput => 0.5 / block.span.as_secs_f64(),
    };
    let logs = |blocks: &[Block]| -> Vec<f64> {
        blocks.iter().filter_map(|block| Some(metric_of(block)?.max(floor(block)).ln())).collect()
    };
    let (x, y) = (Moments::of(&logs(&old.blocks))?, Moments::of(&logs(&new.blocks))?);
    let (a, b) = (x.variance / x.effective, y.variance / y.effective);
    let error = (a + b).sqrt();
    // Welch and Satterthwaite, with the effective numbers of blocks.
    let freedom = if error > 0.0 {
        (a + b).powi(2)
            / (a.powi(2) / (x.effective - 1.0).max(1.0) + b.powi(2) / (y.effective - 1.0).max(1.0))
    } else {
        1.0
    };
    let reach = student_quantile(1.0 - level / 2.0, freedom.max(3.0)) * error;
    let shift = y.mean - x.mean;
    let (low, high) = ((shift - reach).exp() - 1.0, (shift + reach).exp() - 1.0);
    // An interval without a finite error proves nothing.
    let clear = (low > 0.0 || high < 0.0) && error.is_finite();
    let change = if before > 0.0 { after / before - 1.0 } else { 0.0 };
    Some(Comparison { metric, before, after, change, low, high, clear })
}

struct Moments {
    mean: f64,
    variance: f64,
    /// Number of independent blocks with the same information.
    effective: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        if values.len() < BLOCKS / 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let variance = square / (n - 1.0);
        let lagged: f64 =
            values.iter().zip(values.iter().skip(1)).map(|(a, b)| (a - mean) * (b - mean)).sum();
        // The estimate of r is biased by -1/n; correct it, and treat a negative r as 0.
        let r = if square > 0.0 { lagged / square + 1.0 / n } else { 0.0 };
        let r = r.clamp(0.0, 0.8);
        Some(Self { mean, variance, effective: (n * (1.0 - r) / (1.0 + r)).max(3.0) })
    }
}

/// Returns a quantile of the normal distribution (Abramowitz and Stegun 26.2.23; error below 4.5e-4).
fn normal_quantile(p: f64) -> f64 {
    if p < 0.5 {
        return -normal_quantile(1.0 - p);
    }
    let t = (-2.0 * (1.0 - p).max(1e-300).ln()).sqrt();
    let top = 0.010_328_f64.mul_add(t * t, 0.802_853_f64.mul_add(t, 2.515_517));
    let bottom = 0.001_308_f64
        .mul_add(t.powi(3), 0.189_269_f64.mul_add(t * t, 1.432_788_f64.mul_add(t, 1.0)));
    t - top / bottom
}

/// Returns a quantile of Student's distribution (Abramowitz and Stegun 26.7.5), for 3 or more degrees
/// of freedom.
fn student_quantile(p: f64, freedom: f64) -> f64 {
    let x = normal_quantile(p);
    let g1 = (x.powi(3) + x) / 4.0;
    let g2 = (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0;
    let g3 = (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0;
    x + g1 / freedom + g2 / freedom.powi(2) + g3 / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a seeded stream of `rate` requests per second over 20 s: log-normal latencies around 10 ms
    /// whose logarithm is autoregressive, multiplied by `factor`.
    fn stream(seed: u64, rate: usize, correlation: f64, factor: f64) -> Side {
        let mut random = fastrand::Rng::with_seed(seed);
        let from = Instant::now();
        let span = Duration::from_secs(20);
        let mut state = 0.0;
        let samples = (0..rate * 20)
            .map(|index| {
                let noise: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                state = correlation * state + (1.0 - correlation * correlation).sqrt() * noise;
                Sample {
                    at: from + span.mul_f64(index as f64 / (rate * 20) as f64),
                    total_us: (10_000.0 * factor * (0.25 * state).exp()) as u32,
                }
            })
            .collect();
        Side { samples, from, to: from + span }
    }

    fn claims(trials: u64, correlation: f64, factor: f64) -> u64 {
        let slo = Slo { percentile: 99.0, bound: Duration::from_millis(15) };
        (0..trials)
            .filter(|trial| {
                let before = stream(trial * 2, 100, correlation, 1.0);
                let after = stream(trial * 2 + 1, 100, correlation, factor);
                let all = compare(&before, &after, Some(&slo), metric_count(Some(&slo)));
                assert_eq!(all.len(), 4);
                all.iter().any(|comparison| comparison.clear)
            })
            .count() as u64
    }

    #[test]
    fn no_change_gives_few_false_claims() {
        // 5 % of 200 is 10; 20 would be past it by more than three standard deviations.
        for correlation in [0.0, 0.9] {
            let claimed = claims(200, correlation, 1.0);
            assert!(claimed <= 19, "{claimed} of 200 at correlation {correlation}");
        }
    }

    #[test]
    fn planted_slowdown_is_found() {
        for correlation in [0.0, 0.9] {
            let found = claims(100, correlation, 1.2);
            assert!(found >= 95, "{found} of 100 at correlation {correlation}");
        }
    }

    #[test]
    fn too_few_requests_give_no_comparison() {
        let mut few = stream(1, 100, 0.0, 1.0);
        few.samples.truncate(MIN_SAMPLES - 1);
        assert!(compare(&few, &stream(2, 100, 0.0, 3.0), None, 3).is_empty());
    }

    #[test]
    fn quantiles_match_the_tables() {
        for (p, freedom, want) in
            [(0.975, 10.0, 2.228), (0.995, 20.0, 2.845), (0.975, 1e9, 1.960), (0.999, 15.0, 3.733)]
        {
            let actual = student_quantile(p, freedom);
            assert!((actual - want).abs() < 0.02, "{p} {freedom}: {actual}, expected {want}");
        }
    }
}

//! Compares the time before a change with the time after it and decides which differences are clear.
//!
//! Method: batch means. Each side is cut into blocks of equal time; each metric (p50, p99, throughput,
//! goodput) is computed per block on a logarithmic scale, and the two means are compared by Welch's
//! interval. Blocks are used instead of single requests because latencies are autocorrelated. The
//! correlation that remains between neighbouring blocks widens the interval through the effective
//! number of blocks `n (1 - r) / (1 + r)`. A change without effect is reported as one in at most 5 %
//! of cases: the level is divided by the number of compared metrics (Bonferroni).
//! `divvy bench verdict` calibrates this on seeded autocorrelated streams of 10 to 200,000 requests per
//! second.
//!
//! A side consists of cells: counts per latency (within 1 %) over about 250 ms each, which a recorder
//! keeps in bounded memory at any rate. Both sides are cut at the borders of cells, inwards, and a cell
//! belongs to the block in which its middle lies. A rate divides by the time of the block's own cells.
//! Quantiles are interpolated within the range of one count, so that they vary as those of single
//! requests do.
//!
//! Sources: A. M. Law, Simulation Modeling and Analysis (batch means); B. L. Welch, Biometrika 34
//! (1947); Abramowitz and Stegun 26.2.23 (normal quantile) and 26.7.5 (Student quantile).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::journal::{Comparison, Metric};
use super::recording::{Cell, LatencyCounts};
use crate::layout::Slo;

/// Probability that a change without effect is reported as one, over all its metrics.
pub const ERROR_RATE: f64 = 0.05;

/// Blocks per side.
pub const BLOCKS: usize = 16;

/// Minimum number of completed requests per side for a comparison.
pub const MIN_SAMPLES: u64 = 10 * BLOCKS as u64;

/// A side with fewer requests than [`MIN_SAMPLES`] is compared with one of this many times as many or
/// more, by its rates only: a model that was paused completes none.
const GROSS: u64 = 4;

/// Minimum number of completed requests per side for comparing p99: each block needs some beyond it.
pub const MIN_SAMPLES_P99: u64 = 60 * BLOCKS as u64;

/// One side of a comparison: adjoining cells, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Side {
    cells: Vec<Arc<Cell>>,
}

impl Side {
    /// Returns the side that consists of these cells. They must adjoin, oldest first.
    pub fn new(cells: Vec<Arc<Cell>>) -> Self {
        Self { cells }
    }

    /// Returns the number of completed requests.
    pub fn completed(&self) -> u64 {
        self.cells.iter().map(|cell| cell.completed()).sum()
    }
}

/// Compares two sides. `metrics` is the number of metrics that the whole change compares over all its
/// models; it divides the error rate. Empty if a side has fewer than [`MIN_SAMPLES`], unless the other has
/// far more.
pub fn compare(before: &Side, after: &Side, slo: Option<&Slo>, metrics: usize) -> Vec<Comparison> {
    let least = before.completed().min(after.completed());
    let most = before.completed().max(after.completed());
    let (Some(old), Some(new)) = (Blocks::cut(before), Blocks::cut(after)) else {
        return Vec::new();
    };
    if most < MIN_SAMPLES || (least < MIN_SAMPLES && least * GROSS > most) {
        return Vec::new();
    }
    let level = ERROR_RATE / metrics.max(1) as f64;
    let mut comparisons = Vec::new();
    if least >= MIN_SAMPLES {
        comparisons.push(contrast(Metric::P50, &old, &new, level, |block| block.quantile(0.5)));
    }
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

/// The requests of some cells.
struct Block {
    latencies: LatencyCounts,
    span: Duration,
}

struct Blocks {
    /// At most [`BLOCKS`]: there is none where no cell has its middle.
    blocks: Vec<Block>,
    whole: Block,
}

impl Blocks {
    /// Returns the blocks of a side, `None` without any time.
    fn cut(side: &Side) -> Option<Self> {
        let from = side.cells.first()?.from();
        let whole = Block::of(&side.cells);
        if whole.span.is_zero() {
            return None;
        }
        let length = side.cells.last()?.to().saturating_duration_since(from);
        let block_of = |cell: &Arc<Cell>| block_of(cell, from, length);
        let blocks = side.cells.chunk_by(|a, b| block_of(a) == block_of(b)).map(Block::of);
        Some(Self { blocks: blocks.filter(|block| !block.span.is_zero()).collect(), whole })
    }
}

/// Returns the block in which the middle of a cell lies, below [`BLOCKS`].
fn block_of(cell: &Cell, from: Instant, length: Duration) -> usize {
    let middle = cell.from().saturating_duration_since(from) + span(cell) / 2;
    let share = middle.as_secs_f64() / length.as_secs_f64();
    ((share * BLOCKS as f64) as usize).min(BLOCKS - 1)
}

fn span(cell: &Cell) -> Duration {
    cell.to().saturating_duration_since(cell.from())
}

impl Block {
    fn of(cells: &[Arc<Cell>]) -> Self {
        Self {
            latencies: LatencyCounts::sum(cells.iter().map(|cell| &**cell)),
            span: cells.iter().map(|cell| span(cell)).sum(),
        }
    }

    /// Returns a quantile in microseconds, at least 1; `None` without requests.
    fn quantile(&self, q: f64) -> Option<f64> {
        self.latencies.quantile(q).map(|us| us.max(1.0))
    }

    fn rate(&self) -> f64 {
        self.latencies.completed() as f64 / self.span.as_secs_f64()
    }

    fn good(&self, bound_us: u64) -> f64 {
        self.latencies.within(bound_us) as f64 / self.span.as_secs_f64()
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
        Metric::Throughput | Metric::Goodput => 0.5 / block.span.as_secs_f64(),
        _ => 1.0,
    };
    let logs = |blocks: &[Block]| -> Vec<f64> {
        blocks.iter().filter_map(|block| Some(metric_of(block)?.max(floor(block)).ln())).collect()
    };
    let (old, new) = (logs(&old.blocks), logs(&new.blocks));
    Contrast { metric, before, after, old: &old, new: &new }.compare(level)
}

/// One metric on both sides of a change.
pub(super) struct Contrast<'a> {
    pub(super) metric: Metric,
    /// Its value over the whole side before.
    pub(super) before: f64,
    /// Its value over the whole side after.
    pub(super) after: f64,
    /// The logarithm of its value in each block before.
    pub(super) old: &'a [f64],
    /// The same of the blocks after.
    pub(super) new: &'a [f64],
}

impl Contrast<'_> {
    /// Compares the sides at an error rate; `None` with fewer than half of [`BLOCKS`] on a side.
    pub(super) fn compare(&self, level: f64) -> Option<Comparison> {
        let Self { metric, before, after, .. } = *self;
        let (x, y) = (Moments::of(self.old)?, Moments::of(self.new)?);
        let (a, b) = (x.variance / x.effective, y.variance / y.effective);
        let error = (a + b).sqrt();
        // Welch and Satterthwaite, with the effective numbers of blocks.
        let freedom = if error > 0.0 {
            (a + b).powi(2)
                / (a.powi(2) / (x.effective - 1.0).max(1.0)
                    + b.powi(2) / (y.effective - 1.0).max(1.0))
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
    use crate::telemetry::LatencyCount;

    const CELL: Duration = Duration::from_millis(250);

    /// Returns a seeded stream of `rate` requests per second over 20 s: log-normal latencies around 10 ms
    /// whose logarithm is autoregressive, multiplied by `factor`.
    fn stream(seed: u64, rate: usize, correlation: f64, factor: f64) -> Side {
        let mut random = fastrand::Rng::with_seed(seed);
        let from = Instant::now();
        let mut state = 0.0;
        let mut latency = |_| {
            let noise: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
            state = correlation * state + (1.0 - correlation * correlation).sqrt() * noise;
            LatencyCount::one((10_000.0 * factor * (0.25 * state).exp()) as u64)
        };
        // Requests arrive evenly.
        let arrived = |cell: u32| rate * cell as usize / 4;
        let cells = (0..80).map(|cell| {
            let latencies = (arrived(cell)..arrived(cell + 1)).map(&mut latency);
            Arc::new(Cell::new(from + CELL * cell, from + CELL * (cell + 1), latencies))
        });
        Side::new(cells.collect())
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
        // 7/s give 140 requests, 8/s the 160 that are needed.
        assert!(compare(&stream(1, 7, 0.0, 1.0), &stream(2, 20, 0.0, 3.0), None, 3).is_empty());
        assert!(!compare(&stream(1, 8, 0.0, 1.0), &stream(2, 20, 0.0, 3.0), None, 3).is_empty());
    }

    #[test]
    fn pause_changes_the_rate() {
        let compared = compare(&stream(1, 40, 0.0, 1.0), &stream(2, 0, 0.0, 1.0), None, 3);
        let [rate] = compared.as_slice() else { panic!("{compared:?}") };
        assert_eq!((rate.metric, rate.clear, rate.after), (Metric::Throughput, true, 0.0));
        assert!((rate.before - 40.0).abs() < 0.5, "{rate:?}");
    }

    #[test]
    fn slowdown_at_ten_per_second_is_found() {
        let found = (0..100).filter(|trial| {
            let (before, after) =
                (stream(trial * 2, 10, 0.0, 1.0), stream(trial * 2 + 1, 10, 0.0, 1.3));
            let all = compare(&before, &after, None, metric_count(None));
            all.iter().any(|one| one.metric == Metric::P50 && one.clear && one.change > 0.0)
        });
        assert!(found.count() >= 90);
    }

    #[test]
    fn rates_hold_with_uneven_cells() {
        let from = Instant::now();
        let at = |ms: u64| from + Duration::from_millis(ms);
        let cells = |lengths: [u64; 2]| {
            let mut start = 0;
            let cells = (0..80).map(|index| {
                let length = lengths[index % 2];
                let latencies = (0..length * 5).map(|one| LatencyCount::one(1000 + one % 100));
                let cell = Cell::new(at(start), at(start + length), latencies);
                start += length;
                Arc::new(cell)
            });
            Side::new(cells.collect())
        };
        let all = compare(&cells([250, 250]), &cells([200, 330]), None, 3);
        let rate = all.iter().find(|one| one.metric == Metric::Throughput).unwrap();
        assert_eq!((rate.before, rate.after, rate.clear), (5000.0, 5000.0, false), "{rate:?}");
    }

    #[test]
    fn no_cells_give_no_comparison() {
        assert!(compare(&Side::default(), &stream(1, 100, 0.0, 1.0), None, 3).is_empty());
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

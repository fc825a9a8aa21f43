//! The latencies of a whole run, from which those between two snapshots follow.

use std::sync::Arc;

use hdrhistogram::{Counter, Histogram as Hdr};
use serde::{Deserialize, Serialize};

/// Latencies of a window, from HDR histograms of two significant digits (within 1 %).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Distribution {
    /// Samples.
    pub count: u64,
    /// Mean.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p999_us: u64,
    /// The slowest.
    pub max_us: u64,
}

/// The total latencies of all completed requests of a model, within 1 %.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies(Option<Arc<Hdr<u64>>>);

impl Latencies {
    /// Wraps a histogram in microseconds.
    pub(super) fn new(histogram: Hdr<u64>) -> Self {
        Self(Some(Arc::new(histogram)))
    }

    /// Returns the latencies of requests that completed after `earlier` was taken. If `earlier` is
    /// not an earlier state of the same model, returns those of the whole run.
    pub fn since(&self, earlier: &Self) -> Distribution {
        let Some(now) = &self.0 else { return Distribution::default() };
        let Some(before) = &earlier.0 else { return distribution(now) };
        let mut between = Hdr::clone(now);
        match between.subtract(&**before) {
            Ok(()) => distribution(&between),
            Err(_) => distribution(now),
        }
    }
}

/// Returns the percentiles of a histogram in microseconds.
pub(super) fn distribution<C: Counter>(hdr: &Hdr<C>) -> Distribution {
    if hdr.is_empty() {
        return Distribution::default();
    }
    Distribution {
        count: hdr.len(),
        mean_us: hdr.mean(),
        p50_us: hdr.value_at_quantile(0.5),
        p90_us: hdr.value_at_quantile(0.9),
        p99_us: hdr.value_at_quantile(0.99),
        p999_us: hdr.value_at_quantile(0.999),
        max_us: hdr.max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(values: &[u64]) -> Latencies {
        let mut histogram = Hdr::new(2).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        Latencies::new(histogram)
    }

    #[test]
    fn difference_holds_only_later_requests() {
        let (early, late) = (latencies(&[1, 2]), latencies(&[1, 2, 100, 100, 100]));
        let between = late.since(&early);
        assert_eq!((between.count, between.p50_us), (3, 100));
        assert_eq!(late.since(&Latencies::default()).count, 5);
        assert_eq!(early.since(&early).count, 0);
    }

    #[test]
    fn restarted_model_counts_from_zero() {
        assert_eq!(latencies(&[7]).since(&latencies(&[1, 2])).count, 1);
    }
}

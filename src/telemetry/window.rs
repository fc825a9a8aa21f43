//! A model's metrics and latency histogram over a span of time.

use serde::{Deserialize, Serialize};

use super::latencies::Distribution;
use super::process_view::ReportedRequests;

/// A model's metrics over a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Window {
    /// Length of the span.
    pub span_us: u64,
    /// Completed requests per second.
    pub completed_per_s: f64,
    /// Requests completed within the SLO per second; `None` without an SLO.
    pub goodput_per_s: Option<f64>,
    /// Rejected, timed out or failed requests per second.
    pub lost_per_s: f64,
    /// Latency at the SLO's own percentile; `None` without an SLO.
    #[serde(rename = "slo_percentile_us", alias = "slo_us")]
    pub slo_us: Option<u64>,
    /// Time from the intended arrival to the start in an instance.
    pub queue: Distribution,
    /// Time in an instance.
    pub compute: Distribution,
    /// Queue time and compute time together.
    pub total: Distribution,
}

impl Window {
    /// Returns the window of the requests that a program reports itself. Fields that its metrics page does
    /// not have are 0: it divides no latency into queue and compute, and the number of latencies is 0
    /// unless it has a distribution.
    pub fn of_reported(requests: &ReportedRequests) -> Self {
        let us = |value: Option<f64>| value.map_or(0, |us| us.round() as u64);
        let per_s = requests.per_s.unwrap_or(0.0);
        let count = (per_s * requests.span_us as f64 / 1e6).round() as u64;
        let total = Distribution {
            count: if requests.p50_us.is_some() { count } else { 0 },
            mean_us: requests.mean_us.unwrap_or(0.0),
            p50_us: us(requests.p50_us),
            p99_us: us(requests.p99_us),
            ..Distribution::default()
        };
        Self {
            span_us: requests.span_us,
            completed_per_s: per_s,
            lost_per_s: requests.failed_per_s.unwrap_or(0.0),
            slo_us: requests.slo_us.map(|us| us.round() as u64),
            total,
            ..Self::default()
        }
    }
}

/// A latency histogram with eight logarithmic buckets per octave: bucket `i` holds latencies from
/// `2^(i/8)` microseconds up to the bound of the next bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Histogram {
    /// Index of the first listed bucket.
    #[serde(rename = "first_bucket", alias = "first")]
    pub first: usize,
    /// Completed requests per bucket, by total latency.
    #[serde(rename = "counts", alias = "total")]
    pub total: Vec<u64>,
    /// Sum of the queue times per bucket, in microseconds. Queueing has the share
    /// `queue_us / (queue_us + compute_us)` of a bar.
    pub queue_us: Vec<u64>,
    /// Sum of the compute times per bucket, in microseconds.
    pub compute_us: Vec<u64>,
}

//! The statistics of a model in the form of the statistics extension of the protocol. Both transports
//! send them.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::state::ServerState;
use crate::machine::running_now;
use crate::pool::Client;
use crate::telemetry::{RequestTotals, TimeTotals};

/// The statistics of a model since it was loaded, of requests from outside and of built-in load. All
/// times are in nanoseconds unless stated otherwise. It serializes to the JSON of the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModelStatistics {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The end of the newest completed request, in milliseconds since 1970; 0 before the first one.
    pub last_inference: u64,
    /// Completed requests.
    pub inference_count: u64,
    /// Runs of an instance that completed a request. Each runs one request.
    pub execution_count: u64,
    /// Times by stage.
    pub inference_stats: InferenceStatistics,
    /// Times by the number of requests that ran together: one entry, of 1.
    pub batch_stats: Vec<BatchStatistics>,
}

/// The number of requests in one stage, and the sum of their times there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StatisticDuration {
    /// Requests.
    pub count: u64,
    /// The sum of their times in nanoseconds.
    pub ns: u64,
}

/// Requests and times by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InferenceStatistics {
    /// Completed requests, from arrival to result.
    pub success: StatisticDuration,
    /// Requests that were rejected, timed out, were cancelled or failed. The time is that of requests
    /// which an instance took.
    pub fail: StatisticDuration,
    /// Completed requests, from arrival until an instance took them.
    pub queue: StatisticDuration,
    /// The copying of inputs: always without time, since tensors are passed by reference.
    pub compute_input: StatisticDuration,
    /// Completed requests, in an instance.
    pub compute_infer: StatisticDuration,
    /// The copying of outputs: always without time, since the engine's run includes it.
    pub compute_output: StatisticDuration,
    /// Requests answered from a cache: always 0, there is no cache.
    pub cache_hit: StatisticDuration,
    /// Requests not found in a cache: always 0, there is no cache.
    pub cache_miss: StatisticDuration,
}

/// Runs of a model by the number of requests that ran together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchStatistics {
    /// The number of requests that ran together: 1.
    pub batch_size: u64,
    /// As [`InferenceStatistics::compute_input`].
    pub compute_input: StatisticDuration,
    /// As [`InferenceStatistics::compute_infer`].
    pub compute_infer: StatisticDuration,
    /// As [`InferenceStatistics::compute_output`].
    pub compute_output: StatisticDuration,
}

impl ServerState {
    /// Returns the statistics of the model of this name, or those of all models in the order of their
    /// names. Empty if there is no such model.
    pub fn statistics(&self, name: Option<&str>) -> Vec<ModelStatistics> {
        let Some(name) = name else {
            let of = |(name, client): (&String, &Client)| self.statistics_of(name, client);
            return self.models.all().iter().map(of).collect();
        };
        let client = self.models.get(name);
        client.map(|client| self.statistics_of(name, &client)).into_iter().collect()
    }

    fn statistics_of(&self, name: &str, client: &Client) -> ModelStatistics {
        let recorder = client.recorder();
        let (totals, last) = (recorder.totals(), recorder.last_end());
        let counts = client.counts();
        let failures = counts.rejected + counts.timed_out + counts.cancelled + counts.failed;
        let stages = InferenceStatistics::new(&totals, failures);
        ModelStatistics {
            name: name.to_owned(),
            version: self.version(name),
            last_inference: last
                .map_or(0, |last| unix_ms(running_now().saturating_duration_since(last))),
            inference_count: totals.total.count,
            execution_count: totals.total.count,
            inference_stats: stages,
            batch_stats: if totals.total.count > 0 { vec![stages.batches()] } else { Vec::new() },
        }
    }
}

/// Returns the wall-clock time of this long ago, in milliseconds since 1970.
fn unix_ms(ago: Duration) -> u64 {
    let at = SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl InferenceStatistics {
    fn new(totals: &RequestTotals, failures: u64) -> Self {
        let without_time = StatisticDuration { count: totals.compute.count, ns: 0 };
        Self {
            success: StatisticDuration::new(&totals.total),
            fail: StatisticDuration { count: failures, ns: totals.failed.as_nanos() as u64 },
            queue: StatisticDuration::new(&totals.queue),
            compute_input: without_time,
            compute_infer: StatisticDuration::new(&totals.compute),
            compute_output: without_time,
            cache_hit: StatisticDuration::default(),
            cache_miss: StatisticDuration::default(),
        }
    }

    fn batches(&self) -> BatchStatistics {
        BatchStatistics {
            batch_size: 1,
            compute_input: self.compute_input,
            compute_infer: self.compute_infer,
            compute_output: self.compute_output,
        }
    }
}

impl StatisticDuration {
    fn new(times: &TimeTotals) -> Self {
        Self { count: times.count, ns: times.sum.as_nanos() as u64 }
    }
}

//! The metrics of requests in a window.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::command::bench::report::quantile;
use crate::pool::Client;

/// The metrics of one model in a window.
pub(super) struct WindowMetrics {
    pub(super) p99_ms: f64,
    /// Completed requests per second.
    pub(super) per_s: f64,
    /// The longest time without a completed request.
    pub(super) silence_ms: f64,
}

/// The metrics of all models in a window, by name.
pub(super) type WindowReport = BTreeMap<String, WindowMetrics>;

/// A window that is being measured.
pub(super) struct MeasuredWindow {
    from: Instant,
}

impl MeasuredWindow {
    /// Starts a window.
    pub(super) fn start(clients: &BTreeMap<String, Client>) -> Self {
        for client in clients.values() {
            client.recorder().reset_silence();
        }
        Self { from: Instant::now() }
    }

    /// Ends the window and returns its metrics.
    pub(super) fn end(self, clients: &BTreeMap<String, Client>) -> WindowReport {
        let to = Instant::now();
        let metrics = |client: &Client| {
            let recorder = client.recorder();
            let silence = recorder.longest_silence();
            let samples = recorder.samples(self.from, to);
            let totals: Vec<f64> =
                samples.iter().map(|sample| f64::from(sample.total_us) / 1e3).collect();
            // Only the newest requests are kept; the window may have had more.
            let begin = samples.first().map_or(self.from, |sample| sample.at);
            WindowMetrics {
                p99_ms: quantile(&totals, 0.99),
                per_s: totals.len() as f64 / (to - begin).as_secs_f64().max(1e-9),
                silence_ms: silence.as_secs_f64() * 1e3,
            }
        };
        clients.iter().map(|(name, client)| (name.clone(), metrics(client))).collect()
    }
}

//! The metrics of requests in a window.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::pool::Client;
use crate::telemetry::Latencies;

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
    /// The latencies until its start.
    before: BTreeMap<String, Latencies>,
}

impl MeasuredWindow {
    /// Starts a window.
    pub(super) fn start(clients: &BTreeMap<String, Client>) -> Self {
        for client in clients.values() {
            client.recorder().reset_silence();
        }
        let latencies =
            |(name, client): (&String, &Client)| (name.clone(), client.recorder().latencies());
        Self { from: Instant::now(), before: clients.iter().map(latencies).collect() }
    }

    /// Ends the window and returns its metrics.
    pub(super) fn end(self, clients: &BTreeMap<String, Client>) -> WindowReport {
        let span = self.from.elapsed().as_secs_f64().max(1e-9);
        let metrics = |(name, client): (&String, &Client)| {
            let recorder = client.recorder();
            let silence = recorder.longest_silence();
            let before = self.before.get(name).cloned().unwrap_or_default();
            let totals = recorder.latencies().since(&before);
            let metrics = WindowMetrics {
                p99_ms: totals.p99_us as f64 / 1e3,
                per_s: totals.count as f64 / span,
                silence_ms: silence.as_secs_f64() * 1e3,
            };
            (name.clone(), metrics)
        };
        clients.iter().map(metrics).collect()
    }
}

//! Latency recording: counters written by the instances, and the windows and cells read from them.

mod buckets;
mod cells;
mod collected;
mod instance;
mod latency_counts;
mod log_linear;
mod reader;
mod recorder;
mod silence;
mod totals;
mod windows;

pub use cells::{Cell, LatencyCount};
pub use instance::InstanceRecorder;
pub(super) use latency_counts::LatencyCounts;
pub use recorder::Recorder;
pub use totals::{BUCKET_BOUNDS_US, RequestTotals, TimeTotals};
pub use windows::Windows;

#[cfg(test)]
mod tests;

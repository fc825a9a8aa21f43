//! Reports without a terminal: one line per row and interval, or NDJSON; progress while models
//! load; and a table at the end. All of it comes from [`Snapshot`](crate::telemetry::Snapshot)s.

mod clients;
mod figures;
mod gpus;
mod headless;
mod interval;
pub(super) mod process_requests;
mod progress;
mod span;
mod summary;
pub(super) mod table;
#[cfg(test)]
mod tests;

pub use headless::{
    HeadlessOptions, ReportFormat, ReportOutput, RunEnd, failed_models, is_loaded, run_headless,
};
pub use interval::{header_line, interval_line};
pub use progress::Progress;
pub use span::{ModelSpan, OutsideSpan, ReportSpan};
pub use summary::summary;

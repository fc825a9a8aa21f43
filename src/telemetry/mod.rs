//! What happened: latency windows, per-thread CPU time, memory, GPU sensors, and the [`Snapshot`].

mod journal;
mod snapshot;

pub use journal::{Applied, Author, Comparison, Entry, Metric, Verdict, VerdictStatus};
pub use snapshot::{
    Actual, Alert, CoreView, Counts, Distribution, GpuCard, GpuView, Histogram, ModelState,
    ModelView, Snapshot, ThreadView, Window,
};

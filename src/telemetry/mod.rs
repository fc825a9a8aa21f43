//! Measurements: latency windows, per-thread CPU time, memory, GPU sensors, and the [`Snapshot`].

mod alerts;
mod author;
mod change_stages;
mod conditions;
pub mod gpu;
mod journal;
mod journal_channel;
pub mod journal_file;
mod latencies;
mod log_lines;
mod memory;
mod name_list;
mod recording;
mod request_counts;
mod sensor;
mod snapshot;
mod state_version;
pub mod text;
pub mod verdict;

pub use alerts::alerts;
pub use author::{Author, CallerName};
pub use change_stages::ChangeStages;
pub use conditions::Conditions;
pub use journal::{Applied, Comparison, JournalEntry, Metric, Verdict, VerdictStatus};
pub use journal_channel::{JOURNAL_CAPACITY, JournalChannel, JournalReceiver, JournalSender};
pub use latencies::{Distribution, Latencies};
pub use log_lines::{LogLevel, LogLine, LogLines};
pub use memory::{LoadedModelRow, MemoryPart, MemoryRow, MemoryTable};
pub use name_list::{name_list, separated_list};
pub use recording::{Cell, InstanceRecorder, LatencyCount, Recorder, Windows};
pub use request_counts::RequestCounts;
pub use sensor::{CoreUse, Sensor, ThreadUse, Usage};
pub use snapshot::{
    Actual, Alert, CoreShare, CoreView, GpuCard, GpuView, Histogram, MigDevice, ModelState,
    ModelView, Snapshot, ThreadView, Window,
};
pub use state_version::StateVersion;

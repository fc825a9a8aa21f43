//! Measurements: latency windows, per-thread CPU time, memory, GPU sensors, and the [`Snapshot`].

mod alerts;
mod author;
mod change_counts;
mod change_stages;
mod change_status;
mod conditions;
mod core_view;
pub mod gpu;
mod gpu_view;
mod journal;
mod journal_channel;
pub mod journal_file;
mod latencies;
mod loan_view;
mod log_lines;
mod memory;
mod model_view;
mod name_list;
mod process_view;
mod recording;
mod request_counts;
mod row_metrics;
mod sensor;
mod server_alerts;
mod server_view;
mod snapshot;
mod state_version;
pub mod text;
mod use_record;
mod use_verdict;
pub mod verdict;
mod window;

pub use alerts::alerts;
pub use author::{Author, CallerName};
pub use change_counts::{AuthorKind, ChangeCounts, ChangeOutcome, VerdictResult};
pub use change_stages::ChangeStages;
pub use change_status::ChangeStatus;
pub use conditions::Conditions;
pub use core_view::{CoreShare, CoreView};
pub use gpu_view::{GpuDevice, GpuView, MigDevice};
pub use journal::{Applied, Comparison, JournalEntry, Metric, SampleKind, Verdict, VerdictStatus};
pub use journal_channel::{JOURNAL_CAPACITY, JournalChannel, JournalReceiver, JournalSender};
pub use latencies::{Distribution, Latencies};
pub use loan_view::LoanView;
pub use log_lines::{LogLevel, LogLine, LogLines, without_escapes};
pub use memory::{LoadedModelRow, MemoryPart, MemoryRow, MemoryTable};
pub use model_view::{Actual, ModelState, ModelView, ThreadView};
pub use name_list::{name_list, separated_list};
pub use process_view::{
    BandwidthView, CoreTime, OtherProcess, OtherProcesses, ProcessEntry, ProcessState, ProcessUse,
    ProcessView, ReportedRequests,
};
pub use recording::{
    BUCKET_BOUNDS_US, Cell, InstanceRecorder, LatencyCount, Recorder, RequestTotals, TimeTotals,
    Windows,
};
pub use request_counts::RequestCounts;
pub use sensor::{CoreUse, Sensor, ThreadUse, Usage};
pub use server_view::{
    ConnectionView, ListenerView, Occurrences, Protocol, RefusedRequests, ServedModelView,
    ServerSource, ServerView,
};
pub use snapshot::{Alert, Snapshot, StopView};
pub use state_version::StateVersion;
pub use use_record::{RequestSums, UseCell, UseRecord};
pub use use_verdict::{USE_METRICS, compare_use};
pub use window::{Histogram, Window};

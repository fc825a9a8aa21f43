//! Processes that run outside of divvy: finding, placing, measuring and restoring them.
//!
//! [`ProcessHost`] has one thread, which scans the system's processes and samples those of the rows. A
//! [`ProcessRow`] is the handle of one row: the scheduler places it as it places a model's pool.

mod catalog;
mod command;
mod host;
mod host_shared;
mod host_thread;
mod leftovers;
mod limits;
mod lookup;
mod measure;
mod members;
mod memory;
mod metrics;
mod options;
mod originals;
mod other_meter;
mod own_cgroup;
mod placement;
mod program_name;
mod proportional_memory;
mod read_process;
mod reports;
mod resctrl;
mod row;
mod sample;
mod sample_view;
mod scan;
mod select;
mod target;
#[cfg(test)]
mod tests;
mod thread_meter;
mod use_cells;
mod weight;

pub use host::ProcessHost;
pub use leftovers::Leftover;
pub use lookup::ProcessLookup;
pub use metrics::MetricsReader;
pub use options::{ProcessAccess, ProcessEnd, ProcessOptions};
pub use resctrl::{ResctrlMissing, ResctrlMonitor, RowMonitor};
pub use row::ProcessRow;
pub use sample::ProcessSample;

//! Processes that run outside of divvy: finding, placing, measuring and restoring them.
//!
//! [`ProcessHost`] has one thread, which scans the system's processes and samples those of the rows. A
//! [`ProcessRow`] is the handle of one row: the scheduler places it as it places a model's pool.

mod host;
mod options;
mod row;
mod sample;

pub use host::ProcessHost;
pub use options::{ProcessEnd, ProcessOptions};
pub use row::ProcessRow;
pub use sample::ProcessSample;

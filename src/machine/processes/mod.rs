//! Other processes: their files in `/proc`, and the calls on their threads.
//!
//! The files are read below a root folder, so that tests can use written trees. On a system without
//! `/proc` there are no processes.

mod files;
#[cfg_attr(target_os = "linux", path = "foreign_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "foreign_portable.rs")]
mod foreign;
mod foreign_error;
mod permission;
mod process_id;
mod stat;
mod thread_file;

pub use files::ProcessFiles;
pub(crate) use files::is_shortage;
pub use foreign::ForeignProcess;
pub use foreign_error::ForeignError;
pub use permission::{CallerRights, ProcessUsers};
pub use process_id::ProcessId;
pub use stat::{ProcessStat, RunState};
pub use thread_file::ThreadFile;

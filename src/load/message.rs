//! Messages to the driver's thread.

use std::sync::Arc;

use super::counters::LoadCounters;
use super::job::LoadJob;
use crate::engine::NamedTensor;

/// Messages to the driver's thread.
pub(super) enum LoadMessage {
    /// Start, change or (with `None`) stop the load of a model.
    Set { model: String, job: Option<Box<LoadJob>>, counters: Arc<LoadCounters> },
    /// A caller's request has ended.
    Answer(LoadAnswer),
    /// Stop all loads.
    Stop,
}

/// The answer to a caller's request.
#[derive(Debug)]
pub(super) struct LoadAnswer {
    /// The load's number.
    pub(super) load: u64,
    /// The caller's index within the load.
    pub(super) caller: usize,
    /// The outputs; `None` if the request did not succeed.
    pub(super) outputs: Option<Vec<NamedTensor>>,
}

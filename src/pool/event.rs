//! Events that a pool reports to its owner.

use std::time::Duration;

use crate::engine::InstanceSetup;

/// Receives a pool's events.
pub type Listener = Box<dyn Fn(PoolEvent) + Send + Sync>;

/// The numbers of a batch of builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchId {
    /// The number of the batch, unique in its pool; a later batch has a higher one.
    pub batch: u64,
    /// The generation of the instances. Several batches can add instances to one generation.
    pub generation: u64,
}

/// A batch of instances that is warm and has begun to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildReport {
    /// The batch.
    pub id: BatchId,
    /// The settings that the instances were built with.
    pub setup: InstanceSetup,
    /// Time from the order until all instances were warm.
    pub took: Duration,
}

/// An event that a pool reports to its owner, from its own threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolEvent {
    /// A batch serves now.
    Built(BuildReport),
    /// A batch failed; the previous instances keep serving.
    BuildFailed {
        /// The batch. By the time the event is handled, a newer one may have replaced it.
        id: BatchId,
        /// The settings of the batch.
        setup: InstanceSetup,
        /// The reason.
        reason: String,
    },
    /// Threads of a new instance have another CPU mask or nice value than they should.
    PlacementMismatch {
        /// One message per thread.
        reasons: Vec<String>,
    },
    /// An instance broke and could not be rebuilt.
    InstanceLost {
        /// The number of the instance.
        instance: usize,
        /// The reason.
        reason: String,
    },
}

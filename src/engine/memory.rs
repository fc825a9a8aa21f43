//! The memory that an engine reports for a model.

use serde::{Deserialize, Serialize};

/// The source of a memory value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemorySource {
    /// Computed from the model's file.
    #[default]
    Estimated,
    /// Counted by the allocator: the library's or divvy's.
    Measured,
}

/// The memory of a model as its engine reports it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EngineMemory {
    /// Weights, all copies together, as the engine holds them: rearranged for its kernels, and with
    /// what else belongs to the loaded model.
    #[serde(rename = "weights_bytes", alias = "weights")]
    pub weights: u64,
    /// Copies of the weights that are held.
    pub copies: u32,
    /// Graphs and kernels without the weights, estimated by the growth of the heap while instances
    /// were built. 0 if the other values contain it.
    #[serde(default, rename = "graph_bytes", alias = "graph")]
    pub graph: u64,
    /// Memory for activations, and for results while they are computed; `None` if the engine does not report it.
    #[serde(rename = "arena_bytes", alias = "arena")]
    pub arena: Option<u64>,
    /// Allocated but never written to: not resident, and not part of any sum.
    #[serde(default, rename = "untouched_bytes", alias = "untouched")]
    pub untouched: u64,
    /// Held on a GPU, weights included, by the library's own count; not the machine's memory, and
    /// in no sum. `None` if no instance runs on one, or the library does not report it.
    #[serde(default, rename = "gpu_bytes", alias = "gpu")]
    pub gpu: Option<u64>,
    /// Outputs of ended requests that callers still hold, in buffers of divvy's. Not the model's memory,
    /// and in no sum. `None` if they are not counted.
    #[serde(default, rename = "in_flight_bytes")]
    pub in_flight: Option<u64>,
    /// The source of `weights`.
    #[serde(default)]
    pub weights_source: MemorySource,
    /// The source of `arena`.
    #[serde(default)]
    pub arena_source: MemorySource,
    /// The loaded model that this one may share with others. The figures above contain this model's
    /// part of it. `None` if the engine cannot share what this model holds.
    #[serde(default)]
    pub shared: Option<SharedMemory>,
}

/// Memory of a loaded model that several models use together, in bytes. Each is charged an equal
/// part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SharedMemory {
    /// The number of the loaded model, unique in this process.
    pub id: u64,
    /// Models that use it, 1 or more.
    pub users: u32,
    /// Its weights.
    #[serde(rename = "weights_bytes", alias = "weights")]
    pub weights: u64,
    /// Its graph and kernels.
    #[serde(rename = "graph_bytes", alias = "graph")]
    pub graph: u64,
    /// Its arena.
    #[serde(rename = "arena_bytes", alias = "arena")]
    pub arena: u64,
}

impl SharedMemory {
    /// Returns the sum of its parts.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.graph).saturating_add(self.arena)
    }

    /// Returns the part of each user, rounded up, if there were this many.
    #[must_use]
    pub fn part(&self, users: u32) -> Self {
        let part = |bytes: u64| bytes.div_ceil(u64::from(users.max(1)));
        Self {
            weights: part(self.weights),
            graph: part(self.graph),
            arena: part(self.arena),
            ..*self
        }
    }
}

impl EngineMemory {
    /// Returns the total if at least this many models used the shared model.
    pub fn total_shared_by(&self, users: u32) -> u64 {
        let Some(shared) = self.shared else { return self.total() };
        let now = shared.part(shared.users).total();
        let then = shared.part(users.max(shared.users)).total();
        self.total().saturating_sub(now).saturating_add(then)
    }

    /// Returns the figures without this model's part of a shared model.
    #[must_use]
    pub fn without_shared(&self) -> Self {
        let Some(shared) = self.shared else { return *self };
        let part = shared.part(shared.users);
        Self {
            weights: self.weights.saturating_sub(part.weights),
            graph: self.graph.saturating_sub(part.graph),
            arena: self.arena.map(|arena| arena.saturating_sub(part.arena)),
            ..*self
        }
    }

    /// Returns the sum of weights, graphs and arenas.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.graph).saturating_add(self.arena.unwrap_or(0))
    }
}

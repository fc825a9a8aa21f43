//! Where the process's memory is: the program itself, each model's parts, and what neither explains,
//! against the resident set that the kernel counts.

use serde::{Deserialize, Serialize};

use crate::engine::MemorySource;

/// One model's memory. All sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryRow {
    /// The model.
    pub model: String,
    /// Weights as the engine holds them, all copies together.
    pub weights_bytes: u64,
    /// How that figure came about.
    pub weights_source: MemorySource,
    /// Copies of the weights.
    pub copies: u32,
    /// Graphs and kernels beside the weights, by how the heap grew when instances were built;
    /// estimated. 0 where the other figures hold it.
    pub graph_bytes: u64,
    /// Instances that are there, parked ones too. More than `copies`: they share.
    pub instances: usize,
    /// Activations, results and what arenas keep for the next request; `None` where the engine
    /// cannot tell.
    pub arena_bytes: Option<u64>,
    /// How that figure came about.
    pub arena_source: MemorySource,
    /// Inputs of requests that wait or run and that nobody else holds; measured.
    pub requests_bytes: u64,
    /// Inputs that were prepared for the built-in load, once, however many requests use them;
    /// measured.
    pub prepared_bytes: u64,
    /// The budget; `None` without one.
    pub limit_bytes: Option<u64>,
    /// What holds memory above the budget, in a sentence; `None` while it is kept.
    pub over: Option<String>,
    /// The row's part of a loaded model that it shares; contained in the sizes above. 0 if no other row
    /// uses that model.
    pub shared_bytes: u64,
    /// The reason why the row has its own copy of a model that other rows use too.
    pub not_shared: Option<String>,
}

/// A loaded model that rows can share. All sizes in bytes; its rows are charged equal parts of them,
/// so they are not added to any sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadedModelRow {
    /// The model's file, without its folder.
    pub file: String,
    /// Weights.
    pub weights_bytes: u64,
    /// Graph and kernels; estimated.
    pub graph_bytes: u64,
    /// The arena, if the rows share it.
    pub arena_bytes: u64,
    /// True if rows with any number of threads can share it, false if only those with one thread.
    pub any_threads: bool,
    /// The rows that use it, in layout order.
    pub models: Vec<String>,
}

impl LoadedModelRow {
    /// Returns the sum of its parts.
    pub fn total(&self) -> u64 {
        self.weights_bytes.saturating_add(self.graph_bytes).saturating_add(self.arena_bytes)
    }
}

impl MemoryRow {
    /// All parts together: what the budget is held against.
    pub fn total(&self) -> u64 {
        self.weights_bytes
            .saturating_add(self.graph_bytes)
            .saturating_add(self.arena_bytes.unwrap_or(0))
            .saturating_add(self.requests_bytes)
            .saturating_add(self.prepared_bytes)
    }
}

/// The process's memory by what holds it. All sizes in bytes;
/// `process_bytes = sum_bytes + unattributed_bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryTable {
    /// The resident set of this process, by the kernel.
    pub process_bytes: u64,
    /// The resident set before the first model was loaded: the program itself.
    pub baseline_bytes: u64,
    /// Files that became resident since: shared libraries, ONNX Runtime's among them, and pages of
    /// the executable, models inside it included. Measured by the kernel.
    pub files_bytes: u64,
    /// What ONNX Runtime took when it started, before it had a model, by how the process grew then;
    /// estimated.
    pub engines_bytes: u64,
    /// What the program itself took since: latency windows, history, the console. Counted by the
    /// allocator; 0 where it does not count.
    pub program_bytes: u64,
    /// What the heap keeps for reuse after it was freed, and still is resident. By the kernel's
    /// account of the heap without what is in use, measured; 0 where the system does
    /// not tell.
    pub kept_bytes: u64,
    /// The models, in layout order.
    pub models: Vec<MemoryRow>,
    /// Loaded models that rows share, or could share; their sizes are contained in those of `models`.
    pub loaded: Vec<LoadedModelRow>,
    /// All of the above but `process_bytes`.
    pub sum_bytes: u64,
    /// What no part explains: stacks, page tables of libraries, blocks too small to be counted, what
    /// an estimate has missed. Below 0 where parts were taken from the system and not touched yet,
    /// or estimated too high.
    pub unattributed_bytes: i64,
    /// Of that, heap in use that no account explains, by the statistics of the system's allocator; 0
    /// where it has none.
    pub stray_bytes: u64,
}

/// A part of the process's memory, as the screen and the bench show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPart {
    /// What it is.
    pub name: &'static str,
    /// How much, in bytes; below 0 only for the remainder.
    pub bytes: i64,
    /// How the figure came about.
    pub source: MemorySource,
    /// A word on it.
    pub note: &'static str,
}

impl MemoryTable {
    /// Fills in the sum and the remainder.
    #[must_use]
    pub fn summed(mut self) -> Self {
        let program = [
            self.baseline_bytes,
            self.files_bytes,
            self.engines_bytes,
            self.program_bytes,
            self.kept_bytes,
        ];
        let models = self.models.iter().map(MemoryRow::total);
        self.sum_bytes = models.chain(program).fold(0, u64::saturating_add);
        self.unattributed_bytes =
            self.process_bytes.cast_signed().saturating_sub(self.sum_bytes.cast_signed());
        self
    }

    /// The process's parts but the single models, in the order in which they are shown.
    pub fn parts(&self) -> [MemoryPart; 5] {
        use MemorySource::{Estimated, Measured};
        let part = |name, bytes: u64, source, note| {
            let bytes = bytes.cast_signed();
            MemoryPart { name, bytes, source, note }
        };
        [
            part("divvy by itself", self.baseline_bytes, Measured, "before any model was loaded"),
            part("libraries, files", self.files_bytes, Measured, "mapped since, by the kernel"),
            part("engine's start", self.engines_bytes, Estimated, "before it had a model"),
            part("divvy since", self.program_bytes, Measured, "windows, history, console"),
            part("freed, kept in heap", self.kept_bytes, Measured, "for the next request"),
        ]
    }

    /// The remainder as a share of the resident set, below 0 where the sum is larger; 0 where the
    /// resident set is not known.
    pub fn unattributed_share(&self) -> f64 {
        if self.process_bytes == 0 {
            return 0.0;
        }
        self.unattributed_bytes as f64 / self.process_bytes as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_and_the_remainder_are_the_resident_set() {
        let row = MemoryRow {
            weights_bytes: 47,
            graph_bytes: 3,
            arena_bytes: Some(20),
            requests_bytes: 3,
            prepared_bytes: 4,
            ..MemoryRow::default()
        };
        let other = MemoryRow { weights_bytes: 30, ..MemoryRow::default() };
        let table = MemoryTable {
            process_bytes: 200,
            baseline_bytes: 40,
            files_bytes: 10,
            engines_bytes: 5,
            program_bytes: 6,
            kept_bytes: 2,
            models: vec![row, other],
            ..MemoryTable::default()
        }
        .summed();
        assert_eq!((table.sum_bytes, table.unattributed_bytes), (170, 30));
        assert!((table.unattributed_share() - 0.15).abs() < 1e-9);
        let parts: i64 = table.parts().iter().map(|part| part.bytes).sum();
        assert_eq!(parts + 77 + 30, 170, "parts and models are the sum");
        let less = MemoryTable { process_bytes: 100, ..table }.summed();
        assert_eq!(less.unattributed_bytes, -70, "said, not hidden");
    }
}

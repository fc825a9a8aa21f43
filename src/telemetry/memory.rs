//! The memory table: the process's resident set, divided into the program itself, each model's parts
//! and a remainder.

use serde::{Deserialize, Serialize};

use crate::engine::MemorySource;

/// One model's memory. All sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MemoryRow {
    /// The model.
    pub model: String,
    /// Weights as the engine holds them, in all copies.
    pub weights_bytes: u64,
    /// Source of `weights_bytes`.
    pub weights_source: MemorySource,
    /// Number of copies of the weights.
    pub copies: u32,
    /// Graphs and kernels without the weights, estimated by the growth of the heap while instances
    /// were built. 0 if the other sizes contain it.
    pub graph_bytes: u64,
    /// Number of instances, parked ones included. If there are more than `copies`, they share.
    pub instances: usize,
    /// Activations, results of running requests, and memory that arenas keep for the next request; `None` if the engine
    /// does not report it.
    pub arena_bytes: Option<u64>,
    /// Source of `arena_bytes`.
    pub arena_source: MemorySource,
    /// Inputs of waiting and running requests that nobody else holds; measured.
    pub requests_bytes: u64,
    /// Outputs of ended requests that callers still hold; measured. Not the model's memory: they are in
    /// the table's `in_flight_bytes`. `None` if they are not counted.
    pub in_flight_bytes: Option<u64>,
    /// Inputs prepared for the built-in load, which its requests share; measured.
    pub prepared_bytes: u64,
    /// The budget; `None` without one.
    pub limit_bytes: Option<u64>,
    /// The reason why the model is over its budget; `None` while it is not.
    #[serde(rename = "over_budget", alias = "over")]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// Returns the sum of its parts, which the budget limits.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MemoryTable {
    /// The resident set of this process, as reported by the kernel.
    pub process_bytes: u64,
    /// The resident set before the first model was loaded.
    pub baseline_bytes: u64,
    /// Files that became resident since: shared libraries, such as ONNX Runtime, and pages of the
    /// executable, including embedded models. Measured by the kernel.
    pub files_bytes: u64,
    /// ONNX Runtime without a model, estimated by the growth of the process while it started.
    #[serde(rename = "engine_start_bytes", alias = "engines_bytes")]
    pub engines_bytes: u64,
    /// Allocations of the program itself since then: latency windows, history, the console. Counted by
    /// the allocator; 0 if it does not count.
    pub program_bytes: u64,
    /// Outputs of ended requests that callers still hold, of all models and of removed ones. Measured; 0
    /// if they are not counted.
    pub in_flight_bytes: u64,
    /// Freed memory that the heap keeps resident for reuse: the kernel's size of the heap minus memory
    /// in use. Measured; 0 if the system does not report it.
    #[serde(rename = "free_heap_bytes", alias = "kept_bytes")]
    pub kept_bytes: u64,
    /// The models, in layout order.
    pub models: Vec<MemoryRow>,
    /// Loaded models that rows share, or could share; their sizes are contained in those of `models`.
    pub loaded: Vec<LoadedModelRow>,
    /// The sum of all parts.
    pub sum_bytes: u64,
    /// The remainder: stacks, page tables of libraries, blocks too small to be counted, and errors of
    /// estimates. Negative if parts were allocated but not touched yet, or estimated too high.
    pub unattributed_bytes: i64,
    /// The part of the remainder that is heap in use, by the statistics of the system's allocator; 0 if
    /// it has none.
    #[serde(rename = "unattributed_heap_bytes", alias = "stray_bytes")]
    pub stray_bytes: u64,
}

/// A part of the process's memory, for the screen and the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPart {
    /// Its name.
    pub name: &'static str,
    /// Its size in bytes; only the remainder can be negative.
    pub bytes: i64,
    /// Source of the size.
    pub source: MemorySource,
    /// A short explanation.
    pub note: &'static str,
}

impl MemoryTable {
    /// Returns the table with its sum and remainder filled in.
    #[must_use]
    pub fn summed(mut self) -> Self {
        let program = [
            self.baseline_bytes,
            self.files_bytes,
            self.engines_bytes,
            self.program_bytes,
            self.in_flight_bytes,
            self.kept_bytes,
        ];
        let models = self.models.iter().map(MemoryRow::total);
        self.sum_bytes = models.chain(program).fold(0, u64::saturating_add);
        self.unattributed_bytes =
            self.process_bytes.cast_signed().saturating_sub(self.sum_bytes.cast_signed());
        self
    }

    /// Returns the parts that are not models, in display order.
    pub fn parts(&self) -> [MemoryPart; 6] {
        use MemorySource::{Estimated, Measured};
        let part = |name, bytes: u64, source, note| {
            let bytes = bytes.cast_signed();
            MemoryPart { name, bytes, source, note }
        };
        [
            part(
                "divvy itself",
                self.baseline_bytes,
                Measured,
                "before the first model was loaded",
            ),
            part("libraries, files", self.files_bytes, Measured, "mapped since then"),
            part("engine start", self.engines_bytes, Estimated, "ONNX Runtime without a model"),
            part("divvy since then", self.program_bytes, Measured, "windows, history, console"),
            part("in flight", self.in_flight_bytes, Measured, "outputs that callers still hold"),
            part("free heap", self.kept_bytes, Measured, "kept for the next requests"),
        ]
    }

    /// Returns the remainder as a share of the resident set: negative if the sum is larger, 0 if the
    /// resident set is unknown.
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
    fn parts_add_up_to_the_resident_set() {
        let row = MemoryRow {
            weights_bytes: 47,
            graph_bytes: 3,
            arena_bytes: Some(20),
            requests_bytes: 3,
            prepared_bytes: 4,
            in_flight_bytes: Some(11),
            ..MemoryRow::default()
        };
        let other = MemoryRow { weights_bytes: 30, ..MemoryRow::default() };
        let table = MemoryTable {
            process_bytes: 200,
            baseline_bytes: 40,
            files_bytes: 10,
            engines_bytes: 5,
            program_bytes: 6,
            in_flight_bytes: 11,
            kept_bytes: 2,
            models: vec![row, other],
            ..MemoryTable::default()
        }
        .summed();
        assert_eq!((table.sum_bytes, table.unattributed_bytes), (181, 19));
        assert!((table.unattributed_share() - 0.095).abs() < 1e-9);
        let parts: i64 = table.parts().iter().map(|part| part.bytes).sum();
        assert_eq!(parts + 77 + 30, 181, "parts and models are the sum");
        let less = MemoryTable { process_bytes: 100, ..table }.summed();
        assert_eq!(less.unattributed_bytes, -81, "the remainder can be negative");
    }
}

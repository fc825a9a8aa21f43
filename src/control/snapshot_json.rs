//! Snapshots as JSON. The parts that are large and seldom read are left out unless a client asks for them.
//!
//! The structs have the fields of the snapshot's own types, so both forms are read by the same types. The
//! patterns list every field: a new one does not compile until it is written here.

use serde::Serialize;

use crate::engine::{EngineKind, EngineMemory};
use crate::layout::{Ledger, Row};
use crate::machine::{CpuSet, MemoryUse};
use crate::telemetry::{
    Actual, Alert, ChangeCounts, CoreView, GpuView, Histogram, JournalEntry, LoanView, MemoryTable,
    ModelState, ModelView, OtherProcesses, ProcessView, RequestCounts, ServerView, Snapshot,
    StateVersion, StopView, ThreadView, Window,
};

use std::collections::BTreeMap;
use std::sync::Arc;

/// The parts of a snapshot that are sent only on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SnapshotParts {
    /// The threads of each model.
    pub threads: bool,
    /// Each model's windows since the last change and since the start.
    pub windows: bool,
    /// Each model's latency histograms.
    pub histograms: bool,
    /// The memory of the process and of each model.
    pub memory: bool,
    /// The newest changes.
    pub journal: bool,
}

impl SnapshotParts {
    /// All parts.
    pub const ALL: Self =
        Self { threads: true, windows: true, histograms: true, memory: true, journal: true };

    /// The number of combinations.
    pub(super) const COMBINATIONS: usize = 32;

    /// Reads a list such as "threads,journal".
    ///
    /// # Errors
    /// A message that names the unknown part.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut parts = Self::default();
        for part in list.split(',').filter(|part| !part.is_empty()) {
            match part {
                "threads" => parts.threads = true,
                "windows" => parts.windows = true,
                "histograms" => parts.histograms = true,
                "memory" => parts.memory = true,
                "journal" => parts.journal = true,
                "all" => parts = Self::ALL,
                other => {
                    return Err(format!(
                        "`include` has no part `{other}`: use threads, windows, histograms, memory, \
                         journal or all"
                    ));
                }
            }
        }
        Ok(parts)
    }

    /// Returns the list that [`SnapshotParts::parse`] reads.
    pub fn list(self) -> String {
        let set = self.named().into_iter().filter(|(_, is_set)| *is_set);
        set.map(|(name, _)| name).collect::<Vec<_>>().join(",")
    }

    fn named(self) -> [(&'static str, bool); 5] {
        [
            ("threads", self.threads),
            ("windows", self.windows),
            ("histograms", self.histograms),
            ("memory", self.memory),
            ("journal", self.journal),
        ]
    }

    /// Returns the number of this combination, below [`SnapshotParts::COMBINATIONS`].
    pub(super) fn index(self) -> usize {
        let parts = self.named();
        parts.iter().fold(0, |index, (_, is_set)| index << 1 | usize::from(*is_set))
    }
}

/// Returns a snapshot as one line of JSON with its line break.
///
/// # Errors
/// An error if the snapshot cannot be written as JSON.
pub fn snapshot_json(snapshot: &Snapshot, parts: SnapshotParts) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(64 << 10);
    serde_json::to_writer(&mut line, &SnapshotForm::new(snapshot, parts))?;
    line.push(b'\n');
    Ok(line)
}

#[derive(Serialize)]
struct SnapshotForm<'s> {
    version: u32,
    sequence: u64,
    state_version: StateVersion,
    at_unix_ms: u64,
    uptime_us: u64,
    interval_us: u64,
    cores: &'s [CoreView],
    ledger: &'s Ledger,
    memory: &'s MemoryUse,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_table: Option<&'s MemoryTable>,
    process_cpu_cores: f64,
    models: Vec<ModelForm<'s>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    loans: &'s [LoanView],
    gpus: &'s GpuView,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<&'s OtherProcesses>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'s ServerView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'s [Arc<JournalEntry>]>,
    change_counts: &'s ChangeCounts,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stops: &'s [StopView],
    simulated: bool,
    alerts: &'s [Alert],
}

impl<'s> SnapshotForm<'s> {
    fn new(snapshot: &'s Snapshot, parts: SnapshotParts) -> Self {
        let Snapshot {
            version,
            sequence,
            state_version,
            at_unix_ms,
            uptime_us,
            interval_us,
            cores,
            ledger,
            memory,
            memory_table,
            process_cpu,
            models,
            loans,
            gpu,
            others,
            server,
            changes,
            change_counts,
            stops,
            simulated,
            alerts,
        } = snapshot;
        Self {
            version: *version,
            sequence: *sequence,
            state_version: *state_version,
            at_unix_ms: *at_unix_ms,
            uptime_us: *uptime_us,
            interval_us: *interval_us,
            cores,
            ledger,
            memory,
            memory_table: parts.memory.then_some(memory_table),
            process_cpu_cores: *process_cpu,
            models: models.iter().map(|model| ModelForm::new(model, parts)).collect(),
            loans,
            gpus: gpu,
            others: others.as_deref(),
            server: server.as_deref(),
            changes: parts.journal.then_some(changes),
            change_counts,
            stops,
            simulated: *simulated,
            alerts,
        }
    }
}

#[derive(Serialize)]
struct ModelForm<'s> {
    row: &'s Row,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'s ProcessView>,
    state: &'s ModelState,
    engine: Option<EngineKind>,
    engine_title: &'s str,
    actual: ActualForm<'s>,
    counts: &'s RequestCounts,
    last_second: &'s Window,
    last_minute: &'s Window,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_change: Option<&'s Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'s Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram_minute: Option<&'s Histogram>,
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram_second: Option<&'s Histogram>,
    guessed_dims: &'s BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untried: Option<&'s str>,
    cpu_cores: f64,
    cpu_total_us: u64,
    wait: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<&'s EngineMemory>,
    load: Option<&'s str>,
    offered_per_s: Option<f64>,
}

impl<'s> ModelForm<'s> {
    fn new(model: &'s ModelView, parts: SnapshotParts) -> Self {
        let ModelView {
            row,
            process,
            state,
            engine,
            engine_title,
            actual,
            counts,
            second,
            minute,
            since_change,
            run,
            histogram,
            histogram_second,
            latencies: _,
            guessed_dims,
            untried,
            cpu,
            cpu_total_us,
            wait,
            memory,
            load,
            offered_per_s,
        } = model;
        Self {
            row,
            process: process.as_deref(),
            state,
            engine: *engine,
            engine_title,
            actual: ActualForm::new(actual, parts),
            counts,
            last_second: second,
            last_minute: minute,
            since_change: parts.windows.then_some(since_change),
            run: parts.windows.then_some(run),
            histogram_minute: parts.histograms.then_some(histogram),
            histogram_second: parts.histograms.then_some(histogram_second),
            guessed_dims,
            untried: untried.as_deref(),
            cpu_cores: *cpu,
            cpu_total_us: *cpu_total_us,
            wait: *wait,
            memory: parts.memory.then_some(memory),
            load: load.as_deref(),
            offered_per_s: *offered_per_s,
        }
    }
}

#[derive(Serialize)]
struct ActualForm<'s> {
    cores: &'s CpuSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_cores: Option<&'s CpuSet>,
    active: usize,
    parked: usize,
    threads_per_instance: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<&'s [ThreadView]>,
    difference: Option<&'s str>,
}

impl<'s> ActualForm<'s> {
    fn new(actual: &'s Actual, parts: SnapshotParts) -> Self {
        let Actual {
            cores,
            effective_cores,
            active,
            parked,
            threads_per_instance,
            threads,
            difference,
        } = actual;
        Self {
            cores,
            effective_cores: effective_cores.as_ref(),
            active: *active,
            parked: *parked,
            threads_per_instance: *threads_per_instance,
            threads: parts.threads.then_some(threads),
            difference: difference.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A recorded snapshot, with the parts that most runs do not have.
    fn snapshot() -> Snapshot {
        let text = include_str!("../../tests/recordings/version-1.ndjson");
        let mut snapshot: Snapshot = serde_json::from_str(text).unwrap();
        snapshot.loans = vec![LoanView::default()];
        snapshot.server = Some(Arc::default());
        snapshot.stops = vec![StopView { uptime_us: 1, length_us: 2 }];
        snapshot.changes = vec![Arc::default()];
        snapshot.models[0].untried = Some("why".to_owned());
        snapshot.models[0].actual.effective_cores = Some(CpuSet::EMPTY);
        snapshot.models[0].actual.difference = Some("why".to_owned());
        snapshot
    }

    fn written(parts: SnapshotParts) -> Value {
        serde_json::from_slice(&snapshot_json(&snapshot(), parts).unwrap()).unwrap()
    }

    #[test]
    fn all_parts_are_the_snapshot() {
        assert_eq!(written(SnapshotParts::ALL), serde_json::to_value(snapshot()).unwrap());
    }

    #[test]
    fn unrequested_parts_are_left_out() {
        let mut rest = serde_json::to_value(snapshot()).unwrap();
        for part in ["changes", "memory_table"] {
            assert!(rest.as_object_mut().unwrap().remove(part).is_some(), "{part}");
        }
        for model in rest["models"].as_array_mut().unwrap() {
            let model = model.as_object_mut().unwrap();
            for part in ["since_change", "run", "histogram_minute", "histogram_second", "memory"] {
                assert!(model.remove(part).is_some(), "{part}");
            }
            model["actual"].as_object_mut().unwrap().remove("threads");
        }
        assert_eq!(written(SnapshotParts::default()), rest);
    }

    #[test]
    fn short_form_reads_as_a_snapshot() {
        let line = snapshot_json(&snapshot(), SnapshotParts::default()).unwrap();
        let read: Snapshot = serde_json::from_slice(&line).unwrap();
        assert_eq!(read.models.len(), snapshot().models.len());
        assert!(read.changes.is_empty() && read.models[0].actual.threads.is_empty());
        assert_eq!(read.models[0].minute, snapshot().models[0].minute);
    }

    #[test]
    fn parts_are_read_as_written() {
        for index in 0..SnapshotParts::COMBINATIONS {
            let parts = SnapshotParts {
                threads: index & 16 > 0,
                windows: index & 8 > 0,
                histograms: index & 4 > 0,
                memory: index & 2 > 0,
                journal: index & 1 > 0,
            };
            assert_eq!(parts.index(), index);
            assert_eq!(SnapshotParts::parse(&parts.list()), Ok(parts));
        }
        assert_eq!(SnapshotParts::parse("all"), Ok(SnapshotParts::ALL));
        assert!(SnapshotParts::parse("thread").unwrap_err().contains("`thread`"));
    }
}

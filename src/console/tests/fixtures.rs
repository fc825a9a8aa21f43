//! Made-up snapshots for tests: deterministic, and consistent with their layouts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::process_fixtures;
use crate::engine::{EngineKind, EngineMemory, MemorySource};
use crate::layout::{
    Budget, Bytes, Change, CoreOwner, CoreRequest, CoreSelection, DesiredState, Edit, GpuId,
    Layout, ModelSource, QueuePolicy, Row, Slo,
};
use crate::machine::{CoreId, CpuSet, Description, MemoryUse, ThreadId, Topology};
use crate::telemetry::{
    Actual, Author, ChangeCounts, ChangeStatus, Comparison, CoreShare, CoreView, Distribution,
    GpuDevice, GpuView, Histogram, JournalEntry, Latencies, LoadedModelRow, MemoryRow, MemoryTable,
    Metric, MigDevice, ModelState, ModelView, RequestCounts, Snapshot, StateVersion, ThreadView,
    Verdict, VerdictStatus, Window,
};

/// Returns a machine of `count` cores, `group` per cache, with four caches per node.
pub(crate) fn machine(count: usize, group: u32) -> Description {
    let mut machine = Description::uniform(count);
    for core in &mut machine.topology.cores {
        let cache = u32::from(core.id.0) / group;
        core.l3 = Some(cache);
        core.node = (cache / 4) as u16;
        core.package = core.node;
    }
    machine.simulated = false;
    machine
}

pub(crate) fn budget(name: &str, cores: usize, slo_ms: u64) -> Budget {
    let mut budget = Budget::new(name, ModelSource::File(PathBuf::from(format!("/{name}.onnx"))));
    budget.cores = CoreRequest::Count(cores);
    budget.queue = QueuePolicy { limit: 64, ..QueuePolicy::default() };
    budget.slo =
        (slo_ms > 0).then(|| Slo { percentile: 99.0, bound: Duration::from_millis(slo_ms) });
    budget
}

/// Returns the layout of the picture in the design: 8 cores, one of them free.
pub(crate) fn layout() -> Layout {
    Layout {
        description: "detector first, the rest share".into(),
        models: vec![budget("detector", 4, 20), budget("ocr", 2, 200), budget("embedder", 1, 25)],
    }
}

/// Returns deterministic noise.
fn noise(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ seed;
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1u64 << 24) as f64
}

/// Returns a histogram around a median with a tail to the right. `queue` is the queue's share at
/// the end.
fn histogram(median_us: u64, requests: u64, queue: f64) -> Histogram {
    let middle = ((median_us as f64).log2() * 8.0) as usize;
    let first = middle - 6;
    let mut histogram = Histogram { first, ..Histogram::default() };
    for offset in 0..26 {
        let distance = offset as f64 - 6.0;
        let spread = if distance < 0.0 { 2.2 } else { 5.0 };
        let share = (-(distance / spread).powi(2)).exp();
        let count = (share * requests as f64 / 11.0) as u64;
        let us = ((first + offset) as f64 / 8.0).exp2() as u64;
        let waiting = queue * offset as f64 / 26.0;
        histogram.total.push(count);
        histogram.queue_us.push((count as f64 * us as f64 * waiting) as u64);
        histogram.compute_us.push((count as f64 * us as f64 * (1.0 - waiting)) as u64);
    }
    histogram
}

fn window(median_us: u64, per_s: f64, span_s: u64) -> Window {
    let total = Distribution {
        count: (per_s * span_s as f64) as u64,
        mean_us: median_us as f64 * 1.1,
        p50_us: median_us,
        p90_us: median_us * 16 / 10,
        p99_us: median_us * 23 / 10,
        p999_us: median_us * 29 / 10,
        max_us: median_us * 34 / 10,
    };
    let part = |share: f64| Distribution {
        p50_us: (total.p50_us as f64 * share) as u64,
        p90_us: (total.p90_us as f64 * share) as u64,
        p99_us: (total.p99_us as f64 * share) as u64,
        p999_us: (total.p999_us as f64 * share) as u64,
        max_us: (total.max_us as f64 * share) as u64,
        mean_us: total.mean_us * share,
        ..total
    };
    Window {
        span_us: span_s * 1_000_000,
        completed_per_s: per_s,
        goodput_per_s: Some(per_s * 0.97),
        lost_per_s: 0.0,
        slo_us: Some(total.p99_us),
        queue: part(0.25),
        compute: part(0.75),
        total,
    }
}

fn view(index: usize, row: &Row) -> ModelView {
    let median = [6_100, 98_000, 3_200, 1_400, 22_000][index % 5];
    let per_s = [412.0, 18.3, 35.0, 820.5, 60.0][index % 5];
    let queued = [4, 31, 0, 0, 2][index % 5];
    let executing = row.concurrency.min([3, 1, 0, 1, 2][index % 5]) as u64;
    let completed = 100_000 + 7 * index as u64;
    let threads = (0..row.concurrency)
        .map(|instance| ThreadView {
            id: ThreadId::of_tid(i32::try_from(4000 + index * 100 + instance).unwrap()),
            instance,
            helper: false,
            allowed: row.cores,
            nice: Some(0),
            last_core: row.cores.iter().nth(instance % row.cores.len().max(1)),
            cpu: 0.8,
            wait: Some(0.02),
        })
        .collect();
    ModelView {
        row: row.clone(),
        process: None,
        state: if row.concurrency == 0 { ModelState::Paused } else { ModelState::Running },
        engine: Some(EngineKind::OnnxRuntime),
        engine_title: "ONNX Runtime 1.32.0".into(),
        actual: Actual {
            cores: row.cores,
            effective_cores: None,
            active: row.concurrency,
            parked: 0,
            threads_per_instance: row.threads,
            threads,
            difference: None,
        },
        counts: RequestCounts {
            submitted: completed + queued + executing,
            queued,
            executing,
            completed,
            ..RequestCounts::default()
        },
        second: window(median, per_s, 1),
        minute: window(median, per_s, 60),
        since_change: window(median, per_s, 31),
        run: window(median, per_s, 751),
        histogram: histogram(median, (per_s * 60.0) as u64, 0.7),
        histogram_second: histogram(median, per_s as u64, 0.7),
        latencies: Latencies::default(),
        guessed_dims: BTreeMap::new(),
        untried: None,
        cpu: 0.85 * row.cores.len() as f64,
        cpu_total_us: 0,
        wait: Some(0.04),
        memory: EngineMemory {
            weights: (30 + 17 * index as u64) << 20,
            copies: 1,
            arena: Some(5 << 20),
            in_flight: Some(3 << 19),
            ..EngineMemory::default()
        },
        load: Some("closed, 4 clients".into()),
        offered_per_s: Some(per_s),
    }
}

/// A loaded model that all rows but the first share, if there are three rows.
fn shared_models(desired: &DesiredState) -> Vec<LoadedModelRow> {
    let models: Vec<String> = desired
        .rows
        .iter()
        .skip(1)
        .filter(|row| !row.budget.is_process())
        .map(|row| row.budget.name.clone())
        .collect();
    let shared = LoadedModelRow {
        file: "ranker.onnx".to_owned(),
        weights_bytes: 44 << 20,
        graph_bytes: 2 << 20,
        models,
        ..LoadedModelRow::default()
    };
    Some(shared).filter(|shared| shared.models.len() > 1).into_iter().collect()
}

/// A snapshot of a desired state as if it were in force.
/// A table in which the second model is above its budget and the first one's weights are a guess.
fn memory_table(desired: &DesiredState) -> MemoryTable {
    const MIB: u64 = 1 << 20;
    let row = |(index, row): (usize, &Row)| MemoryRow {
        model: row.budget.name.clone(),
        weights_bytes: [30, 61, 18, 4, 12][index % 5] * MIB,
        weights_source: if index == 0 { MemorySource::Estimated } else { MemorySource::Measured },
        copies: 1,
        graph_bytes: [2, 9, 1, 1, 3][index % 5] * MIB,
        instances: row.concurrency.max(1),
        arena_bytes: Some([5, 40, 3, 1, 6][index % 5] * MIB),
        arena_source: MemorySource::Measured,
        requests_bytes: (index as u64 + 1) * MIB / 2,
        in_flight_bytes: Some(MIB / 4),
        prepared_bytes: MIB,
        limit_bytes: (index == 1).then_some(100 * MIB),
        not_shared: (index == 0).then(|| "this row has 4 threads".to_owned()),
        over: (index == 1).then(|| "its arena keeps 40M for the largest request so far".to_owned()),
        ..MemoryRow::default()
    };
    let rows = desired.rows.iter().enumerate().filter(|(_, row)| !row.budget.is_process());
    let models: Vec<MemoryRow> = rows.map(row).collect();
    let sum: u64 = models.iter().map(MemoryRow::total).sum();
    MemoryTable {
        process_bytes: sum + 55 * MIB,
        baseline_bytes: 10 * MIB,
        files_bytes: 25 * MIB,
        engines_bytes: 3 * MIB,
        stray_bytes: 2 * MIB,
        program_bytes: 5 * MIB,
        kept_bytes: 8 * MIB,
        in_flight_bytes: models.len() as u64 * MIB / 4,
        loaded: shared_models(desired),
        models,
        ..MemoryTable::default()
    }
    .summed()
}

pub(crate) fn snapshot(desired: &DesiredState, machine: &Description) -> Snapshot {
    let models: Vec<ModelView> =
        desired.rows.iter().enumerate().map(|(index, row)| view(index, row)).collect();
    let models: Vec<ModelView> = models.into_iter().map(process_fixtures::adapted).collect();
    let ledger = desired.ledger(machine);
    let cores = machine.topology.cores.iter().map(|core| {
        let owners: Vec<usize> =
            (0..models.len()).filter(|index| models[*index].row.cores.contains(core.id)).collect();
        let busy = match owners.len() {
            0 => 0.01,
            1 => 0.45 + 0.5 * noise(u64::from(core.id.0)),
            _ => 0.99,
        };
        CoreView {
            core: core.clone(),
            allowed: machine.limits.allowed.contains(core.id),
            reserved: ledger.reserved.contains(core.id),
            busy,
            by_model: owners
                .first()
                .map(|first| CoreShare { model: *first, share: busy * 0.95 })
                .into_iter()
                .collect(),
            others: busy * 0.05,
            wait: Some(if owners.len() > 1 {
                0.31
            } else {
                0.02 * noise(u64::from(core.id.0) + 9)
            }),
            owners,
        }
    });
    Snapshot {
        others: process_fixtures::others_beside(desired),
        memory_table: memory_table(desired),
        version: Snapshot::VERSION,
        sequence: 1502,
        state_version: StateVersion::default(),
        at_unix_ms: 1_769_949_067_000,
        uptime_us: 751_000_000,
        interval_us: 500_000,
        cores: cores.collect(),
        ledger,
        memory: MemoryUse { total: 32 << 30, used: 11 << 30, process: 417 << 20 },
        process_cpu: 6.2,
        models,
        loans: Vec::new(),
        gpu: GpuView { note: Some("no NVIDIA GPU".into()), ..GpuView::default() },
        server: None,
        changes: Vec::new(),
        change_counts: ChangeCounts::default(),
        stops: Vec::new(),
        simulated: false,
        alerts: Vec::new(),
    }
}

/// The design's picture, with two changes behind it.
pub(crate) fn board() -> Snapshot {
    let machine = machine(8, 4);
    let desired = DesiredState::resolve(&layout(), &machine).unwrap();
    let mut snapshot = snapshot(&desired, &machine);
    snapshot.changes = [entry(1, VerdictStatus::Done, 690), entry(2, VerdictStatus::Open, 742)]
        .map(Arc::new)
        .into();
    snapshot
}

pub(crate) fn entry(id: u64, status: VerdictStatus, second: u64) -> JournalEntry {
    let comparison = |metric, before: f64, after: f64, clear| Comparison {
        metric,
        before,
        after,
        change: after / before - 1.0,
        low: after / before - 1.1,
        high: after / before - 0.9,
        clear,
    };
    let verdict = |model: &str, before, after| Verdict {
        model: model.into(),
        status,
        samples_before: 12_360,
        samples_after: 12_411,
        counted: crate::telemetry::SampleKind::default(),
        comparisons: vec![
            comparison(Metric::P50, 6_200.0, 6_100.0, false),
            comparison(Metric::P99, before, after, true),
        ],
    };
    let edit = Edit::TransferCores {
        cores: CoreSelection::These(CpuSet::single(CoreId(3))),
        from: CoreOwner::Model("ocr".into()),
        to: CoreOwner::Model("detector".into()),
        share: false,
    };
    JournalEntry {
        id,
        at_unix_ms: 1_769_949_067_000 - (751 - second) * 1000,
        uptime_us: second * 1_000_000,
        author: Author::Console,
        change: Change::from(edit),
        summary: "core 3 ocr -> detector".into(),
        warnings: Vec::new(),
        models: vec!["ocr".into(), "detector".into()],
        force_us: 41,
        status: ChangeStatus::InForce,
        built_us: None,
        undone: false,
        undoes: None,
        redoes: None,
        verdicts: vec![
            verdict("detector", 21_000.0, 14_200.0),
            verdict("ocr", 180_000.0, 240_000.0),
        ],
    }
}

/// Returns a snapshot in which every model is loading.
pub(crate) fn loading() -> Snapshot {
    let mut snapshot = board();
    snapshot.changes.clear();
    for view in &mut snapshot.models {
        view.state = ModelState::Loading;
        view.counts = RequestCounts::default();
        for window in [&mut view.second, &mut view.minute, &mut view.since_change, &mut view.run] {
            *window = Window::default();
        }
        view.histogram = Histogram::default();
        view.histogram_second = Histogram::default();
        view.actual = Actual::default();
    }
    snapshot
}

/// Returns a snapshot with three models, one of which failed to load.
pub(crate) fn failed() -> Snapshot {
    let mut snapshot = board();
    snapshot.models[1].state = ModelState::Failed {
        reason: "the embedded engine lacks the operator GridSample: `divvy runtime install` gets ONNX Runtime".into(),
    };
    snapshot.models[1].minute = Window::default();
    snapshot
}

/// Two models share cores with more threads than there are cores, inside a quota.
pub(crate) fn oversubscribed() -> Snapshot {
    let machine = machine(4, 4);
    let mut layout = layout();
    layout.models.truncate(2);
    for budget in &mut layout.models {
        budget.cores = CoreRequest::List(CpuSet::first(3));
    }
    let desired = DesiredState::resolve(&layout, &machine).unwrap();
    let mut snapshot = snapshot(&desired, &machine);
    snapshot.ledger.quota = Some(2.5);
    snapshot.alerts = vec![crate::telemetry::Alert {
        model: Some("ocr".into()),
        text: "ocr waits for a CPU 31 % of the time: 6 threads on 3 cores".into(),
    }];
    snapshot
}

/// 192 cores and 64 models.
pub(crate) fn huge() -> Snapshot {
    let machine = machine(192, 16);
    let models = (0..64).map(|index| budget(&format!("model-{index:02}-of-a-large-box"), 2, 50));
    let layout = Layout { description: String::new(), models: models.collect() };
    snapshot(&DesiredState::resolve(&layout, &machine).unwrap(), &machine)
}

/// 208 cores and 200 models.
pub(crate) fn many() -> Snapshot {
    let machine = machine(208, 16);
    let models = (0..200).map(|index| budget(&format!("m{index:03}"), 1, 50));
    let layout = Layout { description: String::new(), models: models.collect() };
    snapshot(&DesiredState::resolve(&layout, &machine).unwrap(), &machine)
}

/// Returns a snapshot with names that are hard to align: wide, combining, long or similar.
pub(crate) fn names() -> Snapshot {
    let machine = machine(8, 8);
    let long = "a-name-of-sixty-characters-that-somebody-thought-was-helpful";
    let models = ["検出器モデル", "re\u{301}sume\u{301}", long, "a-name-too", "👩\u{200d}💻 code"]
        .iter()
        .map(|name| budget(name, 1, 100))
        .collect();
    let layout = Layout { description: String::new(), models };
    snapshot(&DesiredState::resolve(&layout, &machine).unwrap(), &machine)
}

/// Returns a snapshot with two GPUs, one with MIG devices and throttled, the other lost, and a slow
/// driver.
pub(crate) fn gpus() -> Snapshot {
    let part = |index, profile: &str, used_gib: u64| MigDevice {
        index,
        name: format!("NVIDIA H100 80GB HBM3 MIG {profile}"),
        memory_used_bytes: Some(used_gib << 30),
        memory_total_bytes: Some(10 << 30),
        ..MigDevice::default()
    };
    let broken = MigDevice { fault: Some("cannot be read".into()), ..part(1, "1g.10gb", 0) };
    let whole = GpuDevice {
        name: "NVIDIA H100 80GB HBM3".into(),
        utilisation: Some(0.73),
        memory_used_bytes: Some(31 << 30),
        memory_total_bytes: Some(80 << 30),
        power_w: Some(412.4),
        power_limit_w: Some(700.0),
        sm_clock_mhz: Some(1980),
        memory_clock_mhz: Some(2619),
        processes: Some(1),
        temperature_c: Some(67),
        throttle: Some(vec!["power limit".into()]),
        mig_enabled: Some(true),
        mig: vec![part(0, "1g.10gb", 3), broken],
        ..GpuDevice::default()
    };
    let lost = GpuDevice {
        index: 1,
        name: "NVIDIA L4".into(),
        fault: Some("fell off the bus: the driver has lost it".into()),
        ..GpuDevice::default()
    };
    let slow = Some("the driver took 2.3 s to answer; figures may be old".into());
    let gpu = GpuView { slow, devices: vec![whole, lost], ..GpuView::default() };
    Snapshot { gpu, ..board() }
}

/// Returns a snapshot with two GPUs. The detector runs on the first, with a memory limit.
pub(crate) fn two_gpus() -> Snapshot {
    let gpu = |index, name: &str, gibibytes: u64| GpuDevice {
        index,
        name: name.into(),
        uuid: format!("GPU-0000000{index}-0123-4567-89ab-cdef01234567"),
        utilisation: Some(0.37),
        memory_used_bytes: Some(2 << 30),
        memory_total_bytes: Some(gibibytes << 30),
        power_w: Some(61.0),
        temperature_c: Some(54),
        ..GpuDevice::default()
    };
    let own = GpuDevice { own_memory_bytes: Some(1600 << 20), ..gpu(0, "NVIDIA L4", 24) };
    let gpu = GpuView { devices: vec![own, gpu(1, "NVIDIA T4", 16)], ..GpuView::default() };
    let mut snapshot = Snapshot { gpu, ..board() };
    if let Some(detector) = snapshot.models.first_mut() {
        detector.row.budget.gpu = Some(GpuId::Index(0));
        detector.row.budget.gpu_memory = Some(Bytes(4 << 30));
        detector.memory.gpu = Some(1229 << 20);
    }
    snapshot
}

/// Returns a snapshot without models or GPU readings.
pub(crate) fn empty() -> Snapshot {
    let machine = Description { topology: Topology::default(), ..Description::uniform(2) };
    Snapshot { cores: Vec::new(), ..snapshot(&DesiredState::default(), &machine) }
}

//! Made-up rows of processes, and made-up processes of no row.

use std::sync::Arc;
use std::time::Duration;

use super::fixtures::{self, budget};
use crate::engine::EngineMemory;
use crate::layout::{
    Budget, Bytes, CoreRequest, DesiredState, Layout, ProcessSelector, ProcessSource, Slo,
};
use crate::machine::{CoreId, ThreadId};
use crate::telemetry::{
    Actual, BandwidthView, Histogram, ModelState, ModelView, OtherProcess, OtherProcesses,
    ProcessEntry, ProcessState, ProcessView, ReportedRequests, RequestCounts, Snapshot, ThreadView,
    Window,
};

const MIB: u64 = 1 << 20;

/// Returns a row of the processes with this executable.
pub(super) fn process(name: &str, exe: &str, cores: usize) -> Budget {
    let mut budget = Budget::new(name, ProcessSource::new(ProcessSelector::Exe(exe.into())));
    if cores > 0 {
        budget.cores = CoreRequest::Count(cores);
    }
    budget
}

/// Returns a layout of 8 cores, one of them free: a model and three rows of processes, of which the last
/// has no cores.
pub(super) fn layout() -> Layout {
    let mut redis = process("redis", "redis-server", 2);
    redis.weight = 2;
    redis.memory = Some(Bytes(512 * MIB));
    let mut triton = process("triton", "tritonserver", 1);
    triton.slo = Some(Slo { percentile: 99.0, bound: Duration::from_millis(30) });
    let postgres = process("postgres", "postgres", 0);
    let models = vec![budget("detector", 4, 20), redis, triton, postgres];
    Layout { description: "a detector beside a database".into(), models }
}

/// Turns the view of a row of processes from that of a model; leaves a model's view as it is. A row named
/// "postgres" is of another user's processes.
pub(super) fn adapted(view: ModelView) -> ModelView {
    if view.row.budget.is_process() { process_view(&view) } else { view }
}

fn process_view(view: &ModelView) -> ModelView {
    let row = &view.row;
    let name = row.budget.name.as_str();
    let (count, threads, cpu) = match name {
        "redis" => (1, 5, 1.62),
        "triton" => (2, 64, 0.93),
        _ => (9, 9, 0.08),
    };
    let entry = |at: usize| ProcessEntry {
        pid: i32::try_from(4711 + at).unwrap(),
        parent: 1,
        command: format!("/usr/bin/{name} --port {}", 7000 + at),
        user: name.to_owned(),
        threads: threads / count,
        cpu: cpu / count as f64,
        rss_bytes: 84 * MIB / count as u64,
    };
    let thread = |at: usize| ThreadView {
        id: ThreadId::of_tid(i32::try_from(4711 + at).unwrap()),
        instance: 0,
        helper: false,
        allowed: row.cores,
        nice: Some(0),
        last_core: row.cores.iter().next(),
        cpu: cpu / 2.0,
        wait: Some(0.03),
    };
    let mut process = ProcessView {
        selector: row.budget.source.process().unwrap().description(),
        state: ProcessState::Running,
        process_count: count,
        thread_count: threads,
        processes: (0..count).map(entry).collect(),
        cores_by: "affinity of each thread".into(),
        weight_by: "nice value of autogroup 214".into(),
        rss_bytes: 84 * MIB,
        pss_bytes: Some(61 * MIB),
        started_unix_ms: Some(1_769_940_000_000),
        runnable: 1.4,
        bandwidth: BandwidthView {
            missing: Some("resctrl is not mounted".into()),
            ..BandwidthView::default()
        },
        ..ProcessView::default()
    };
    if name == "triton" {
        process.requests = Some(reported());
    }
    if name == "postgres" {
        process.read_only = Some(
            "process 4711 belongs to user postgres: run divvy as that user or with CAP_SYS_NICE"
                .into(),
        );
    }
    let threads = if row.cores.is_empty() { 0 } else { 2 };
    let cores = if row.cores.is_empty() { "0-7".parse().unwrap() } else { row.cores };
    ModelView {
        row: row.clone(),
        process: Some(Arc::new(process)),
        state: ModelState::Running,
        actual: Actual { cores, threads: (0..threads).map(thread).collect(), ..Actual::default() },
        cpu,
        cpu_total_us: 754_000_000,
        wait: Some(0.04),
        engine: None,
        engine_title: String::new(),
        counts: RequestCounts::default(),
        second: Window::default(),
        minute: Window::default(),
        since_change: Window::default(),
        run: Window::default(),
        histogram: Histogram::default(),
        histogram_second: Histogram::default(),
        memory: EngineMemory::default(),
        load: None,
        offered_per_s: None,
        ..view.clone()
    }
}

/// Returns the requests that Triton reports.
fn reported() -> ReportedRequests {
    ReportedRequests {
        source: "Triton, summary".into(),
        per_s: Some(118.4),
        failed_per_s: Some(0.0),
        mean_us: Some(7_900.0),
        p50_us: Some(7_200.0),
        p99_us: Some(21_400.0),
        slo_us: Some(21_400.0),
        resolution: "as the page gives them".into(),
        span_us: 30_000_000,
        fault: None,
    }
}

/// Returns the processes of no row, if the layout has a row of processes.
pub(super) fn others_beside(desired: &DesiredState) -> Option<Arc<OtherProcesses>> {
    desired.rows.iter().any(|row| row.budget.is_process()).then(|| Arc::new(others()))
}

/// Returns six processes of no row.
fn others() -> OtherProcesses {
    let other = |pid, exe: &str, command: &str, cpu| OtherProcess {
        process: ProcessEntry {
            pid,
            parent: 1,
            command: command.to_owned(),
            user: "root".into(),
            threads: 12,
            cpu,
            rss_bytes: 48 * MIB,
        },
        exe: exe.to_owned(),
        refused: None,
        on_reserved: false,
    };
    let mut busiest = vec![
        other(812, "dockerd", "/usr/bin/dockerd -H fd://", 0.41),
        other(9001, "python3", "python3 train.py --epochs 40", 0.12),
        other(9002, "python3", "python3 -m http.server 8080", 0.11),
        other(2, "kthreadd", "[kthreadd]", 0.03),
        other(1, "systemd", "/sbin/init", 0.01),
        other(640, "nginx", "nginx: worker process", 0.01),
    ];
    busiest[0].on_reserved = true;
    busiest[3].refused = Some("it is a kernel thread".into());
    busiest[4].refused = Some("it is the first process of the system".into());
    OtherProcesses { cpu: 0.7, busiest }
}

/// Returns the board of [`layout`].
pub(super) fn board() -> Snapshot {
    let machine = fixtures::machine(8, 4);
    fixtures::snapshot(&DesiredState::resolve(&layout(), &machine).unwrap(), &machine)
}

/// Returns a board with a row in every state.
pub(super) fn states() -> Snapshot {
    let machine = fixtures::machine(8, 4);
    let mut models = layout().models;
    models.extend([
        process("vllm", "vllm", 0),
        process("worker", "worker", 1),
        process("job", "job", 0),
        process("crowd", "python3", 0),
    ]);
    let layout = Layout { description: String::new(), models };
    let desired = DesiredState::resolve(&layout, &machine).unwrap();
    let mut snapshot = fixtures::snapshot(&desired, &machine);
    let ended = "exit code 1".to_owned();
    let states = [
        ("vllm", ModelState::Absent, ProcessState::Absent),
        (
            "worker",
            failed("ended with exit code 1"),
            ProcessState::Restarting { ended: ended.clone(), wait_ms: 3_400 },
        ),
        ("job", failed("ended with exit code 1"), ProcessState::Ended { ended }),
        (
            "crowd",
            failed("too many"),
            ProcessState::Failed {
                reason: "47 processes match, and a row takes at most 32: narrow it with `where`"
                    .into(),
            },
        ),
    ];
    for (name, state, process_state) in states {
        let view = snapshot.models.iter_mut().find(|view| view.row.budget.name == name).unwrap();
        view.state = state;
        view.cpu = 0.0;
        let selector = view.process.as_ref().unwrap().selector.clone();
        view.actual = Actual::default();
        let process = ProcessView { selector, state: process_state, ..ProcessView::default() };
        view.process = Some(Arc::new(process));
    }
    let redis = &mut snapshot.models[1];
    redis.actual.difference = Some("thread 4712 may run on cores 0-7".into());
    redis.actual.threads[1].allowed = (0..8).map(CoreId).collect();
    snapshot
}

fn failed(reason: &str) -> ModelState {
    ModelState::Failed { reason: reason.to_owned() }
}

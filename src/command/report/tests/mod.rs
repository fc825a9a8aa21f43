//! Reports of hand-made snapshots, and the loop on a clock that stands still until it is waited for.

use std::future::{pending, ready};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::headless::report;
use super::*;
use crate::command::CommandError;
use crate::engine::{EngineKind, EngineMemory};
use crate::layout::{
    Budget, Change, Layout, Ledger, LoadSpec, ModelSource, Plan, Refusal, Row, Slo,
};
use crate::machine::{CpuSet, MemoryUse};
use crate::scheduler::Control;
use crate::telemetry::{
    Actual, Alert, Applied, Author, Counts, Distribution, Entry, Histogram, Latencies, ModelState,
    ModelView, Snapshot, Window,
};

fn distribution(count: u64, p50_us: u64) -> Distribution {
    Distribution {
        count,
        mean_us: p50_us as f64,
        p50_us,
        p90_us: p50_us * 2,
        p99_us: p50_us * 3,
        p999_us: p50_us * 4,
        max_us: p50_us * 5,
    }
}

fn window(span_us: u64, count: u64, p50_us: u64) -> Window {
    Window {
        span_us,
        completed_per_s: count as f64 / (span_us as f64 / 1e6),
        slo_us: Some(p50_us * 3),
        total: distribution(count, p50_us),
        ..Window::default()
    }
}

fn model(name: &str, cores: &str, p50_us: u64) -> ModelView {
    let mut budget = Budget::new(name, ModelSource::File(format!("{name}.onnx").into()));
    budget.load = Some(LoadSpec::Poisson { rate: 400.0 });
    let cores: CpuSet = cores.parse().unwrap();
    ModelView {
        actual: Actual { cores, active: 2, ..Actual::default() },
        row: Row { budget, cores, threads: 1, concurrency: 2, generation: 1, id: 1 },
        state: ModelState::Running,
        engine: Some(EngineKind::Rten),
        engine_title: "rten 0.27".to_owned(),
        counts: Counts {
            submitted: 12_345,
            queued: 4,
            executing: 2,
            completed: 12_300,
            rejected: 30,
            timed_out: 8,
            failed: 1,
            ..Counts::default()
        },
        second: window(1_000_000, 412, p50_us),
        minute: window(60_000_000, 12_300, p50_us),
        since_change: Window::default(),
        run: window(30_000_000, 12_300, p50_us),
        histogram: Histogram::default(),
        histogram_second: Histogram::default(),
        latencies: Latencies::default(),
        cpu: 1.87,
        wait: Some(0.034),
        memory: EngineMemory {
            weights: 80 << 20,
            copies: 1,
            arena: Some(4 << 20),
            ..EngineMemory::default()
        },
        load: Some("poisson 400/s".to_owned()),
        offered_per_s: Some(400.0),
    }
}

fn snapshot(models: Vec<ModelView>) -> Snapshot {
    Snapshot {
        version: Snapshot::VERSION,
        uptime_us: 30_400_000,
        interval_us: 1_000_000,
        ledger: Ledger {
            allowed: CpuSet::first(8),
            allotted: CpuSet::first(5),
            free: "5-7".parse().unwrap(),
            ..Ledger::default()
        },
        memory: MemoryUse { total: 32 << 30, used: 3 << 30, process: 240 << 20 },
        models,
        ..Snapshot::default()
    }
}

/// Two models that differ in everything that a report shows.
fn two() -> Snapshot {
    let mut detector = model("detector", "0-3", 6_100);
    detector.row.budget.slo = Some(Slo { percentile: 99.0, bound: Duration::from_millis(20) });
    let mut ocr = model("ocr-with-a-name-that-goes-on-and-on-for-fifty-two-letters", "4", 98_000);
    ocr.row.budget.slo = Some(Slo { percentile: 99.0, bound: Duration::from_millis(200) });
    ocr.state = ModelState::Warming { ready: 1, total: 3 };
    ocr.actual.active = 1;
    ocr.wait = None;
    ocr.memory.arena = None;
    ocr.load = None;
    snapshot(vec![detector, ocr])
}

fn failed(name: &str) -> ModelView {
    let mut view = model(name, "", 0);
    view.state = ModelState::Failed { reason: "rten lacks the operator NonZero".to_owned() };
    view.counts = Counts::default();
    view.second = Window::default();
    view.run = Window::default();
    view.load = None;
    view
}

fn loading(name: &str) -> ModelView {
    ModelView { state: ModelState::Loading, ..model(name, "0", 0) }
}

#[test]
fn an_interval_is_a_line_a_model_under_aligned_titles() {
    let snapshot = two();
    insta::assert_snapshot!(header_line(&snapshot) + &interval_line(&snapshot));
}

#[test]
fn a_run_ends_with_a_table_and_an_account_of_all_requests() {
    let mut snapshot = two();
    snapshot.models.push(failed("speech"));
    insta::assert_snapshot!(summary(&snapshot));
}

#[test]
fn counts_that_do_not_add_up_are_not_hidden() {
    let mut snapshot = two();
    snapshot.models[0].counts.submitted += 1;
    assert!(summary(&snapshot).contains("COUNTS DO NOT ADD UP for detector:"));
    assert!(!summary(&snapshot).contains("none lost"));
}

#[test]
fn an_empty_layout_has_a_summary_too() {
    assert!(summary(&snapshot(Vec::new())).ends_with("no models\n"));
    assert_eq!(interval_line(&snapshot(Vec::new())), "");
}

#[test]
fn progress_says_each_thing_once() {
    let mut words = Progress::default();
    assert!(words.lines(&Snapshot::default()).is_empty(), "nothing is published yet");
    let first = snapshot(vec![loading("detector"), loading("ocr")]);
    assert_eq!(words.lines(&first), ["loading detector, ocr … 0/2"]);
    assert!(words.lines(&first).is_empty());
    let second = snapshot(vec![model("detector", "0", 1), loading("ocr")]);
    assert_eq!(words.lines(&second), ["loading ocr … 1/2"]);
    let mut third = snapshot(vec![model("detector", "0", 1), failed("ocr")]);
    let expected =
        ["ocr failed: rten lacks the operator NonZero", "1 of 2 models ready after 30.4 s"];
    assert_eq!(words.lines(&third), expected);
    let text = "queue is full: 64 of 64".to_owned();
    third.alerts.push(Alert { model: Some("detector".to_owned()), text });
    assert_eq!(words.lines(&third), ["detector: queue is full: 64 of 64"]);
    third.alerts[0].text = "queue is full: 63 of 64".to_owned();
    assert!(words.lines(&third).is_empty(), "the same alert with another figure");
    third.alerts[0].text = "detector misses its target".to_owned();
    assert_eq!(words.lines(&third), ["detector misses its target"]);
}

/// A scheduler of which only the snapshots are asked.
struct Published {
    sender: Option<watch::Sender<Arc<Snapshot>>>,
    receiver: watch::Receiver<Arc<Snapshot>>,
}

impl Published {
    fn new(snapshot: Snapshot) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(snapshot));
        Self { sender: Some(sender), receiver }
    }

    fn publish(&self, snapshot: Snapshot) {
        self.sender.as_ref().unwrap().send_replace(Arc::new(snapshot));
    }
}

impl Control for Published {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.receiver.clone()
    }
    fn plan(&self, _: &Change) -> Result<Plan, Refusal> {
        unreachable!()
    }
    fn apply(&self, _: Change, _: Author) -> Result<Applied, Refusal> {
        unreachable!()
    }
    fn undo(&self, _: Author) -> Result<Applied, Refusal> {
        unreachable!()
    }
    fn redo(&self, _: Author) -> Result<Applied, Refusal> {
        unreachable!()
    }
    fn journal(&self) -> Vec<Entry> {
        unreachable!()
    }
    fn layout(&self) -> Layout {
        unreachable!()
    }
}

fn options(seconds: u64, json: bool) -> HeadlessOptions {
    HeadlessOptions { duration: Some(Duration::from_secs(seconds)), json, ..Default::default() }
}

/// Runs the loop to its end and gives what it wrote: the report and the words beside it.
async fn reported(
    control: &Published,
    options: HeadlessOptions,
    stop: impl Future<Output = ()>,
) -> (Result<(), CommandError>, String, String) {
    let (mut out, mut progress) = (Vec::new(), Vec::new());
    let result = report(control, options, &mut out, &mut progress, stop, || {}).await;
    (result, String::from_utf8(out).unwrap(), String::from_utf8(progress).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_run_reports_each_interval_and_once_at_its_end() {
    let control = Published::new(two());
    let (result, out, progress) = reported(&control, options(25, false), pending()).await;
    result.unwrap();
    assert_eq!(out.lines().filter(|line| line.contains(" detector ")).count(), 25);
    assert_eq!(out.lines().filter(|line| line.starts_with("# ")).count(), 2, "a header each 20");
    assert_eq!(out.lines().filter(|line| line.starts_with("whole run")).count(), 1);
    let waits = "answering what waits (8 requests), for some seconds at most";
    assert_eq!(progress, format!("2 of 2 models ready after 30.4 s\n{waits}\n"));
}

#[tokio::test(start_paused = true)]
async fn json_is_a_snapshot_a_line_and_nothing_else() {
    let control = Published::new(two());
    let (result, out, progress) = reported(&control, options(3, true), pending()).await;
    result.unwrap();
    let snapshots: Vec<Snapshot> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(snapshots, vec![two(); 4]);
    assert!(progress.contains("whole run"));
}

#[tokio::test(start_paused = true)]
async fn time_counts_from_when_all_models_are_loaded() {
    let control = Published::new(Snapshot::default());
    let publish = async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        control.publish(snapshot(vec![loading("ocr")]));
        tokio::time::sleep(Duration::from_secs(100)).await;
        control.publish(snapshot(vec![model("ocr", "0", 5)]));
    };
    let run = reported(&control, options(4, false), pending());
    let ((result, out, progress), ()) = tokio::join!(run, publish);
    result.unwrap();
    assert_eq!(out.lines().filter(|line| line.contains(" ocr ")).count(), 4);
    let waits = "answering what waits (4 requests), for some seconds at most";
    assert_eq!(progress, format!("loading ocr … 0/1\n1 of 1 models ready after 30.4 s\n{waits}\n"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_with_the_summary_even_while_loading() {
    let control = Published::new(snapshot(vec![loading("ocr")]));
    let (result, out, _) = reported(&control, HeadlessOptions::default(), ready(())).await;
    result.unwrap();
    assert!(out.starts_with("\nwhole run"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_models_all_failed_ends_at_once_and_says_why() {
    let control = Published::new(snapshot(vec![failed("a"), failed("b")]));
    let (result, out, progress) = reported(&control, HeadlessOptions::default(), pending()).await;
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().starts_with("2 of 2 models failed: a: rten lacks"), "{error}");
    assert!(out.starts_with("\nwhole run"), "{out}");
    assert!(progress.contains("a failed: rten lacks the operator NonZero\nb failed:"));
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_ended_ends_the_report() {
    let mut control = Published::new(two());
    control.sender = None;
    let (result, out, _) = reported(&control, HeadlessOptions::default(), pending()).await;
    result.unwrap();
    assert!(out.starts_with("\nwhole run"), "{out}");
}

/// A reader that goes away after some lines, or a disk that is full.
struct Ends(usize, io::ErrorKind);

impl Write for Ends {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(self.1.into());
        }
        self.0 -= 1;
        Ok(buffer.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_the_run_quietly_and_a_full_disk_does_not() {
    for (kind, quiet) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
        for json in [false, true] {
            let control = Published::new(two());
            let options = HeadlessOptions { json, ..HeadlessOptions::default() };
            let mut out = Ends(3, kind);
            let result =
                report(&control, options, &mut out, &mut Vec::new(), pending(), || {}).await;
            assert_eq!(result.is_ok(), quiet, "{kind} json {json}");
        }
    }
}

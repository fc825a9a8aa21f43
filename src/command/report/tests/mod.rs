//! Reports of hand-made snapshots, and the report loop on a paused clock.

mod processes;

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::headless::report;
use super::span::OutsideSpan;
use super::*;
use crate::command::CommandError;
use crate::engine::{EngineKind, EngineMemory};
use crate::layout::{
    Budget, Change, Layout, Ledger, LoadSpec, ModelSource, Plan, Refusal, Row, Slo,
};
use crate::machine::{CpuSet, MemoryUse};
use crate::scheduler::{ChangeRequest, Control};
use crate::telemetry::{
    Actual, Alert, Applied, Distribution, Histogram, JournalEntry, Latencies, ModelState,
    ModelView, Occurrences, RefusedRequests, RequestCounts, ServedModelView, ServerView, Snapshot,
    Window,
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
        process: None,
        actual: Actual { cores, active: 2, ..Actual::default() },
        row: Row { budget, cores, threads: 1, concurrency: 2, generation: 1, loads: 0, id: 1 },
        state: ModelState::Running,
        engine: Some(EngineKind::Rten),
        engine_title: "rten 0.27".to_owned(),
        counts: RequestCounts {
            submitted: 12_345,
            queued: 4,
            executing: 2,
            completed: 12_300,
            rejected: 30,
            timed_out: 8,
            failed: 1,
            ..RequestCounts::default()
        },
        second: window(1_000_000, 412, p50_us),
        minute: window(60_000_000, 12_300, p50_us),
        since_change: Window::default(),
        run: window(30_000_000, 12_300, p50_us),
        histogram: Histogram::default(),
        histogram_second: Histogram::default(),
        latencies: Latencies::default(),
        guessed_dims: BTreeMap::new(),
        untried: None,
        cpu: 1.87,
        cpu_total_us: 0,
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

/// Two models that differ in every column of a report.
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
    view.counts = RequestCounts::default();
    view.second = Window::default();
    view.run = Window::default();
    view.load = None;
    view
}

fn loading(name: &str) -> ModelView {
    ModelView { state: ModelState::Loading, ..model(name, "0", 0) }
}

#[test]
fn report_has_a_line_per_model() {
    let (snapshot, span) = (two(), ReportSpan::between(None, &two()));
    insta::assert_snapshot!(header_line(&snapshot, &span) + &interval_line(&snapshot, &span));
}

#[test]
fn summary_accounts_for_all_requests() {
    let mut snapshot = two();
    snapshot.models.push(failed("speech"));
    insta::assert_snapshot!(summary(&snapshot));
}

/// [`two`] with a server, after this many answered requests to detector.
fn served(answered: u64) -> Snapshot {
    let refused =
        |reason: &str, count| RefusedRequests { reason: reason.to_owned(), count, recent: count };
    let detector = ServedModelView {
        model: "detector".to_owned(),
        requests: answered + 300,
        answered,
        refused: vec![refused("queue_full", 250), refused("timed_out", 50)],
        ..ServedModelView::default()
    };
    let unknown_model = ServedModelView {
        requests: 1,
        refused: vec![refused("no_such_model", 1)],
        ..ServedModelView::default()
    };
    let server = ServerView {
        models: vec![detector],
        unknown_model,
        refused_connections: Occurrences { count: 2, recent: 0 },
        ..ServerView::default()
    };
    Snapshot { server: Some(Arc::new(server)), ..two() }
}

#[test]
fn report_has_clients_apart() {
    let (before, now) = (served(10_000), served(12_000));
    let span = ReportSpan::between(Some(&before), &now);
    let outside: Vec<_> = span.models.iter().map(|model| model.outside.unwrap()).collect();
    assert_eq!((outside[0].answered, outside[0].refused), (2_000, 0));
    assert_eq!(outside[1], OutsideSpan::default());
    let text = header_line(&now, &span) + &interval_line(&now, &span);
    insta::assert_snapshot!(text);
    assert!(!header_line(&two(), &span).contains("outside"));
}

#[test]
fn summary_has_refused_requests_by_reason() {
    let text = summary(&served(12_000));
    for line in [
        "from outside: detector: 12,000 answered, 300 refused: 250 queue full, 50 timed out",
        "from outside: no model: 0 answered, 1 refused: 1 no such model",
        "2 connections refused because the limit was reached",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!summary(&two()).contains("outside"));
}

#[test]
fn summary_reports_unbalanced_counts() {
    let mut snapshot = two();
    snapshot.models[0].counts.submitted += 1;
    assert!(summary(&snapshot).contains("COUNTS DO NOT ADD UP for detector:"));
    assert!(!summary(&snapshot).contains("none lost"));
}

#[test]
fn report_marks_guessed_sizes() {
    let mut snapshot = two();
    snapshot.models[0].guessed_dims.insert("height".to_owned(), 224);
    let line = interval_line(&snapshot, &ReportSpan::between(None, &snapshot));
    assert!(line.contains("poisson 400/s, sizes guessed"), "{line}");
    assert_eq!(line.matches("sizes guessed").count(), 1, "{line}");
    let summary = summary(&snapshot);
    assert!(summary.contains("sizes guessed: detector (height = 224); "), "{summary}");
    assert!(summary.contains("`dims`"), "{summary}");
}

#[test]
fn empty_layout_has_a_summary() {
    assert!(summary(&snapshot(Vec::new())).ends_with("no models\n"));
    let empty = snapshot(Vec::new());
    assert_eq!(interval_line(&empty, &ReportSpan::between(None, &empty)), "");
}

#[test]
fn progress_prints_each_message_once() {
    let mut progress = Progress::default();
    assert!(progress.lines(&Snapshot::default()).is_empty(), "nothing is published yet");
    let first = snapshot(vec![loading("detector"), loading("ocr")]);
    assert_eq!(progress.lines(&first), ["loading detector, ocr (0 of 2 ready)"]);
    assert!(progress.lines(&first).is_empty());
    let second = snapshot(vec![model("detector", "0", 1), loading("ocr")]);
    assert_eq!(progress.lines(&second), ["loading ocr (1 of 2 ready)"]);
    let mut third = snapshot(vec![model("detector", "0", 1), failed("ocr")]);
    let expected =
        ["ocr failed: rten lacks the operator NonZero", "1 of 2 models ready after 30.4 s"];
    assert_eq!(progress.lines(&third), expected);
    let text = "queue is full: 64 of 64".to_owned();
    third.alerts.push(Alert { model: Some("detector".to_owned()), text });
    assert_eq!(progress.lines(&third), ["detector: queue is full: 64 of 64"]);
    third.alerts[0].text = "queue is full: 63 of 64".to_owned();
    assert!(progress.lines(&third).is_empty(), "the same alert with another figure");
    third.alerts[0].text = "detector misses its target".to_owned();
    assert_eq!(progress.lines(&third), ["detector misses its target"]);
}

/// A scheduler that only publishes snapshots.
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
    fn request(&self, _: ChangeRequest) -> Result<Applied, Refusal> {
        unreachable!()
    }
    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        unreachable!()
    }
    fn layout(&self) -> Layout {
        unreachable!()
    }
}

fn options(seconds: u64, format: ReportFormat) -> HeadlessOptions {
    HeadlessOptions { duration: Some(Duration::from_secs(seconds)), format, ..Default::default() }
}

/// A finished report loop and its output.
struct Reported {
    result: Result<(), CommandError>,
    out: String,
    progress: String,
}

/// Runs the loop to its end.
async fn reported(
    control: &Published,
    options: HeadlessOptions,
    stop: impl Future<Output = ()>,
) -> Reported {
    let (mut out, mut progress) = (Vec::new(), Vec::new());
    let output = ReportOutput { out: &mut out, progress: &mut progress };
    let result = report(control, options, output, RunEnd { stop, settle: || {} }).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Reported { result, out: text(out), progress: text(progress) }
}

/// One model with 10 requests completed per millisecond of uptime.
fn at(uptime_ms: u64) -> Snapshot {
    let mut model = model("ocr", "0", 5);
    model.counts = RequestCounts {
        submitted: uptime_ms * 10,
        completed: uptime_ms * 10,
        ..RequestCounts::default()
    };
    Snapshot { uptime_us: uptime_ms * 1000, ..snapshot(vec![model]) }
}

/// Publishes snapshots of these uptimes, in milliseconds, each at its time.
async fn publish(control: &Published, uptimes_ms: &[u64]) {
    let start = tokio::time::Instant::now();
    for uptime in uptimes_ms {
        tokio::time::sleep_until(start + Duration::from_millis(*uptime)).await;
        control.publish(at(*uptime));
    }
}

/// Runs the loop for some seconds while snapshots of these uptimes are published.
async fn run_with(uptimes_ms: &[u64], options: HeadlessOptions) -> Reported {
    let control = Published::new(at(0));
    let run = reported(&control, options, pending());
    tokio::join!(run, publish(&control, uptimes_ms)).0
}

/// The column of the text report's lines.
fn column(out: &str, index: usize) -> Vec<String> {
    out.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with('#') && !line.trim_start().starts_with("time"))
        .map(|line| line.split_whitespace().nth(index).unwrap().replace(',', ""))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_second_is_reported_once() {
    let late = [1_010, 2_020, 3_400, 4_050, 5_040, 6_000];
    let Reported { result, out, .. } = run_with(&late, options(6, ReportFormat::Text)).await;
    result.unwrap();
    assert_eq!(column(&out, 0), ["1.0s", "2.0s", "3.4s", "4.0s", "5.0s", "6.0s"], "{out}");
    let done: Vec<u64> = column(&out, 6).iter().map(|done| done.parse().unwrap()).collect();
    assert_eq!(done, [10_100, 10_100, 13_800, 6_500, 9_900, 9_600], "{out}");
    assert!(out.contains("60,000 requests submitted: 60,000 completed"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn json_spans_adjoin() {
    let late = [1_010, 1_500, 2_020, 3_400, 4_050, 5_000];
    let Reported { result, out, progress } = run_with(&late, options(5, ReportFormat::Json)).await;
    result.unwrap();
    let reports: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.len(), 5, "{out}");
    let mut end = 0;
    let mut completed = 0;
    for report in &reports {
        assert_eq!(report["report"]["from_us"], end);
        end = report["report"]["to_us"].as_u64().unwrap();
        assert_eq!(report["uptime_us"], end);
        completed += report["report"]["models"][0]["completed"].as_u64().unwrap();
        assert_eq!(report["models"][0]["counts"]["completed"], completed);
    }
    assert_eq!((end, completed), (5_000_000, 50_000));
    let snapshots: Vec<Snapshot> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(snapshots[0].uptime_us, 1_010_000, "a report is a recording of snapshots");
    assert!(progress.contains("whole run"));
}

#[tokio::test(start_paused = true)]
async fn header_repeats_every_20_reports() {
    let seconds: Vec<u64> = (1..=25).map(|second| second * 1000).collect();
    let Reported { result, out, .. } = run_with(&seconds, options(25, ReportFormat::Text)).await;
    result.unwrap();
    assert_eq!(out.lines().filter(|line| line.starts_with("# ")).count(), 2);
    assert_eq!(column(&out, 0).len() - 1, 25 - 1, "{out}");
}

#[test]
fn snapshots_divide_the_interval() {
    let interval =
        |interval| HeadlessOptions { interval, ..Default::default() }.snapshot_interval();
    assert_eq!(interval(Duration::from_millis(100)), Duration::from_millis(100));
    assert_eq!(interval(Duration::from_secs(5)), Duration::from_secs(1));
    assert_eq!(interval(Duration::from_millis(2500)), Duration::from_secs_f64(2.5 / 3.0));
}

#[tokio::test(start_paused = true)]
async fn time_counts_from_when_models_are_loaded() {
    let control = Published::new(Snapshot::default());
    let publish = async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        control.publish(snapshot(vec![loading("ocr")]));
        tokio::time::sleep(Duration::from_secs(100)).await;
        control.publish(at(200_000));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        control.publish(at(201_500));
    };
    let run = reported(&control, options(2, ReportFormat::Text), pending());
    let (Reported { result, out, progress }, ()) = tokio::join!(run, publish);
    result.unwrap();
    assert_eq!(column(&out, 0), ["201.5s"], "{out}");
    assert_eq!(progress, "loading ocr (0 of 1 ready)\n1 of 1 models ready after 200.0 s\n");
}

#[tokio::test(start_paused = true)]
async fn drain_names_the_queued_requests() {
    let control = Published::new(two());
    let run = reported(&control, options(1, ReportFormat::Text), pending()).await;
    assert!(run.progress.ends_with("draining 8 queued requests\n"), "{}", run.progress);
}

#[tokio::test(start_paused = true)]
async fn stop_while_loading_prints_the_summary() {
    let control = Published::new(snapshot(vec![loading("ocr")]));
    let Reported { result, out, .. } =
        reported(&control, HeadlessOptions::default(), ready(())).await;
    result.unwrap();
    assert!(out.starts_with("\nwhole run"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn run_of_failed_models_ends_at_once() {
    let control = Published::new(snapshot(vec![failed("a"), failed("b")]));
    let Reported { result, out, progress } =
        reported(&control, HeadlessOptions::default(), pending()).await;
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().starts_with("2 of 2 models failed: a: rten lacks"), "{error}");
    assert!(out.starts_with("\nwhole run"), "{out}");
    assert!(progress.contains("a failed: rten lacks the operator NonZero\nb failed:"));
}

#[tokio::test(start_paused = true)]
async fn ended_scheduler_ends_the_report() {
    let mut control = Published::new(two());
    control.sender = None;
    let Reported { result, out, .. } =
        reported(&control, HeadlessOptions::default(), pending()).await;
    result.unwrap();
    assert!(out.contains("\nwhole run"), "{out}");
}

/// A writer that fails after some writes.
struct FailingWriter {
    writes_left: usize,
    error: io::ErrorKind,
}

impl Write for FailingWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.writes_left == 0 {
            return Err(self.error.into());
        }
        self.writes_left -= 1;
        Ok(buffer.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_closed_pipe_ends_quietly() {
    for (error, is_quiet) in
        [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)]
    {
        for format in [ReportFormat::Text, ReportFormat::Json] {
            let control = Published::new(at(0));
            let options = HeadlessOptions { format, ..HeadlessOptions::default() };
            let mut out = FailingWriter { writes_left: 3, error };
            let output = ReportOutput { out: &mut out, progress: &mut Vec::new() };
            let end = RunEnd { stop: pending(), settle: || {} };
            let run = report(&control, options, output, end);
            let (result, ()) = tokio::join!(run, publish(&control, &[1000, 2000, 3000]));
            assert_eq!(result.is_ok(), is_quiet, "{error} {format:?}");
        }
    }
}

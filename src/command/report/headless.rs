//! The loop of a run without a terminal: progress, one report per interval, and the summary.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::interval::{header_line, interval_line};
use super::progress::Progress;
use super::span::{ReportSchedule, ReportSpan};
use super::summary::summary;
use crate::command::CommandError;
use crate::scheduler::Control;
use crate::telemetry::{ModelState, ModelView, Snapshot, separated_list};

/// Reports between two headers.
const REPORTS_PER_HEADER: u64 = 20;

/// The longest time between two snapshots.
const LONGEST_SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// Options of a run without a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadlessOptions {
    /// Time to run once all models are loaded; `None`: until stopped.
    pub duration: Option<Duration>,
    /// Time between two reports, above zero.
    pub interval: Duration,
    /// Form of the reports.
    pub format: ReportFormat,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// One line per model.
    Text,
    /// One snapshot per line of JSON, with the span that it closes as `report`.
    Json,
}

impl Default for HeadlessOptions {
    fn default() -> Self {
        Self { duration: None, interval: Duration::from_secs(1), format: ReportFormat::Text }
    }
}

impl HeadlessOptions {
    /// Returns the time between snapshots: at most a second, and a whole number of them per report.
    pub fn snapshot_interval(&self) -> Duration {
        let seconds = self.interval.as_secs_f64() / LONGEST_SNAPSHOT_INTERVAL.as_secs_f64();
        self.interval.div_f64(seconds.ceil().max(1.0))
    }
}

/// The writers of a run without a terminal.
pub struct ReportOutput<'a> {
    /// Receives the reports.
    pub out: &'a mut dyn Write,
    /// Receives progress and, with JSON, the summary.
    pub progress: &'a mut dyn Write,
}

/// The end of a run without a terminal.
pub struct RunEnd<S, F> {
    /// Completes when the run is to stop.
    pub stop: S,
    /// Called once at the end, before the summary: stops the load and drains the queues, so that the
    /// summary accounts for every request.
    pub settle: F,
}

/// Reports until the time is over, the run is stopped, the scheduler ends, or `out` is closed, which
/// is no error. The time counts from the moment when all models are loaded.
///
/// # Errors
/// [`CommandError::Failed`] when `out` cannot be written, or when models are in the failed state at
/// the end; the summary is printed before.
pub fn run_headless(
    control: &dyn Control,
    options: HeadlessOptions,
    output: ReportOutput<'_>,
    end: RunEnd<impl Future<Output = ()>, impl FnOnce()>,
) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(report(control, options, output, end))
}

/// The body of [`run_headless`], for any runtime and clock.
pub(super) async fn report(
    control: &dyn Control,
    options: HeadlessOptions,
    output: ReportOutput<'_>,
    end: RunEnd<impl Future<Output = ()>, impl FnOnce()>,
) -> Result<(), CommandError> {
    match follow(control, options, output, end).await {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => {
            return Err(CommandError::Failed(format!("cannot write the report: {error}")));
        }
        Ok(()) => {}
    }
    match failed_models(&control.snapshots().borrow()) {
        None => Ok(()),
        Some(failed) => Err(CommandError::Failed(failed)),
    }
}

/// Returns a message with the models that have failed and why; `None` if none has.
pub fn failed_models(snapshot: &Snapshot) -> Option<String> {
    let failed: Vec<String> = snapshot.models.iter().filter_map(failure).collect();
    if failed.is_empty() {
        return None;
    }
    let (count, all) = (failed.len(), snapshot.models.len());
    let models = match (has_processes(snapshot), all) {
        (true, 1) => "row",
        (true, _) => "rows",
        (false, 1) => "model",
        (false, _) => "models",
    };
    let failed = separated_list(&failed, "; ");
    Some(format!("{count} of {all} {models} failed: {failed}"))
}

async fn follow(
    control: &dyn Control,
    options: HeadlessOptions,
    output: ReportOutput<'_>,
    end: RunEnd<impl Future<Output = ()>, impl FnOnce()>,
) -> io::Result<()> {
    let ReportOutput { out, progress } = output;
    let mut snapshots = control.snapshots();
    let mut stop = pin!(end.stop);
    let mut messages = Progress::default();
    let mut writer = ReportWriter::new(options.format, out);
    // set once all models are loaded
    let mut schedule: Option<ReportSchedule> = None;
    let mut end_time: Option<Instant> = None;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        for line in messages.lines(&snapshot) {
            // progress that cannot be written does not end the run
            let _ = writeln!(progress, "{line}");
        }
        match &mut schedule {
            #[allow(clippy::collapsible_match)] // a guard cannot borrow it mutably
            Some(schedule) => {
                if schedule.is_due(snapshot.uptime_us) {
                    writer.write(&snapshot)?;
                }
            }
            None if is_loaded(&snapshot) => {
                // processes may still appear
                let is_lost =
                    |model: &ModelView| model.process.is_none() && failure(model).is_some();
                if !snapshot.models.is_empty() && snapshot.models.iter().all(is_lost) {
                    break;
                }
                let HeadlessOptions { duration, interval, .. } = options;
                schedule = Some(ReportSchedule::new(snapshot.uptime_us, interval, duration));
                end_time = duration.map(|duration| Instant::now() + duration);
            }
            None => {}
        }
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = wait_until(end_time) => break,
            changed = snapshots.changed() => if changed.is_err() { break },
        }
    }
    let busy = snapshots.borrow().clone();
    let waiting: u64 =
        busy.models.iter().map(|model| model.counts.queued + model.counts.blocked).sum();
    if waiting > 0 {
        let requests = if waiting == 1 { "request" } else { "requests" };
        let _ = writeln!(progress, "draining {waiting} queued {requests}");
    }
    (end.settle)();
    let last = Arc::new(closing_snapshot(&snapshots.borrow(), &busy));
    if schedule.is_some() {
        writer.write_rest(&last)?;
    }
    match options.format {
        ReportFormat::Json => {
            let _ = write!(progress, "{}", summary(&last));
            Ok(())
        }
        ReportFormat::Text => writer.write_text(&summary(&last)),
    }
}

/// Returns the last snapshot of a run. Its instances are gone by then, so the state of the threads
/// and the memory are those of `busy`, the last snapshot before the end.
fn closing_snapshot(last: &Snapshot, busy: &Snapshot) -> Snapshot {
    let mut last = last.clone();
    for (model, busy) in last.models.iter_mut().zip(&busy.models) {
        (model.cpu, model.wait) = (busy.cpu, busy.wait);
        model.actual = busy.actual.clone();
        model.memory = busy.memory;
        model.state = busy.state.clone();
        model.process.clone_from(&busy.process);
    }
    last
}

/// Sleeps until a time; forever without one.
async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Returns true if the scheduler has published and no model is loading any more.
pub fn is_loaded(snapshot: &Snapshot) -> bool {
    snapshot.version != 0 && snapshot.models.iter().all(|model| model.state != ModelState::Loading)
}

/// Returns true if there are processes among the models.
pub(super) fn has_processes(snapshot: &Snapshot) -> bool {
    snapshot.models.iter().any(|model| model.process.is_some())
}

/// Returns true if a row has failed for good. A command that has ended may be started again.
pub(super) fn is_failure(model: &ModelView) -> bool {
    match &model.process {
        Some(process) => process.state.is_failure(),
        None => matches!(model.state, ModelState::Failed { .. }),
    }
}

fn failure(model: &ModelView) -> Option<String> {
    match &model.state {
        _ if !is_failure(model) => None,
        ModelState::Failed { reason } => Some(format!("{}: {reason}", model.row.budget.name)),
        _ => None,
    }
}

/// Writes reports, each from the snapshot before to the current one.
struct ReportWriter<'a> {
    format: ReportFormat,
    out: &'a mut dyn Write,
    before: Option<Arc<Snapshot>>,
    reports: u64,
}

/// A line of a JSON report.
#[derive(Serialize)]
struct JsonReport<'a> {
    #[serde(flatten)]
    snapshot: &'a Snapshot,
    report: ReportSpan,
}

impl<'a> ReportWriter<'a> {
    fn new(format: ReportFormat, out: &'a mut dyn Write) -> Self {
        Self { format, out, before: None, reports: 0 }
    }

    /// Writes the report of the time since the last one.
    fn write(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        let span = ReportSpan::between(self.before.as_deref(), snapshot);
        match self.format {
            ReportFormat::Json => {
                let line = JsonReport { snapshot: snapshot.as_ref(), report: span };
                serde_json::to_writer(&mut *self.out, &line)?;
                writeln!(self.out)?;
            }
            ReportFormat::Text => {
                if self.reports.is_multiple_of(REPORTS_PER_HEADER) {
                    write!(self.out, "{}", header_line(snapshot, &span))?;
                }
                write!(self.out, "{}", interval_line(snapshot, &span))?;
            }
        }
        self.out.flush()?;
        self.reports += 1;
        self.before = Some(snapshot.clone());
        Ok(())
    }

    /// Writes the report of the time between the last one and the end of the run.
    fn write_rest(&mut self, last: &Arc<Snapshot>) -> io::Result<()> {
        let is_reported =
            self.before.as_ref().is_some_and(|before| before.uptime_us == last.uptime_us);
        if is_reported { Ok(()) } else { self.write(last) }
    }

    fn write_text(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "{text}")?;
        self.out.flush()
    }
}

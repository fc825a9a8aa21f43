//! What divvy says without a terminal: a line a model each interval or NDJSON, progress while
//! models load, and a table at the end. Everything comes from the [`Snapshot`] alone.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::interval::{header_line, interval_line};
use super::progress::Progress;
use super::summary::summary;
use crate::command::CommandError;
use crate::scheduler::Control;
use crate::telemetry::{ModelState, Snapshot};

/// Intervals between two headers.
const HEADER_EVERY: u64 = 20;

/// How a run without a terminal reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadlessOptions {
    /// How long to run once all models are loaded; `None`: until stopped.
    pub duration: Option<Duration>,
    /// Time between two reports, above zero.
    pub interval: Duration,
    /// Whether to print each snapshot as a line of JSON instead of text.
    pub json: bool,
}

impl Default for HeadlessOptions {
    fn default() -> Self {
        Self { duration: None, interval: Duration::from_secs(1), json: false }
    }
}

/// Reports until the time is over, `stop` is done, the scheduler ends, or nobody reads any more.
/// A closed `out` ends the run quietly. Time counts from the moment when no model is loading any
/// more.
///
/// `settle` is called once at the end, before the closing table: it stops the load and lets what
/// waits be answered, so that the table accounts for every request.
///
/// `out` gets the report, `progress` the words beside it (and, with JSON, the closing table).
/// # Errors
/// [`CommandError::Failed`] when `out` cannot be written, or when models are in the failed state at
/// the end; the summary has been printed then.
pub fn run_headless(
    control: &dyn Control,
    options: HeadlessOptions,
    out: &mut dyn Write,
    progress: &mut dyn Write,
    stop: impl Future<Output = ()>,
    settle: impl FnOnce(),
) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(report(control, options, out, progress, stop, settle))
}

/// The loop of [`run_headless`], on whatever runtime and clock it is polled.
pub(super) async fn report(
    control: &dyn Control,
    options: HeadlessOptions,
    out: &mut dyn Write,
    progress: &mut dyn Write,
    stop: impl Future<Output = ()>,
    settle: impl FnOnce(),
) -> Result<(), CommandError> {
    match follow(control, options, out, progress, stop, settle).await {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        other => other?,
    }
    let last = control.snapshots().borrow().clone();
    let failed: Vec<String> = last.models.iter().filter_map(failure).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let (count, all) = (failed.len(), last.models.len());
    Err(CommandError::Failed(format!("{count} of {all} models failed: {}", failed.join("; "))))
}

async fn follow(
    control: &dyn Control,
    options: HeadlessOptions,
    out: &mut dyn Write,
    progress: &mut dyn Write,
    stop: impl Future<Output = ()>,
    settle: impl FnOnce(),
) -> io::Result<()> {
    let mut snapshots = control.snapshots();
    let mut stop = pin!(stop);
    let mut words = Progress::default();
    let interval = options.interval.max(Duration::from_millis(1));
    let mut lines = 0;
    // from when all models are there: the next report and the end
    let mut times: Option<(Instant, Option<Instant>)> = None;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        for line in words.lines(&snapshot) {
            // the words beside the report are worth no failure
            let _ = writeln!(progress, "{line}");
        }
        if times.is_none() && loaded(&snapshot) {
            if !snapshot.models.is_empty() && snapshot.models.iter().all(|m| failure(m).is_some()) {
                break;
            }
            let now = Instant::now();
            times = Some((now + interval, options.duration.map(|duration| now + duration)));
        }
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = until(times.map(|(next, _)| next)) => {
                print(&snapshot, options, lines, out)?;
                lines += 1;
                if let Some((next, _)) = &mut times {
                    // a reader that stalled for intervals gets the newest, not all of them
                    *next = (*next + interval).max(Instant::now());
                }
            }
            () = until(times.and_then(|(_, end)| end)) => break,
            changed = snapshots.changed() => if changed.is_err() { break },
        }
    }
    let last = snapshots.borrow().clone();
    if options.json {
        write_json(&last, out)?;
    }
    let waiting: u64 =
        last.models.iter().map(|model| model.counts.queued + model.counts.blocked).sum();
    if waiting > 0 {
        let _ = writeln!(
            progress,
            "answering what waits ({waiting} requests), for some seconds at most"
        );
    }
    settle();
    // The instances are gone then, so what they use now is what they used last.
    let (busy, mut last) = (last, Snapshot::clone(&snapshots.borrow()));
    for (model, busy) in last.models.iter_mut().zip(&busy.models) {
        (model.cpu, model.wait) = (busy.cpu, busy.wait);
    }
    if options.json {
        let _ = write!(progress, "{}", summary(&last));
        return Ok(());
    }
    write!(out, "{}", summary(&last))?;
    out.flush()
}

/// Sleeps until then; for ever without a time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn print(
    snapshot: &Snapshot,
    options: HeadlessOptions,
    lines: u64,
    out: &mut dyn Write,
) -> io::Result<()> {
    if options.json {
        return write_json(snapshot, out);
    }
    if lines.is_multiple_of(HEADER_EVERY) {
        write!(out, "{}", header_line(snapshot))?;
    }
    write!(out, "{}", interval_line(snapshot))?;
    out.flush()
}

fn write_json(snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, snapshot)?;
    writeln!(out)?;
    out.flush()
}

/// Whether a scheduler has published and no model is on its way any more.
fn loaded(snapshot: &Snapshot) -> bool {
    snapshot.version != 0 && snapshot.models.iter().all(|model| model.state != ModelState::Loading)
}

fn failure(model: &crate::telemetry::ModelView) -> Option<String> {
    match &model.state {
        ModelState::Failed { reason } => Some(format!("{}: {reason}", model.row.budget.name)),
        _ => None,
    }
}

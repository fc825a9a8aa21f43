//! Copies of the recorded cells before a change, made on another thread: the recorder's lock may be held
//! by a reader of the windows, which would delay the next change.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::layout::Slo;
use crate::scheduler::workload::Workload;
use crate::telemetry::verdict::{self, Side};
use crate::telemetry::{Comparison, SampleKind, USE_METRICS, UseCell, UseRecord, compare_use};

/// The window before a change, once it has been copied.
#[derive(Clone, Default)]
pub(super) struct CapturedWindow(Arc<OnceLock<Option<WindowSide>>>);

/// The cells of a window.
pub(super) enum WindowSide {
    /// The requests of a model.
    Requests(Side),
    /// The use of a process row.
    Use(Vec<UseCell>),
}

impl WindowSide {
    /// Returns the cells of a workload that lie in `[from, to]`; `None` if it keeps no record.
    pub(super) fn of(workload: &dyn Workload, from: Instant, to: Instant) -> Option<Self> {
        if let Some(recorder) = workload.recorder() {
            return Some(Self::Requests(Side::new(recorder.cells(from, to))));
        }
        Some(Self::Use(workload.use_record()?.cells(from, to)))
    }

    /// Returns the number of samples.
    pub(super) fn samples(&self) -> u64 {
        match self {
            Self::Requests(side) => side.completed(),
            Self::Use(cells) => cells.iter().map(UseCell::seconds).sum::<f64>().round() as u64,
        }
    }

    /// Compares it with the window after the change.
    pub(super) fn compare(
        &self,
        after: &Self,
        slo: Option<&Slo>,
        metrics: usize,
    ) -> Vec<Comparison> {
        match (self, after) {
            (Self::Requests(before), Self::Requests(after)) => {
                verdict::compare(before, after, slo, metrics)
            }
            (Self::Use(before), Self::Use(after)) => compare_use(before, after, metrics),
            // The row has become another kind.
            _ => Vec::new(),
        }
    }
}

/// Returns the kind of a workload's samples.
pub(super) fn sample_kind(workload: &dyn Workload) -> SampleKind {
    match workload.use_record() {
        Some(_) => SampleKind::Seconds,
        None => SampleKind::Requests,
    }
}

/// Returns the number of metrics that a verdict on a row compares.
pub(super) fn metric_count(kind: SampleKind, slo: Option<&Slo>) -> usize {
    match kind {
        SampleKind::Seconds => USE_METRICS,
        SampleKind::Requests => verdict::metric_count(slo),
    }
}

impl CapturedWindow {
    /// Returns the window if it has been copied and is long enough.
    pub(super) fn get(&self) -> Option<&WindowSide> {
        self.0.get()?.as_ref()
    }

    /// Waits for the copy. Returns `None` if the window is not long enough.
    pub(super) fn wait(&self) -> Option<&WindowSide> {
        self.0.wait().as_ref()
    }
}

/// A window to copy.
pub(super) struct CaptureJob {
    pub(super) workload: Arc<dyn Workload>,
    /// The earliest start of the window.
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// The shortest window that is worth a comparison.
    pub(super) shortest: Duration,
    pub(super) window: CapturedWindow,
}

impl CaptureJob {
    fn run(&self) {
        let oldest = match self.workload.recorder() {
            Some(recorder) => recorder.oldest_cell(),
            None => self.workload.use_record().and_then(UseRecord::oldest),
        };
        let Some(oldest) = oldest else { return };
        let (from, to) = (self.from.max(oldest), self.to);
        if to.saturating_duration_since(from) >= self.shortest {
            // Set once, since a job runs once.
            let _ = self.window.0.set(WindowSide::of(&*self.workload, from, to));
        }
    }
}

impl Drop for CaptureJob {
    fn drop(&mut self) {
        // Ends a wait for a window that was not copied.
        let _ = self.window.0.set(None);
    }
}

/// The handle of the copying thread. The thread stops when the handle is dropped.
pub(super) struct WindowCapture(Sender<CaptureJob>);

impl WindowCapture {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's error if the thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel();
        std::thread::Builder::new()
            .name("divvy-capture".to_owned())
            .spawn(move || run(&jobs))
            .map(|_| Self(sender))
    }

    /// Orders a copy.
    pub(super) fn order(&self, job: CaptureJob) {
        // If the thread has panicked, the job is dropped, and there is no window.
        let _ = self.0.send(job);
    }
}

fn run(jobs: &Receiver<CaptureJob>) {
    for job in jobs {
        job.run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::fake_workload::FakeWorkload;
    use crate::telemetry::Metric;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns a record of a cell per second from `start` on, each with this CPU time.
    fn record(start: Instant, cpu: impl IntoIterator<Item = f64>) -> UseRecord {
        let record = UseRecord::default();
        for (second, cpu) in (0..).zip(cpu) {
            let from = start + SECOND * second;
            let to = from + SECOND;
            record.add(UseCell { from, to, cpu, wait: None, requests: None });
        }
        record
    }

    #[test]
    fn change_of_a_process_has_a_verdict() {
        let start = Instant::now();
        let cpu = (0..40).map(|second| {
            let base = if second < 20 { 1.0 } else { 2.0 };
            base + f64::from(second % 3) / 50.0
        });
        let workload = FakeWorkload::measured(record(start, cpu));
        let capture = WindowCapture::start().unwrap();
        let window = CapturedWindow::default();
        capture.order(CaptureJob {
            workload: workload.clone(),
            from: start,
            to: start + SECOND * 20,
            shortest: SECOND * 8,
            window: window.clone(),
        });
        let before = window.wait().unwrap();
        let after = WindowSide::of(&*workload, start + SECOND * 20, start + SECOND * 40).unwrap();
        assert_eq!((before.samples(), after.samples()), (20, 20));
        let metrics = metric_count(sample_kind(&*workload), None);
        let compared = before.compare(&after, None, metrics);
        let [cpu] = compared.as_slice() else { panic!("{compared:?}") };
        assert!(cpu.metric == Metric::Cpu && cpu.clear && cpu.change > 0.9, "{cpu:?}");
    }

    #[test]
    fn short_window_is_not_captured() {
        let start = Instant::now();
        let workload = FakeWorkload::measured(record(start, [1.0; 5]));
        let capture = WindowCapture::start().unwrap();
        let window = CapturedWindow::default();
        let (from, to) = (start, start + SECOND * 5);
        let (shortest, order) = (SECOND * 8, window.clone());
        capture.order(CaptureJob { workload, from, to, shortest, window: order });
        assert!(window.wait().is_none());
    }
}

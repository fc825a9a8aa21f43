//! Copies of the recorded cells before a change, made on another thread: the recorder's lock may be held
//! by a reader of the windows, which would delay the next change.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::scheduler::workload::Workload;
use crate::telemetry::verdict::Side;

/// The window before a change, once it has been copied.
#[derive(Clone, Default)]
pub(super) struct CapturedWindow(Arc<OnceLock<Option<Side>>>);

impl CapturedWindow {
    /// Returns the window if it has been copied and is long enough.
    pub(super) fn get(&self) -> Option<&Side> {
        self.0.get()?.as_ref()
    }

    /// Waits for the copy. Returns `None` if the window is not long enough.
    pub(super) fn wait(&self) -> Option<&Side> {
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
        let Some(recorder) = self.workload.recorder() else { return };
        let Some(oldest) = recorder.oldest_cell() else { return };
        let (from, to) = (self.from.max(oldest), self.to);
        if to.saturating_duration_since(from) >= self.shortest {
            // Set once, since a job runs once.
            let _ = self.window.0.set(Some(Side::new(recorder.cells(from, to))));
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

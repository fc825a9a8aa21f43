//! The thread that sends all built-in load, and its handle.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::counters::{CountersByModel, LoadCounts};
use super::error::LoadError;
use super::job::LoadJob;
use super::message::LoadMessage;
use super::running_loads::RunningLoads;
use crate::machine::{Clock, SystemClock, ThreadId, current_thread, request_short_slice};

/// Messages handled between two checks for due arrivals, so that a flood of answers delays none.
const MESSAGES: usize = 256;

/// Time between checks of a stopping driver for unanswered requests.
const STOP_CHECK: Duration = Duration::from_millis(1);

/// The load generator of all models: one OS thread named `divvy-load`, which sleeps while nothing is
/// due. Any thread can use the handle.
pub struct LoadDriver {
    mailbox: Sender<LoadMessage>,
    counters: Mutex<CountersByModel>,
    thread: ThreadId,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl LoadDriver {
    /// Starts the thread, without any load.
    ///
    /// # Errors
    /// The system's error if the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Arc::new(SystemClock))
    }

    /// Starts the thread, without any load. Arrivals are due by `clock`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (mailbox, messages) = mpsc::channel();
        let (id_sender, id) = mpsc::sync_channel(1);
        let loads = RunningLoads::new(mailbox.clone());
        let handle = thread::Builder::new().name("divvy-load".to_owned()).spawn(move || {
            // The receiver waits below.
            let _ = id_sender.send(current_thread());
            // An arrival must not wait for the work of earlier ones.
            request_short_slice();
            run(loads, &messages, &*clock);
        })?;
        let thread = id.recv().map_err(|_| io::Error::other("the load thread did not start"))?;
        Ok(Self { mailbox, counters: Mutex::default(), thread, handle: Mutex::new(Some(handle)) })
    }

    /// Returns the thread's id, so that it can be kept off reserved cores.
    pub fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Starts, changes or (with `None`) stops the load of a model. Requests under way still get their
    /// answers. The same job again changes nothing; callers that wait for a reply stay if only the
    /// number of callers changes.
    ///
    /// # Errors
    /// [`LoadError`] if the job cannot run (the old load continues then), or the driver has stopped.
    pub fn set(&self, model: &str, job: Option<LoadJob>) -> Result<(), LoadError> {
        if let Some(job) = &job {
            job.check()?;
        }
        let counters = match &job {
            Some(_) => self.counters_by_model().start(model),
            None => match self.counters_by_model().stop(model) {
                Some(counters) => counters,
                None => return Ok(()),
            },
        };
        self.mailbox
            .send(LoadMessage::Set { model: model.to_owned(), job: job.map(Box::new), counters })
            .map_err(|_| LoadError::Stopped)
    }

    /// Returns the intended arrivals of a model's load; 0 for an unknown model.
    pub fn offered(&self, model: &str) -> u64 {
        self.counts(model).offered
    }

    /// Returns all counts of a model's load since the driver started; zeros for an unknown model. The
    /// counts of a stopped load are dropped once all its requests have ended and another load starts.
    pub fn counts(&self, model: &str) -> LoadCounts {
        self.counters_by_model().counts(model)
    }

    /// Stops all load and the thread, then waits until every request is answered, for at most
    /// `patience`. Returns the number of unanswered requests. May be called again.
    pub fn stop(&self, patience: Duration) -> u64 {
        // An error means that the thread has ended already.
        let _ = self.mailbox.send(LoadMessage::Stop);
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            // The panic hook has logged a panic of it; there is no load either way.
            let _ = handle.join();
        }
        let deadline = Instant::now() + patience;
        loop {
            let unanswered = self.unanswered();
            if unanswered == 0 || Instant::now() >= deadline {
                return unanswered;
            }
            thread::sleep(STOP_CHECK);
        }
    }

    fn unanswered(&self) -> u64 {
        self.counters_by_model().unanswered()
    }

    fn counters_by_model(&self) -> MutexGuard<'_, CountersByModel> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LoadDriver {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// The thread's loop: submits the requests that are due, then sleeps until the next arrival or
/// message.
fn run(mut loads: RunningLoads, messages: &Receiver<LoadMessage>, clock: &dyn Clock) {
    loop {
        let next = loads.step(clock.now());
        let first = match next.map(|due| clock.sleep_until(due)) {
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) if wait.is_zero() => messages.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            }),
            Some(wait) => messages.recv_timeout(wait),
        };
        let first = match first {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now = clock.now();
        for message in std::iter::once(first).chain(messages.try_iter()).take(MESSAGES) {
            match message {
                LoadMessage::Set { model, job, counters } => {
                    loads.set(model, job.map(|job| *job), &counters, now);
                }
                LoadMessage::Answer(answer) => loads.handle_answer(answer, now),
                LoadMessage::Stop => {
                    loads.clear();
                    return;
                }
            }
        }
    }
}

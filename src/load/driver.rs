//! The thread that sends all built-in load, and the handle that any other thread steers it with.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::LoadError;
use super::job::LoadJob;
use super::roster::Roster;
use super::ticket::{Answer, LoadCounts, Tally};
use crate::machine::{ThreadId, current_thread, request_short_slice};

/// Messages handled before arrivals are looked at again, so that a flood of answers delays none.
const MESSAGES: usize = 256;

/// How often a stopping driver looks whether all is answered.
const LOOK: Duration = Duration::from_millis(1);

/// What the thread is told.
pub(super) enum Message {
    Set { model: String, job: Option<Box<LoadJob>>, tally: Arc<Tally> },
    Answer(Answer),
    Stop,
}

/// The load generator of all models: one OS thread named `divvy-load`. It sleeps while nothing is
/// due; its handle can be used from any thread.
pub struct LoadDriver {
    mailbox: Sender<Message>,
    tallies: Mutex<BTreeMap<String, Arc<Tally>>>,
    thread: ThreadId,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl LoadDriver {
    /// Starts the thread, without any load.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub fn start() -> io::Result<Self> {
        let (mailbox, messages) = mpsc::channel();
        let (born, birth) = mpsc::sync_channel(1);
        let roster = Roster::new(mailbox.clone());
        let handle = thread::Builder::new().name("divvy-load".to_owned()).spawn(move || {
            // the receiver waits below
            let _ = born.send(current_thread());
            // an arrival must not wait behind the work that earlier ones brought
            request_short_slice();
            turn(roster, &messages);
        })?;
        let thread = birth.recv().map_err(|_| io::Error::other("the load thread did not start"))?;
        Ok(Self {
            mailbox,
            tallies: Mutex::new(BTreeMap::new()),
            thread,
            handle: Mutex::new(Some(handle)),
        })
    }

    /// The thread's id, so that it can be kept off reserved cores.
    pub fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Starts, changes or (with `None`) stops the load of a model, from now on. LoadRequests that are
    /// under way are answered as ever. The same job again changes nothing; another number of
    /// callers keeps those who wait for a reply.
    ///
    /// # Errors
    /// [`LoadError`] when the job cannot be run (the old load goes on), or the driver has stopped.
    pub fn set(&self, model: &str, job: Option<LoadJob>) -> Result<(), LoadError> {
        if let Some(job) = &job {
            job.check()?;
        }
        let tally = self.tallies().entry(model.to_owned()).or_default().clone();
        self.mailbox
            .send(Message::Set { model: model.to_owned(), job: job.map(Box::new), tally })
            .map_err(|_| LoadError::Stopped)
    }

    /// Intended arrivals of a model's load since the driver started; 0 for an unknown model.
    pub fn offered(&self, model: &str) -> u64 {
        self.counts(model).offered
    }

    /// All counts of a model's load since the driver started; zeros for an unknown model.
    pub fn counts(&self, model: &str) -> LoadCounts {
        self.tallies().get(model).map(|tally| tally.counts()).unwrap_or_default()
    }

    /// Ends all load and the thread, then waits until every request is answered, at most for
    /// `patience`. Returns how many were still without an answer. May be called again.
    pub fn stop(&self, patience: Duration) -> u64 {
        // an error says that the thread has ended already
        let _ = self.mailbox.send(Message::Stop);
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            // a panic of the thread is printed by the panic hook; there is no load either way
            let _ = handle.join();
        }
        let deadline = Instant::now() + patience;
        loop {
            let waiting = self.waiting();
            if waiting == 0 || Instant::now() >= deadline {
                return waiting;
            }
            thread::sleep(LOOK);
        }
    }

    fn waiting(&self) -> u64 {
        self.tallies()
            .values()
            .map(|tally| {
                let counts = tally.counts();
                counts.submitted.saturating_sub(counts.answered)
            })
            .sum()
    }

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Tally>>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LoadDriver {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// The thread's life: submit what is due, sleep until the next arrival or message.
fn turn(mut roster: Roster, messages: &Receiver<Message>) {
    loop {
        let next = roster.step(Instant::now());
        let first = match next.map(|due| due.saturating_duration_since(Instant::now())) {
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
        let now = Instant::now();
        for message in std::iter::once(first).chain(messages.try_iter()).take(MESSAGES) {
            match message {
                Message::Set { model, job, tally } => {
                    roster.set(model, job.map(|job| *job), &tally, now);
                }
                Message::Answer(answer) => roster.answered(answer, now),
                Message::Stop => {
                    roster.clear();
                    return;
                }
            }
        }
    }
}

//! The thread that answers requests that no instance ran: expired, refused and drained ones.
//!
//! Callers' replies run there in place of the thread that found out: the owner has a real-time priority
//! and must not wait for callers, and a reply may call the owner. There is one thread for all pools, of
//! ordinary class. It ends with the last pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::machine::panic_message;

/// Answers some requests.
type Task = Box<dyn FnOnce() + Send>;

/// A handle of the thread. The thread ends when all handles are dropped and its tasks are done.
pub(super) struct ReplyThread {
    /// `None` if it could not be started.
    tasks: Option<Sender<Task>>,
}

static SHARED: Mutex<Weak<ReplyThread>> = Mutex::new(Weak::new());

impl ReplyThread {
    /// Returns the thread that all pools share, and starts it for the first one.
    pub(super) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let thread = Arc::new(Self::start());
            *shared = Arc::downgrade(&thread);
            thread
        })
    }

    fn start() -> Self {
        let (sender, tasks) = mpsc::channel();
        let thread = std::thread::Builder::new().name("divvy-replies".to_owned());
        let started = thread.spawn(move || run(&tasks));
        Self { tasks: started.ok().map(|_| sender) }
    }

    /// Runs a task on the thread, after those that came before it. If the thread could not be started,
    /// the task runs here.
    pub(super) fn answer_later(&self, task: impl FnOnce() + Send + 'static) {
        let task: Task = Box::new(task);
        match &self.tasks {
            Some(tasks) => {
                if let Err(SendError(task)) = tasks.send(task) {
                    task();
                }
            }
            None => task(),
        }
    }

    /// Waits until the tasks that came before this call are done. Returns false if they are not done
    /// within `patience`.
    pub(super) fn wait_for_answers(&self, patience: Duration) -> bool {
        let (done, is_done) = mpsc::channel();
        self.answer_later(move || {
            // The waiting thread may have lost its patience.
            let _ = done.send(());
        });
        is_done.recv_timeout(patience).is_ok()
    }
}

fn run(tasks: &Receiver<Task>) {
    for task in tasks {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(task)) {
            tracing::error!("an answer to requests panicked: {}", panic_message(&*panic));
        }
    }
}

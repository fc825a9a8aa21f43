//! The threads of the server.
//!
//! They read requests and write answers; no model runs on them, and none of their work waits for a model.
//! Their nice value is the process's: a higher one would let a model that keeps every core busy delay all
//! requests, also those of other models, and a lower one needs privilege. Instead they ask for the shortest
//! time slice, so that they run soon after they wake, without a larger share of the CPU.

use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::rt::Executor;
use tokio::runtime::{Builder, Runtime};

use crate::machine::request_short_slice;
use crate::pool::{collecting_wakes, wake_collected};

/// The most threads by default. Two threads serve more small requests than the models of a usual machine
/// answer; more of them take cores from models, and wake each other for requests that one could serve: on
/// two cores with one connection, a second thread adds a third to the CPU time of a small request.
const MOST_THREADS: usize = 4;

/// The most threads that parse large requests.
const MOST_PARSERS: usize = 8;

/// The name of the threads; `command::run` keeps threads of this name off reserved cores.
const NAME: &str = "divvy-http";

/// Returns the number of threads by default, for the cores that the process may use.
pub(super) fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).clamp(1, MOST_THREADS)
}

/// Starts the threads.
///
/// # Errors
/// When the system cannot start a thread.
pub(super) fn start(threads: usize) -> std::io::Result<Runtime> {
    let number = AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .max_blocking_threads(MOST_PARSERS)
        .thread_name_fn(move || format!("{NAME}-{}", number.fetch_add(1, Ordering::Relaxed)))
        .on_thread_start(|| {
            request_short_slice();
        })
        .on_thread_park(wake_collected)
        .enable_all()
        .build()
}

/// Starts the tasks of an HTTP/2 connection. The requests that arrive together reach the models before the
/// first of their instances is woken.
#[derive(Clone)]
pub(super) struct TaskStarter;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for TaskStarter {
    fn execute(&self, task: F) {
        tokio::spawn(collecting_wakes(task));
    }
}

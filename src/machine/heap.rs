//! Statistics of the C heap, and the return of its free pages.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

/// Time from a request until the heap is trimmed, and so the least time between two trims. Requests
/// that come meanwhile are served by the same trim.
const TRIM_DELAY: Duration = Duration::from_secs(1);

/// The thread that trims the heap.
static TRIMMER: OnceLock<Option<SyncSender<()>>> = OnceLock::new();

/// Sizes of the C heap, in bytes. Rust's allocations are part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// Total size of the heap's own regions, including free blocks.
    pub regions: u64,
    /// Blocks in use within the heap's own regions.
    pub in_regions: u64,
    /// Blocks in use that have their own mapping.
    pub mapped: u64,
}

impl Heap {
    /// Returns the size of all blocks in use.
    pub fn in_use(&self) -> u64 {
        self.in_regions + self.mapped
    }
}

/// Returns the statistics of the system allocator; `None` if it has none (only glibc 2.33 and later
/// does). Locks each of its arenas in turn, so do not call it per request.
pub fn heap() -> Option<Heap> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// glibc's `struct mallinfo2`.
        #[repr(C)]
        struct Statistics {
            arena: usize,
            free_chunks: [usize; 2],
            mapped_regions: usize,
            mapped: usize,
            fast: [usize; 2],
            in_use: usize,
            free: usize,
            top: usize,
        }
        type Ask = unsafe extern "C" fn() -> Statistics;
        let program = libloading::os::unix::Library::this();
        // SAFETY: the only function with this name is glibc's. It is looked up by name because older
        // versions lack it.
        let ask = unsafe { program.get::<Ask>(b"mallinfo2\0") }.ok()?;
        // SAFETY: it may be called at any time from any thread, and returns plain numbers.
        let found = unsafe { ask() };
        Some(Heap {
            regions: found.arena as u64,
            in_regions: found.in_use as u64,
            mapped: found.mapped as u64,
        })
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        None
    }
}

/// Returns the heap's free pages to the system, so that freed memory leaves the resident set. Takes a
/// tenth of a second per gigabyte of heap, and locks the allocator's arenas in turn meanwhile. Does
/// nothing if the system allocator has no such call.
fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: a function of glibc that may be called at any time from any thread.
        let _ = unsafe { malloc_trim(0) };
    }
}

/// Has the heap's free pages returned to the system within about a second, on a thread for which nobody
/// waits. However many ask, at most one trim starts per second.
pub fn request_trim() {
    let start = || {
        let (sender, requests) = mpsc::sync_channel(1);
        let body = move || {
            use_cores_of_process();
            run_trims(&requests, TRIM_DELAY, trim_heap);
        };
        let started = std::thread::Builder::new().name("divvy-trim".to_owned()).spawn(body);
        started.ok().map(|_| sender)
    };
    if let Some(trimmer) = TRIMMER.get_or_init(start) {
        // If it is full, a trim is due anyway.
        let _ = trimmer.try_send(());
    }
}

/// Calls `trim` once for all requests that come within `delay` of the first.
fn run_trims(requests: &Receiver<()>, delay: Duration, mut trim: impl FnMut()) {
    while requests.recv().is_ok() {
        std::thread::sleep(delay);
        while requests.try_recv().is_ok() {}
        trim();
    }
}

/// Lets this thread run where the process's first thread may: it was started by a model's thread, whose
/// cores are the model's.
fn use_cores_of_process() {
    #[cfg(target_os = "linux")]
    {
        let process = rustix::process::getpid();
        // If that fails, it stays on the model's cores.
        let _ = rustix::thread::sched_getaffinity(Some(process))
            .and_then(|cores| rustix::thread::sched_setaffinity(None, &cores));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_batch_share_one_trim() {
        let (sender, requests) = mpsc::sync_channel(100);
        for _ in 0..100 {
            sender.send(()).unwrap();
        }
        drop(sender);
        let mut trims = 0;
        run_trims(&requests, Duration::ZERO, || trims += 1);
        assert_eq!(trims, 1);
    }
}

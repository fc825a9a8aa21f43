//! Growth of the process during a bench.

use std::time::{Duration, Instant};

use crate::command::CommandError;

/// The most growth of memory after the first third of a run, in bytes.
const MOST_GROWTH: u64 = 64 << 20;

/// The most growth of the number of threads after the first third of a run: instances come and go
/// with the changes, with 4 parked ones per model beyond its bound.
const MOST_THREADS: u64 = 64;

/// Samples memory and threads at intervals and prints them to standard error.
pub(super) struct GrowthCheck {
    every: Option<Duration>,
    started: Instant,
    next: Instant,
    samples: Vec<ProcessSize>,
}

impl GrowthCheck {
    /// Starts a check with a sample every `every` seconds; `None` takes no samples.
    pub(super) fn start(every: Option<u64>) -> Self {
        let now = Instant::now();
        let every = every.map(|seconds| Duration::from_secs(seconds.max(1)));
        Self { every, started: now, next: now, samples: Vec::new() }
    }

    /// Takes a sample if one is due.
    pub(super) fn sample(&mut self) {
        let Some(every) = self.every.filter(|_| Instant::now() >= self.next) else { return };
        self.next += every;
        let Some(size) = process_size() else { return };
        self.samples.push(size);
        let at = self.started.elapsed().as_secs();
        let mebibytes = size.bytes as f64 / 1_048_576.0;
        eprintln!("{at:>5} s: {mebibytes:.1} MiB resident, {} threads", size.threads);
    }

    /// Checks that the process has not grown since the first third of the run.
    ///
    /// # Errors
    /// [`CommandError::Failed`] if memory or threads grew past their bound.
    pub(super) fn require_bounded(&self) -> Result<(), CommandError> {
        // The first third warms up: arenas grow to the size for the widest layout, and the history to
        // its depth.
        let begin = (self.samples.len() / 3).max(1);
        let (Some(early), Some(late)) = (self.samples.get(begin), self.samples.last()) else {
            return Ok(());
        };
        let bytes = late.bytes.saturating_sub(early.bytes);
        let threads = late.threads.saturating_sub(early.threads);
        if bytes > MOST_GROWTH || threads > MOST_THREADS {
            return Err(CommandError::Failed(format!(
                "the process grew by {:.1} MiB (bound {}) and {threads} threads (bound {MOST_THREADS})",
                bytes as f64 / 1_048_576.0,
                MOST_GROWTH >> 20
            )));
        }
        Ok(())
    }
}

/// The size of this process.
#[derive(Clone, Copy, Debug)]
struct ProcessSize {
    /// Resident set, in bytes.
    bytes: u64,
    threads: u64,
}

/// Returns the size of this process, if the system reports it.
fn process_size() -> Option<ProcessSize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let number = |key: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some(ProcessSize { bytes: number("VmRSS:")? * 1024, threads: number("Threads:")? })
}

//! What requests feel in a window, and what the process takes up meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::command::CommandError;
use crate::command::bench::report::quantile;
use crate::pool::Client;

/// Growth of memory that a watched run may show after its first third, in bytes.
const MOST_GROWTH: u64 = 64 << 20;

/// Growth of the number of threads that a watched run may show after its first third: instances come
/// and go with the changes, 4 parked ones a model beyond its bound.
const MOST_THREADS: u64 = 64;

/// A window's figures of one model.
pub(super) struct Figures {
    pub p99_ms: f64,
    pub per_s: f64,
    pub silence_ms: f64,
}

/// A window's figures by model.
pub(super) type Felt = BTreeMap<String, Figures>;

/// A window that is being measured.
pub(super) struct Feel {
    from: Instant,
}

impl Feel {
    /// Begins one.
    pub(super) fn begin(clients: &BTreeMap<String, Client>) -> Self {
        for client in clients.values() {
            client.recorder().reset_silence();
        }
        Self { from: Instant::now() }
    }

    /// Ends it.
    pub(super) fn end(self, clients: &BTreeMap<String, Client>) -> Felt {
        let to = Instant::now();
        let figures = |client: &Client| {
            let recorder = client.recorder();
            let silence = recorder.longest_silence();
            let samples = recorder.samples(self.from, to);
            let totals: Vec<f64> =
                samples.iter().map(|sample| f64::from(sample.total_us) / 1e3).collect();
            // The newest requests are kept; the window may hold more.
            let begin = samples.first().map_or(self.from, |sample| sample.at);
            Figures {
                p99_ms: quantile(&totals, 0.99),
                per_s: totals.len() as f64 / (to - begin).as_secs_f64().max(1e-9),
                silence_ms: silence.as_secs_f64() * 1e3,
            }
        };
        clients.iter().map(|(name, client)| (name.clone(), figures(client))).collect()
    }
}

/// Looks at memory and threads as often as asked, and says so on standard error.
pub(super) struct Watch {
    every: Option<Duration>,
    started: Instant,
    next: Instant,
    looks: Vec<(u64, u64)>,
}

impl Watch {
    /// Begins to watch, every so many seconds.
    pub(super) fn start(every: Option<u64>) -> Self {
        let now = Instant::now();
        let every = every.map(|seconds| Duration::from_secs(seconds.max(1)));
        Self { every, started: now, next: now, looks: Vec::new() }
    }

    /// Looks, when it is time.
    pub(super) fn look(&mut self) {
        let Some(every) = self.every.filter(|_| Instant::now() >= self.next) else { return };
        self.next += every;
        let Some((bytes, threads)) = usage() else { return };
        self.looks.push((bytes, threads));
        let at = self.started.elapsed().as_secs();
        eprintln!("{at:>5} s: {:.1} MiB resident, {threads} threads", bytes as f64 / 1_048_576.0);
    }

    /// Whether the process stayed as large as it was early on.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when memory or threads grew past their bound.
    pub(super) fn verdict(&self) -> Result<(), CommandError> {
        // The first third warms up: arenas grow to what the widest layout asks of them, and the
        // history to the changes that it keeps.
        let begin = (self.looks.len() / 3).max(1);
        let (Some(early), Some(late)) = (self.looks.get(begin), self.looks.last()) else {
            return Ok(());
        };
        let (bytes, threads) = (late.0.saturating_sub(early.0), late.1.saturating_sub(early.1));
        if bytes > MOST_GROWTH || threads > MOST_THREADS {
            return Err(CommandError::Failed(format!(
                "it grew by {:.1} MiB (bound {}) and {threads} threads (bound {MOST_THREADS})",
                bytes as f64 / 1_048_576.0,
                MOST_GROWTH >> 20
            )));
        }
        Ok(())
    }
}

/// Resident bytes and threads of this process; `None` where the system does not tell.
fn usage() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let number = |key: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((number("VmRSS:")? * 1024, number("Threads:")?))
}

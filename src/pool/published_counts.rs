//! Counts that the holder of the gate's lock publishes, for readers that take no lock.
//!
//! There are two buffers. The holder fills the one that is not current and then makes it current. A
//! reader that finds the same version before and after has read one consistent buffer; a holder that
//! loses its core in between leaves the current buffer untouched, so it delays no reader.

// The model checker does not switch threads here: a publication is one step to it.
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The number of published values.
const VALUES: usize = 14;

/// Counts of jobs and seats at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GateCounts {
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
    pub(super) rejected: u64,
    /// Jobs in the queue.
    pub(super) queued: u64,
    /// Jobs that seats have taken.
    pub(super) executing: u64,
    /// Runs of these jobs.
    pub(super) runs: u64,
    /// Jobs taken from the inbox so far.
    pub(super) received: u64,
    /// Seats that serve.
    pub(super) serving: u64,
    /// Serving seats that are asleep.
    pub(super) idle: u64,
    /// Serving seats whose instance is being rebuilt.
    pub(super) repairing: u64,
    /// All seats.
    pub(super) seats: u64,
    /// The serving generation.
    pub(super) generation: u64,
}

impl GateCounts {
    fn values(&self) -> [u64; VALUES] {
        [
            self.completed,
            self.failed,
            self.timed_out,
            self.cancelled,
            self.rejected,
            self.queued,
            self.executing,
            self.runs,
            self.received,
            self.serving,
            self.idle,
            self.repairing,
            self.seats,
            self.generation,
        ]
    }

    fn from_values(values: [u64; VALUES]) -> Self {
        let [
            completed,
            failed,
            timed_out,
            cancelled,
            rejected,
            queued,
            executing,
            runs,
            received,
            serving,
            idle,
            repairing,
            seats,
            generation,
        ] = values;
        Self {
            completed,
            failed,
            timed_out,
            cancelled,
            rejected,
            queued,
            executing,
            runs,
            received,
            serving,
            idle,
            repairing,
            seats,
            generation,
        }
    }
}

/// The published counts.
#[derive(Default)]
pub(super) struct PublishedCounts {
    version: AtomicU64,
    even: [AtomicU64; VALUES],
    odd: [AtomicU64; VALUES],
}

impl PublishedCounts {
    fn buffer(&self, version: u64) -> &[AtomicU64; VALUES] {
        if version.is_multiple_of(2) { &self.even } else { &self.odd }
    }

    /// Publishes counts. Only the holder of the gate's lock may call it.
    pub(super) fn publish(&self, counts: &GateCounts) {
        let version = self.version.load(Ordering::Relaxed) + 1;
        // A reader that sees one of the stores below also sees that the version has moved on.
        fence(Ordering::Release);
        for (published, value) in self.buffer(version).iter().zip(counts.values()) {
            published.store(value, Ordering::Relaxed);
        }
        self.version.store(version, Ordering::Release);
    }

    /// Returns the counts published last, with the result of `beside`, which is read while they are
    /// the last ones.
    pub(super) fn read<R>(&self, beside: impl Fn() -> R) -> (GateCounts, R) {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let mut values = [0; VALUES];
            for (value, published) in values.iter_mut().zip(self.buffer(version)) {
                *value = published.load(Ordering::Relaxed);
            }
            let beside = beside();
            fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed) == version {
                return (GateCounts::from_values(values), beside);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_names() {
        let values = std::array::from_fn(|index| index as u64 + 1);
        assert_eq!(GateCounts::from_values(values).values(), values);
    }

    #[test]
    fn readers_see_one_publication() {
        const LAST: u64 = 50_000;
        let published = PublishedCounts::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=LAST {
                    published.publish(&GateCounts::from_values([value; VALUES]));
                }
            });
            let mut newest = 0;
            while newest < LAST {
                let (counts, ()) = published.read(|| ());
                assert_eq!(counts.values(), [counts.completed; VALUES]);
                assert!(counts.completed >= newest);
                newest = counts.completed;
            }
        });
    }
}

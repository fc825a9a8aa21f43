//! The times of publications: bounds their rate and their share of a core.

use std::time::{Duration, Instant};

/// The shortest time between two publications of changes.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(25);

/// Time without a publication after each, as a multiple of its duration: under sustained changes the
/// observer takes at most a quarter of a core.
const PAUSE: u32 = 3;

/// Decides when a changed state is published.
#[derive(Default)]
pub(super) struct PublicationPacer {
    /// True if the state has changed since it was last published.
    is_stale: bool,
    /// The earliest time of the next publication; `None` before the first.
    next: Option<Instant>,
}

impl PublicationPacer {
    /// Notes that the state has changed.
    pub(super) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    /// Notes a publication.
    pub(super) fn record(&mut self, start: Instant, end: Instant) {
        let pause = end.saturating_duration_since(start).saturating_mul(PAUSE);
        self.is_stale = false;
        self.next = Some((start + SHORTEST_INTERVAL).max(end + pause));
    }

    /// Returns when the state should be published; `None` if it has not changed.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.is_stale.then(|| self.next.unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn first_change_is_due_at_once() {
        let (mut pacer, now) = (PublicationPacer::default(), Instant::now());
        assert_eq!(pacer.due(now), None);
        pacer.mark_stale();
        assert_eq!(pacer.due(now), Some(now));
    }

    #[test]
    fn publications_take_a_quarter_of_the_time() {
        let (mut pacer, start) = (PublicationPacer::default(), Instant::now());
        pacer.record(start, start + MS);
        pacer.mark_stale();
        assert_eq!(pacer.due(start + MS), Some(start + SHORTEST_INTERVAL));
        pacer.record(start, start + 100 * MS);
        assert_eq!(pacer.due(start), None, "nothing has changed since");
        pacer.mark_stale();
        assert_eq!(pacer.due(start), Some(start + 400 * MS));
    }
}

//! The requests that run under a memory limit: which may start, and which exceeded the limit together.

/// The requests of a pool that run now, and what is known of those that do not fit together.
#[derive(Default)]
pub(super) struct LimitedRuns {
    next: u64,
    now: Vec<Run>,
    /// Requests that wait to run alone, oldest first.
    waiting_alone: Vec<WaitingAlone>,
    next_waiting: u64,
    /// Requests that exceeded the limit together.
    crowd: Option<Crowd>,
    /// True if a request was told to wait since the last release.
    has_refused: bool,
    /// True if the requests that were told to wait may try again.
    is_release_due: bool,
}

/// A request that waits to run alone.
struct WaitingAlone {
    number: u64,
    /// The first run that began after the wait.
    first_later: u64,
}

/// Requests that fit the limit only a few at a time.
#[derive(Clone, Copy)]
struct Crowd {
    /// Input bytes of the smallest such request.
    from: u64,
    /// Number of such requests that may run at once, 1 or more.
    most: usize,
}

impl LimitedRuns {
    /// Returns true if a request of this size may start now, beside those that run.
    pub(super) fn may_start(&self, bytes: u64) -> bool {
        let full = self.crowd.is_some_and(|crowd| {
            let large = self.now.iter().filter(|run| run.bytes >= crowd.from).count();
            bytes >= crowd.from && large >= crowd.most
        });
        !full && !self.has_alone() && !self.must_make_way()
    }

    /// Returns true if nothing runs.
    pub(super) fn may_start_alone(&self) -> bool {
        self.now.is_empty()
    }

    /// Returns true if no request may start, so that one that waits to run alone gets its turn. While a run
    /// that began before the wait is under way, others may start: they delay it by one further run of each
    /// instance at most.
    fn must_make_way(&self) -> bool {
        let began_before =
            |wait: &WaitingAlone| self.now.iter().any(|run| run.id < wait.first_later);
        self.waiting_alone.first().is_some_and(|wait| !began_before(wait))
    }

    fn has_alone(&self) -> bool {
        self.now.iter().any(|run| run.alone)
    }

    /// Returns true if each request that runs does so alone.
    pub(super) fn are_alone(&self) -> bool {
        self.now.iter().all(|run| run.alone)
    }

    /// Records a run that starts and returns its number.
    pub(super) fn start(&mut self, bytes: u64, alone: bool) -> u64 {
        let beside = self.now.iter().map(|run| run.bytes).max();
        let id = self.next;
        self.next += 1;
        self.now.push(Run { id, bytes, peak: 0, beside, together: 1, alone });
        let sizes: Vec<u64> = self.now.iter().map(|run| run.bytes).collect();
        for run in &mut self.now {
            if run.id != id {
                run.beside = run.beside.max(Some(bytes));
            }
            let together = sizes.iter().filter(|size| **size >= run.bytes).count();
            run.together = run.together.max(together);
        }
        id
    }

    /// Removes a run that has ended.
    pub(super) fn end(&mut self, id: u64) {
        self.now.retain(|run| run.id != id);
        self.retry();
    }

    /// Records the peak of the engine's memory, which resets it, for all runs. Returns this run.
    pub(super) fn record_peak(&mut self, id: u64, peak: u64) -> Option<&Run> {
        self.now.iter_mut().for_each(|run| run.peak = run.peak.max(peak));
        self.now.iter().find(|run| run.id == id)
    }

    /// Records that a request waits to run alone, and returns the number of its wait.
    pub(super) fn wait_alone(&mut self) -> u64 {
        let (number, first_later) = (self.next_waiting, self.next);
        self.next_waiting += 1;
        self.waiting_alone.push(WaitingAlone { number, first_later });
        number
    }

    /// Ends a wait to run alone: the request runs, or was removed.
    pub(super) fn end_wait(&mut self, number: u64) {
        self.waiting_alone.retain(|wait| wait.number != number);
        self.retry();
    }

    /// Records that a request was told to wait.
    pub(super) fn refuse(&mut self) {
        self.has_refused = true;
    }

    /// Lets the requests try again that were told to wait. While one runs alone, none could start.
    fn retry(&mut self) {
        if !self.has_alone() {
            self.is_release_due |= std::mem::take(&mut self.has_refused);
        }
    }

    /// Returns true, once, if the requests that were told to wait may try again.
    pub(super) fn take_release(&mut self) -> bool {
        std::mem::take(&mut self.is_release_due)
    }

    /// Forgets which requests exceeded the limit together, because there is another limit.
    pub(super) fn forget_crowd(&mut self) {
        self.crowd = None;
        self.retry();
    }

    /// Records that `together` requests of this size exceeded the limit at once.
    pub(super) fn learn(&mut self, bytes: u64, together: usize) {
        let most = together.saturating_sub(1).max(1);
        let crowd = self.crowd.unwrap_or(Crowd { from: bytes, most });
        self.crowd = Some(Crowd { from: crowd.from.min(bytes), most: crowd.most.min(most) });
    }
}

/// The result of checking a finished run against the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RunVerdict {
    Fits,
    /// It exceeded the limit together with others and must run again alone.
    RunAlone,
}

/// One request that runs, or has just run.
#[derive(Clone, Copy)]
pub(super) struct Run {
    id: u64,
    /// Bytes of its inputs.
    pub(super) bytes: u64,
    /// The most memory that the engine reported during the run.
    pub(super) peak: u64,
    /// The largest inputs of another request that ran at the same time; `None` if none did.
    pub(super) beside: Option<u64>,
    /// The most requests of its size or more that ran at once during the run, itself included.
    pub(super) together: usize,
    /// True if no other request may start.
    alone: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_start_only_beside_older_runs() {
        let mut runs = LimitedRuns::default();
        let older = runs.start(1, false);
        let wait = runs.wait_alone();
        let later = runs.start(1, false);
        assert!(runs.may_start(1));
        runs.end(older);
        assert!(!runs.may_start(1), "the request that waits is next");
        runs.end(later);
        assert!(!runs.may_start(1) && runs.may_start_alone());
        let alone = runs.start(1, true);
        runs.end_wait(wait);
        assert!(!runs.may_start(1));
        runs.end(alone);
        assert!(runs.may_start(1));
    }

    #[test]
    fn refused_requests_try_again_once() {
        let mut runs = LimitedRuns::default();
        let alone = runs.start(1, true);
        let wait = runs.wait_alone();
        runs.refuse();
        assert!(!runs.take_release(), "nothing has ended");
        runs.end_wait(wait);
        assert!(!runs.take_release(), "none could start beside the run");
        runs.end(alone);
        assert!(runs.take_release());
        assert!(!runs.take_release());
    }

    #[test]
    fn removed_wait_lets_others_start() {
        let mut runs = LimitedRuns::default();
        let wait = runs.wait_alone();
        runs.refuse();
        runs.end_wait(wait);
        assert!(runs.may_start(1) && runs.take_release());
    }
}

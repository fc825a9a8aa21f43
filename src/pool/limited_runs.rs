//! The requests that run under a memory limit: which may start, and which exceeded the limit together.

/// The requests of a pool that run now, and what is known of those that do not fit together.
#[derive(Default)]
pub(super) struct LimitedRuns {
    pub(super) next: u64,
    pub(super) now: Vec<Run>,
    /// Requests that wait to run alone; no other request starts before them.
    pub(super) waiting_alone: usize,
    /// Requests that exceeded the limit together.
    pub(super) crowd: Option<Crowd>,
}

/// Requests that fit the limit only a few at a time.
#[derive(Clone, Copy)]
pub(super) struct Crowd {
    /// Input bytes of the smallest such request.
    from: u64,
    /// Number of such requests that may run at once, 1 or more.
    most: usize,
}

impl LimitedRuns {
    pub(super) fn may_start(&self, bytes: u64) -> bool {
        let full = self.crowd.is_some_and(|crowd| {
            let large = self.now.iter().filter(|run| run.bytes >= crowd.from).count();
            bytes >= crowd.from && large >= crowd.most
        });
        self.waiting_alone == 0 && !full && !self.now.iter().any(|run| run.alone)
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
pub(super) struct Run {
    pub(super) id: u64,
    /// Bytes of its inputs.
    pub(super) bytes: u64,
    /// The most memory that the engine reported during the run.
    pub(super) peak: u64,
    /// The largest inputs of another request that ran at the same time; `None` if none did.
    pub(super) beside: Option<u64>,
    /// The most requests of its size or more that ran at once during the run, itself included.
    pub(super) together: usize,
    /// True if no other request may start.
    pub(super) alone: bool,
}

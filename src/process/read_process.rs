//! A process of a row with its present masks.

use super::placement::{Placed, ThreadMask};
use crate::machine::{CpuSet, ForeignProcess, ProcessId};

/// A process with its present masks.
pub(super) struct ReadProcess {
    pub(super) id: ProcessId,
    pub(super) process: ForeignProcess,
    pub(super) threads: Vec<ThreadMask>,
}

impl ReadProcess {
    /// Returns the message about threads that others had moved; `None` if none was.
    pub(super) fn drift(&self, placed: Placed) -> Option<String> {
        (placed.repaired > 0).then(|| {
            let masks = self.threads.iter().map(|thread| thread.mask);
            let all = masks.fold(CpuSet::EMPTY, |all, mask| all.union(&mask));
            format!(
                "{} threads of process {} were moved from outside, to {all}; divvy moved them back",
                placed.repaired, self.id
            )
        })
    }
}

//! Oversubscription: the cores on which more threads may want to run than there are cores.

use std::collections::BTreeMap;

use super::super::desired::{DesiredState, Row};
use crate::machine::{CoreId, CpuSet};

/// Threads that cannot all have a core at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pressure {
    /// The cores that they crowd.
    pub cores: CpuSet,
    /// The number of threads beyond the number of those cores.
    pub excess: usize,
}

/// Matches threads to cores as well as possible (bipartite matching by augmenting paths), so that a
/// core counts as crowded only if no assignment of the threads within their CPU sets avoids it.
pub(super) fn pressure(state: &DesiredState) -> Pressure {
    let mut matching =
        Matching { rows: &state.rows, holders: BTreeMap::new(), taken: CpuSet::EMPTY };
    let mut pressure = Pressure::default();
    for (index, row) in state.rows.iter().enumerate() {
        let threads = row.threads * row.concurrency;
        for placed in 0..threads {
            if let Err(crowded) = matching.add_thread(index) {
                pressure.cores = pressure.cores.union(&crowded);
                pressure.excess += threads - placed;
                break;
            }
        }
    }
    pressure
}

/// The assignment of cores to rows' threads.
struct Matching<'a> {
    rows: &'a [Row],
    /// The row, by index, whose thread has a core.
    holders: BTreeMap<CoreId, usize>,
    taken: CpuSet,
}

impl Matching<'_> {
    fn cores(&self, row: usize) -> CpuSet {
        self.rows.get(row).map_or(CpuSet::EMPTY, |row| row.cores)
    }

    /// Finds a core for one more thread of a row, moving other threads along a shortest path.
    ///
    /// # Errors
    /// The crowded cores: all are taken by rows that have no other core to move to. They stay
    /// crowded, since no later path leads out of them.
    fn add_thread(&mut self, row: usize) -> Result<(), CpuSet> {
        let mut seen = CpuSet::EMPTY;
        // the rows reached, each with the core that it has a thread on
        let mut reached: Vec<(usize, Option<CoreId>)> = vec![(row, None)];
        let mut next = 0;
        while let Some((at, _)) = reached.get(next).copied() {
            let cores = self.cores(at).difference(&seen);
            if let Some(open) = cores.difference(&self.taken).lowest() {
                self.shift(&reached, at, open);
                self.taken.insert(open);
                return Ok(());
            }
            seen = seen.union(&cores);
            for core in cores.iter() {
                if let Some(holder) = self.holders.get(&core).copied()
                    && reached.iter().all(|(row, _)| *row != holder)
                {
                    reached.push((holder, Some(core)));
                }
            }
            next += 1;
        }
        Err(seen)
    }

    /// Gives `open` to the last row of the path, that row's old core to the row before it, and so
    /// on.
    fn shift(&mut self, reached: &[(usize, Option<CoreId>)], end: usize, open: CoreId) {
        let (mut row, mut core) = (end, open);
        loop {
            self.holders.insert(core, row);
            let Some((_, Some(released))) = reached.iter().find(|(at, _)| *at == row).copied()
            else {
                return;
            };
            // the search first saw the released core from the row that leads to its holder
            let before =
                reached.iter().map(|(at, _)| *at).find(|at| self.cores(*at).contains(released));
            let Some(before) = before else { return };
            (row, core) = (before, released);
        }
    }
}

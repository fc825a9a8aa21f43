//! The machine's account: who has what, and where more wants to run than can.

use std::collections::BTreeMap;

use super::super::desired::{DesiredState, Ledger, Row};
use super::draft::usable;
use crate::machine::{CoreId, CpuSet, Description};

/// Threads that cannot all have a core at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pressure {
    /// The cores that they crowd.
    pub cores: CpuSet,
    /// Threads beyond the number of those cores.
    pub excess: usize,
}

impl DesiredState {
    /// Who has what of the machine.
    pub fn ledger(&self, machine: &Description) -> Ledger {
        let allowed = usable(machine);
        let mut ledger = Ledger {
            allowed,
            quota: machine.limits.quota,
            memory_limit: machine.limits.usable_memory(),
            memory_budgeted: self.memory_budgeted(),
            ..Ledger::default()
        };
        for row in &self.rows {
            ledger.shared = ledger.shared.union(&ledger.allotted.intersection(&row.cores));
            ledger.allotted = ledger.allotted.union(&row.cores);
            if row.budget.reserve {
                ledger.reserved = ledger.reserved.union(&row.cores);
            }
            ledger.threads += row.threads * row.concurrency;
        }
        ledger.free = allowed.difference(&ledger.allotted);
        ledger.oversubscribed = self.pressure().cores;
        if ledger.quota.is_some_and(|quota| ledger.allotted.len() as f64 > quota) {
            ledger.oversubscribed = ledger.allotted;
        }
        ledger
    }

    /// The memory budgets of all models that have one, in bytes.
    pub(super) fn memory_budgeted(&self) -> u64 {
        let budgets = self.rows.iter().filter_map(|row| row.budget.memory);
        budgets.fold(0, |sum, bytes| sum.saturating_add(bytes.0))
    }

    /// Matches threads to cores as well as can be (augmenting paths), so that a core is crowded
    /// only if no placement of the threads within their sets would avoid it.
    pub(super) fn pressure(&self) -> Pressure {
        let mut matching =
            Matching { rows: &self.rows, holders: BTreeMap::new(), held: CpuSet::EMPTY };
        let mut pressure = Pressure::default();
        for (index, row) in self.rows.iter().enumerate() {
            let threads = row.threads * row.concurrency;
            for placed in 0..threads {
                if let Err(crowded) = matching.seat(index) {
                    pressure.cores = pressure.cores.union(&crowded);
                    pressure.excess += threads - placed;
                    break;
                }
            }
        }
        pressure
    }
}

/// Which row's thread has which core.
struct Matching<'a> {
    rows: &'a [Row],
    holders: BTreeMap<CoreId, usize>,
    held: CpuSet,
}

impl Matching<'_> {
    fn cores(&self, row: usize) -> CpuSet {
        self.rows.get(row).map_or(CpuSet::EMPTY, |row| row.cores)
    }

    /// Finds a core for one more thread of a row, moving others along a shortest path.
    ///
    /// # Errors
    /// The cores that are all held by rows that have nowhere else to go. They stay so: a later
    /// path never leads out of them.
    fn seat(&mut self, row: usize) -> Result<(), CpuSet> {
        let mut seen = CpuSet::EMPTY;
        // rows reached, each with the core whose holder it is
        let mut reached: Vec<(usize, Option<CoreId>)> = vec![(row, None)];
        let mut next = 0;
        while let Some((at, _)) = reached.get(next).copied() {
            let cores = self.cores(at).difference(&seen);
            if let Some(open) = cores.difference(&self.held).lowest() {
                self.shift(&reached, at, open);
                self.held.insert(open);
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

    /// Hands `open` to the row at the end of the path, its old core to the row before, and so on.
    fn shift(&mut self, reached: &[(usize, Option<CoreId>)], end: usize, open: CoreId) {
        let (mut row, mut core) = (end, open);
        loop {
            self.holders.insert(core, row);
            let Some((_, Some(left))) = reached.iter().find(|(at, _)| *at == row).copied() else {
                return;
            };
            // the search saw `left` first from the row that leads to its holder
            let before =
                reached.iter().map(|(at, _)| *at).find(|at| self.cores(*at).contains(left));
            let Some(before) = before else { return };
            (row, core) = (before, left);
        }
    }
}

//! The loans in force: what separates the layout as it is effective now from the layout as desired.

use std::time::{Duration, Instant};

use crate::machine::{Clock, CpuSet};
use crate::scheduler::lending::LoanId;
use crate::scheduler::slot::Slots;
use crate::telemetry::LoanView;

/// A loan in force. Models are identified by the generations of their slots.
pub(super) struct OpenLoan {
    pub(super) id: LoanId,
    pub(super) cores: CpuSet,
    pub(super) lender: Option<u64>,
    pub(super) borrower: u64,
    /// When it ends by itself.
    pub(super) end: Option<LoanEnd>,
}

impl OpenLoan {
    /// Returns the loan for a snapshot; `None` if one of its models is gone.
    fn view(&self, slots: &Slots) -> Option<LoanView> {
        Some(LoanView {
            id: self.id.0,
            cores: self.cores,
            lender: match self.lender {
                Some(lender) => Some(slots.name_of_generation(lender)?),
                None => None,
            },
            borrower: slots.name_of_generation(self.borrower)?,
            ends_at_unix_ms: self.end.map(|end| end.unix_ms),
        })
    }
}

/// The end of a loan, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoanEnd {
    pub(super) at: Instant,
    /// Milliseconds since 1970.
    unix_ms: u64,
}

impl LoanEnd {
    /// The end of a loan that begins now; `None` if it is too far away to be counted.
    pub(super) fn after(duration: Duration, clock: &dyn Clock) -> Option<Self> {
        let ms = u64::try_from(duration.as_millis()).ok()?;
        Some(Self {
            at: clock.now().checked_add(duration)?,
            unix_ms: clock.unix_ms().checked_add(ms)?,
        })
    }
}

/// The loans in force.
#[derive(Default)]
pub(super) struct Loans {
    pub(super) open: Vec<OpenLoan>,
    /// The number of the newest loan.
    number: u64,
}

impl Loans {
    /// Returns the number of the next loan.
    pub(super) fn next_id(&mut self) -> LoanId {
        self.number += 1;
        LoanId(self.number)
    }

    /// Returns when the first loan ends by itself; `None` if none does.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.open.iter().filter_map(|loan| Some(loan.end?.at)).min()
    }

    /// Returns the loans for a snapshot.
    pub(super) fn views(&self, slots: &Slots) -> Vec<LoanView> {
        self.open.iter().filter_map(|loan| loan.view(slots)).collect()
    }

    /// Removes a loan; `None` if it has ended.
    pub(super) fn remove(&mut self, id: LoanId) -> Option<OpenLoan> {
        let at = self.open.iter().position(|loan| loan.id == id)?;
        Some(self.open.remove(at))
    }

    /// Keeps the loans of a slot that another one replaces.
    pub(super) fn rename(&mut self, old: u64, new: u64) {
        for loan in &mut self.open {
            if loan.lender == Some(old) {
                loan.lender = Some(new);
            }
            if loan.borrower == old {
                loan.borrower = new;
            }
        }
    }

    /// Returns all cores that are lent.
    pub(super) fn lent(&self) -> CpuSet {
        self.open.iter().fold(CpuSet::EMPTY, |all, loan| all.union(&loan.cores))
    }

    /// Returns the cores of a model, given those of its row; `None` if no loan concerns it.
    pub(super) fn effective_cores(&self, generation: u64, own: CpuSet) -> Option<CpuSet> {
        let mut concerned = false;
        let mut cores = own;
        for loan in self.open.iter().filter(|loan| loan.lender == Some(generation)) {
            (cores, concerned) = (cores.difference(&loan.cores), true);
        }
        for loan in self.open.iter().filter(|loan| loan.borrower == generation) {
            (cores, concerned) = (cores.union(&loan.cores), true);
        }
        concerned.then_some(cores)
    }
}

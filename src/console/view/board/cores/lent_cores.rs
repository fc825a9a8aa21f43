//! The cores that are lent, and their borrowers.

use std::collections::BTreeMap;

use crate::console::state::ConsoleState;
use crate::machine::CoreId;

/// The loan of one core, by indices of models in the layout.
struct LentCore {
    lender: Option<usize>,
    borrower: usize,
}

/// The cores that are lent now, looked up once per frame.
pub(super) struct LentCores(BTreeMap<CoreId, LentCore>);

impl LentCores {
    /// Collects the lent cores.
    pub(super) fn of(state: &ConsoleState) -> Self {
        let index =
            |name: &str| state.snapshot.models.iter().position(|view| view.row.budget.name == name);
        let mut cores = BTreeMap::new();
        for loan in &state.snapshot.loans {
            let Some(borrower) = index(&loan.borrower) else { continue };
            let lender = loan.lender.as_deref().and_then(index);
            cores.extend(loan.cores.iter().map(|core| (core, LentCore { lender, borrower })));
        }
        Self(cores)
    }

    /// Returns the model that uses a core of these owners by a loan. A staged change of the core's
    /// owners would end its loan, so there is none then.
    pub(super) fn borrower(&self, core: CoreId, owners: &[usize]) -> Option<usize> {
        let lent = self.0.get(&core)?;
        (owners == lent.lender.as_slice()).then_some(lent.borrower)
    }
}

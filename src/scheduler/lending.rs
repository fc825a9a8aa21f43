//! Loans: cores that a model uses for a while, beside the layout.
//!
//! The layout as desired does not change, so a loan is no change: it has no journal entry and no step
//! of the history, and the version of the state stays the same.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::layout::Refusal;
use crate::machine::CpuSet;

/// The number of a loan, unique in a run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LoanId(pub u64);

impl fmt::Display for LoanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loan {}", self.0)
    }
}

/// A request for a loan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoanRequest {
    /// The cores to lend, 1 or more.
    pub cores: CpuSet,
    /// The model that does without them; `None` for cores that no model has.
    pub lender: Option<String>,
    /// The model that gets them.
    pub borrower: String,
    /// The time after which the loan ends by itself, so that a lender that has crashed leaves none
    /// behind; `None` for no limit.
    pub duration: Option<Duration>,
}

/// A loan that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// Its number.
    pub id: LoanId,
    /// One message per thread whose mask is not as asked. Empty if everything is in force.
    pub differences: Vec<String>,
}

/// Lends cores from model to model. A loan ends when it is reclaimed, after its duration, with a change
/// of the row of either model or of a row that has one of the cores, when either model is loaded again
/// or removed, and when the machine changes.
pub trait CoreLending: Send + Sync {
    /// Lends cores. On return, masks have been set and read back. Concurrency and weights stay those
    /// of the rows.
    ///
    /// # Errors
    /// [`Refusal`] if the lender does not have the cores to itself or would have none left, if they are
    /// lent already, or as for [`super::Control::request`].
    fn lend(&self, request: LoanRequest) -> Result<Loan, Refusal>;

    /// Ends a loan. On return, masks have been set and read back.
    ///
    /// # Errors
    /// [`Refusal`] if the loan has ended, or as for [`super::Control::request`].
    fn reclaim(&self, loan: LoanId) -> Result<(), Refusal>;
}

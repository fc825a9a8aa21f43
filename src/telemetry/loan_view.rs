//! One loan of cores in a snapshot.

use serde::{Deserialize, Serialize};

use crate::machine::CpuSet;

/// Cores that a model uses for a while, beside the layout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoanView {
    /// Its number, unique in this run.
    pub id: u64,
    /// The cores.
    pub cores: CpuSet,
    /// The model that does without them; `None` if no model has them.
    pub lender: Option<String>,
    /// The model that uses them.
    pub borrower: String,
    /// When the loan ends by itself, milliseconds since 1970 in UTC; `None` for no limit.
    pub ends_at_unix_ms: Option<u64>,
}

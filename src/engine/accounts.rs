//! The allocation accounts of a row's model.

use std::sync::Arc;

use crate::machine::allocation::Account;

/// The accounts of one row's use of a loaded model.
#[derive(Clone, Debug)]
pub(super) struct ModelAccounts {
    /// Allocations of the row's instances while they run requests.
    pub(super) model: Arc<Account>,
    /// Outputs from the end of their run until their last holder drops them.
    pub(super) outputs: Arc<Account>,
}

impl ModelAccounts {
    /// Opens both accounts.
    pub(super) fn open() -> Self {
        Self { model: Account::open(), outputs: Account::open_for_outputs() }
    }
}

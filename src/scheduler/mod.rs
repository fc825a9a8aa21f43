//! The scheduler: applies each change to all pools as one transaction, keeps the journal and
//! publishes snapshots.
//!
//! Two threads share the work: the owner (`owner/`) holds the state and applies changes, the
//! observer (`observer/`) samples and publishes. [`Scheduler`] is the handle to both and implements
//! [`Control`], the interface of every user interface.

mod change_request;
mod connection;
mod control;
mod enforceable;
#[cfg(test)]
mod fake_workload;
mod handle;
mod inspection;
mod layout_store;
mod lending;
mod loaded_models;
mod loading;
mod messages;
mod model_client;
mod model_directory;
mod model_key;
mod observer;
mod observer_channel;
mod options;
mod owner;
mod owner_handle;
mod process_workload;
mod shared_state;
mod slot;
mod waiting;
mod workload;

pub use change_request::{ChangeOperation, ChangeRequest};
pub use connection::Connection;
pub use control::Control;
pub use handle::Scheduler;
pub use inspection::{ModelInspection, RequestRecordings, RunLog};
pub use layout_store::{
    CurrentLayout, LayoutRevision, LayoutStore, LayoutStoreError, Profile, SaveCondition,
    SaveReceipt, SavedLayout,
};
pub use lending::{CoreLending, Loan, LoanId, LoanRequest};
pub use loaded_models::plan_change;
pub use loading::{EngineLoader, LoadRequest, LoadedModel, Loader, PreparedRequests};
pub use model_client::ModelClient;
pub use model_directory::ModelDirectory;
pub use model_key::ModelKey;
pub use options::{Options, VerdictWindows};
pub use slot::LoadOrder;

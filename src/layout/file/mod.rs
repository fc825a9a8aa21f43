//! Layout files: reading, checking, fitting to a machine, and saving with the user's comments kept.

mod check;
mod demo;
mod document;
mod faults;
mod fit;
mod keys;
mod origin;
mod parse;
mod row_keys;
mod row_tables;
mod save;
mod save_error;
mod schema;
mod server_table;
mod write;
mod write_process;

#[cfg(test)]
mod tests;

pub use check::{ModelInput, ModelNames, ModelSignature, RecordedArrays, Warning};
pub use demo::{demo, demo_for};
pub use document::Document;
pub use faults::{Fault, Faults, ReportStyle};
pub use fit::Fitted;
pub use origin::Origin;
pub use parse::FileCheck;
pub use row_keys::RowKey;
pub use save_error::SaveError;
pub use schema::schema;

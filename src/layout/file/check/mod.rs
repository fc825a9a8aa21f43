//! Checks of a layout against a machine, and against the models that it names.

pub(super) mod machine;
pub(super) mod models;
mod report;
mod reserves;

#[cfg(test)]
mod tests;

pub use models::{ModelInput, ModelNames, ModelSignature, RecordedArrays};
pub(super) use report::CheckedRow;
pub use report::Warning;
pub(super) use reserves::excess_reserves;

//! Durations of the stages of a change.

use serde::{Deserialize, Serialize};

/// Durations of the stages of a change until it is in force, in order, in microseconds. Their sum is
/// [`super::Applied::force_us`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangeStages {
    /// Until the scheduler's thread began with the change.
    pub wait_us: f64,
    /// Planning it.
    pub plan_us: f64,
    /// Removing, renaming and adding models, and moving removed ones off reserved cores.
    pub models_us: f64,
    /// Lowering bounds.
    pub bounds_us: f64,
    /// Setting masks and reading them back.
    pub masks_us: f64,
    /// Setting nice values and reading them back.
    pub nice_us: f64,
    /// Setting queue policies and memory budgets, and raising bounds.
    pub limits_us: f64,
}

//! Weights of processes: the nice values and groups by which the kernel divides a core.

mod group;
mod originals;
mod plan;
mod planner;
mod row_weight;
#[cfg(test)]
mod tests;
mod thread_nice;

pub(super) use group::manager_of;
pub(super) use originals::WeightOriginals;
pub(super) use planner::WeightPlanner;
pub(super) use row_weight::{Weight, WeightTarget};

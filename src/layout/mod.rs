//! What the operator wants: budgets, profiles, and the arithmetic of changes. Pure: nothing here
//! starts a thread, and only `file` touches the disk.

mod arithmetic;
mod budget;
mod change;
mod desired;
mod diff;
mod edits;
mod file;
mod fresh;
mod gpu;
mod gpus;
mod model_name;
pub mod placement;
mod plan;
mod sharing;
#[cfg(test)]
mod simulated;
mod units;

pub use arithmetic::{ChangeSide, LayoutOutline};
pub use budget::{
    Auto, Budget, CoreRequest, EngineChoice, InputSpec, Layout, LoadSpec, ModelSource, Objective,
    Overflow, QueuePolicy, ReplayOrder, Slo,
};
pub use change::{Change, CoreOwner, CoreSelection, Edit, Refusal};
pub use desired::{DesiredState, Ledger, Row};
pub use diff::{DiffLine, diff, plan_diff};
pub use file::{Document, Fault, Faults, Fitted, Origin, RowKey, SaveError, Warning, demo, schema};
pub use gpu::{GpuId, GpuIdError, HIGHEST_INDEX as HIGHEST_GPU};
pub use gpus::{GpuPlace, find_gpu};
pub use plan::{Plan, RowPlan};
pub use sharing::{
    ChargePlan, LoadedModelUse, RowMemory, SharingPlan, SharingRule, file_name, possible_sharers,
    sharers,
};
pub use units::{Bytes, UnitError, parse_duration, print_duration};

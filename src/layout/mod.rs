//! Layouts: the budgets of all models, changes to them, and layout files.
//!
//! Nothing here starts a thread, and only `file` accesses the disk.

mod arithmetic;
mod budget;
mod change;
mod desired;
mod diff;
mod edits;
mod file;
mod from_file;
mod gpu_check;
mod gpu_id;
mod merge;
mod metrics_url;
mod model_name;
mod phrases;
pub mod placement;
mod plan;
mod process_check;
mod process_source;
mod refusal;
mod server_limits;
mod sharing;
mod sharing_plan;
#[cfg(test)]
mod simulated;
mod units;

pub use arithmetic::{ChangeSide, LayoutOutline};
pub use budget::{
    Auto, Budget, CoreRequest, EngineChoice, InputSpec, Layout, LoadSpec, ModelSource, Objective,
    Overflow, QueuePolicy, ReplayOrder, RowSource, Slo,
};
pub use change::{Change, CoreOwner, CoreSelection, Edit};
pub use desired::{DesiredState, Ledger, Row};
pub use diff::{DiffLine, diff, plan_diff};
pub use edits::edits_between;
pub use file::{
    Document, Fault, Faults, FileCheck, Fitted, ModelInput, ModelNames, ModelSignature, Origin,
    RecordedArrays, ReportStyle, RowKey, SaveError, Warning, demo, demo_for, schema,
};
pub use from_file::{RequestOrigin, budget_from_file, budget_from_process};
pub use gpu_check::{GpuPlace, find_gpu};
pub use gpu_id::{GpuId, GpuIdError, HIGHEST_INDEX as HIGHEST_GPU};
pub use merge::{LayoutVersions, MergeConflict};
pub use metrics_url::{MetricsUrl, MetricsUrlError};
pub use model_name::short_name;
pub(crate) use model_name::{SHADOWED, SHADOWED_NAME};
pub(crate) use phrases::{cores as cores_phrase, counted, number};
pub use plan::{ExcessiveRow, MOST_THREADS_PER_CORE, Plan, RowPlan};
pub use process_source::{
    ProcessCommand, ProcessFilter, ProcessSelector, ProcessSource, RestartPolicy,
};
pub use refusal::{Refusal, RefusalKind};
pub use server_limits::{ServerKeyFault, ServerKeys, ServerLimits};
pub use sharing::{LoadedModelUse, RowMemory, SharingRule, file_name, possible_sharers, sharers};
pub use sharing_plan::{ChargePlan, SharingPlan};
pub use units::{Bytes, UnitError, parse_duration, print_duration};

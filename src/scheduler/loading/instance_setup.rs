//! The setup of a row's instances.

use crate::engine::{Device, InstanceSetup, devices};
use crate::layout::{DesiredState, Row};
use crate::machine::Gpus;

/// Returns the setup of a row's instances.
///
/// # Errors
/// A message if this process cannot use the row's GPU.
pub(in crate::scheduler) fn instance_setup(
    row: &Row,
    all: &DesiredState,
    gpus: &Gpus,
) -> Result<InstanceSetup, String> {
    // A single thread never spins. Normalised, so that the setting never causes a rebuild.
    let spinning = row.threads > 1 && row.spinning(all);
    let device = row.budget.gpu.as_ref().map(|gpu| devices::ordinal(gpu, gpus)).transpose()?;
    let memory = row.gpu_memory_each().map(|bytes| bytes.0);
    let device = device.map(|ordinal| Device { ordinal, memory });
    Ok(InstanceSetup { threads: row.threads, spinning, device })
}

//! `divvy machine`: shows the machine and the part of it that this process may use.

mod gpus;
mod map;
mod report;

pub use report::MachineReport;

use super::CommandError;
use super::stdout::{print_json, print_text};
use crate::machine::{CpuSet, this_machine};
use crate::telemetry::gpu;

/// Arguments of `divvy machine`.
#[derive(Debug, clap::Args)]
pub struct MachineArgs {
    /// Print JSON instead of the map.
    #[arg(long)]
    pub json: bool,
    /// Use only these CPUs, for example 0-3,8.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CpuSet>,
}

/// Prints the map or the JSON.
///
/// # Errors
/// [`CommandError::BadInput`] when `--cores` names a CPU that this process may not use,
/// [`CommandError::Failed`] when standard output cannot be written.
pub fn run(args: &MachineArgs) -> Result<(), CommandError> {
    let machine = this_machine(args.cores)?;
    let report = MachineReport {
        version: MachineReport::VERSION,
        description: machine.describe(),
        memory: machine.memory(),
        gpus: gpu::list(),
    };
    if args.json { print_json(&report) } else { print_text(map::draw(&report)) }
}

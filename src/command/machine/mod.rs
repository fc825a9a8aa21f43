//! `divvy machine`: what this machine is and what of it this process may use, as a map or as JSON.

mod gpus;
mod map;

use std::io::{self, ErrorKind, Write};

use serde::{Deserialize, Serialize};

use super::CommandError;
use crate::machine::{CpuSet, Description, MemoryUse, this_machine};
use crate::telemetry::{GpuView, gpu};

/// What `divvy machine` takes.
#[derive(Debug, clap::Args)]
pub struct MachineArgs {
    /// Prints JSON instead of the map.
    #[arg(long)]
    pub json: bool,
    /// Uses only these CPUs, a list like 0-3,8.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CpuSet>,
}

/// What `divvy machine --json` prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineReport {
    /// Version of this format; raised when a field changes its meaning or goes away.
    pub version: u32,
    /// Cores, limits and notes.
    #[serde(flatten)]
    pub description: Description,
    /// Memory of the machine and of this process, in bytes.
    pub memory: MemoryUse,
    /// The NVIDIA GPUs.
    pub gpus: GpuView,
}

impl MachineReport {
    /// The version of the format that this build writes.
    pub const VERSION: u32 = 1;
}

/// Prints the map or the JSON.
///
/// # Errors
/// [`CommandError`] when `--cores` names a CPU that this process may not use, or the output cannot
/// be written.
pub fn run(args: &MachineArgs) -> Result<(), CommandError> {
    let machine = this_machine(args.cores)?;
    let report = MachineReport {
        version: MachineReport::VERSION,
        description: machine.describe(),
        memory: machine.memory(),
        gpus: gpu::list(),
    };
    let text = if args.json {
        let json = serde_json::to_string_pretty(&report)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        format!("{json}\n")
    } else {
        map::draw(&report)
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader of a pipe, `head` for one, has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

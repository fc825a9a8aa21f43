//! The cost of process rows: CPU time of the scans and samples of 50 processes with 2,000 threads, and the
//! time until a change that exchanges the cores of a process of 64 threads and a model is in force.

mod program;
mod sampling;
mod swaps;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use self::program::ThreadWork;
use self::sampling::SamplingReport;
use self::swaps::SwapReport;
use super::BenchArgs;
use super::report::{Setting, Table, print};
use crate::command::CommandError;
use crate::machine::this_machine;

/// The report.
#[derive(Debug, Serialize)]
struct ProcessesReport {
    #[serde(flatten)]
    setting: Setting,
    sampling: SamplingReport,
    swaps: Vec<SwapReport>,
}

impl fmt::Display for ProcessesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting.title())?;
        let sampling = &self.sampling;
        let mut table =
            Table::new(&["", "processes", "threads", "scans", "ms per scan", "core", "target"]);
        table.row(vec![
            "scan and sample".to_owned(),
            sampling.processes.to_string(),
            sampling.threads.to_string(),
            sampling.scans.to_string(),
            format!("{:.2}", sampling.scan_ms),
            format!("{:.2} %", sampling.core * 100.0),
            format!("< {:.0} %", sampling.target * 100.0),
        ]);
        writeln!(f, "{table}")?;
        let head = ["cores exchanged, us", "threads", "count", "p50", "p99", "max", "target p99"];
        let mut table = Table::new(&head);
        for swap in &self.swaps {
            table.row(vec![
                swap.case.to_owned(),
                swap.threads.to_string(),
                swap.count.to_string(),
                format!("{:.0}", swap.p50_us),
                format!("{:.0}", swap.p99_us),
                format!("{:.0}", swap.max_us),
                format!("< {:.0}", swap.target_us),
            ]);
        }
        write!(f, "{table}")
    }
}

/// Runs it, or the program that a parent process asks for.
///
/// # Errors
/// [`CommandError::Failed`] if the programs or the scheduler cannot be started, or a change is refused.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    if let Some(case) = &args.case {
        return program::run(case);
    }
    let description = this_machine(None)?.describe();
    let window = Duration::from_secs_f64(args.seconds / 3.0);
    let report = ProcessesReport {
        sampling: sampling::measure(&description, window)?,
        swaps: vec![
            swaps::measure(ThreadWork::Sleep, window)?,
            swaps::measure(ThreadWork::Short, window)?,
        ],
        setting: Setting::new("processes", args, &description, "no-op".to_owned()),
    };
    print(args, &report)
}

//! The CPU time of scans and samples.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::program::{Program, ProgramCase, ThreadWork};
use crate::command::CommandError;
use crate::command::bench::pools::TIMEOUT;
use crate::command::bench::report::ratio;
use crate::machine::{Description, Machine, NamedThread, process_threads, this_machine};
use crate::process::{ProcessHost, ProcessOptions, ProcessRow};

/// The number of processes.
const PROCESSES: usize = 50;

/// The threads of each process.
const THREADS: usize = 40;

/// The name of the thread that scans and samples.
const HOST_THREAD: &str = "divvy-processes";

/// Upper limit of the CPU time, in cores.
const TARGET: f64 = 0.02;

/// The cost of scans and samples, one per second.
#[derive(Debug, Serialize)]
pub(super) struct SamplingReport {
    pub(super) processes: usize,
    pub(super) threads: usize,
    pub(super) scans: usize,
    /// CPU time per scan and sample, in milliseconds.
    pub(super) scan_ms: f64,
    /// CPU time in cores.
    pub(super) core: f64,
    pub(super) target: f64,
}

/// Measures it for a while. Every row has a budget of all cores, so that all threads are sampled.
///
/// # Errors
/// [`CommandError::Failed`] if the programs or the host cannot be started.
pub(super) fn measure(
    description: &Description,
    window: Duration,
) -> Result<SamplingReport, CommandError> {
    let case = ProgramCase { threads: THREADS, work: ThreadWork::Sleep };
    let programs: Vec<Program> =
        (0..PROCESSES).map(|_| Program::start(case)).collect::<Result<_, _>>()?;
    let host = ProcessHost::start(ProcessOptions::default())?;
    let rows: Vec<Arc<ProcessRow>> = programs
        .iter()
        .enumerate()
        .map(|(at, program)| {
            let row = host.row(&format!("row-{at}"), &program.source());
            row.set_budget(&description.limits.allowed);
            row.pin(description.limits.allowed);
            row
        })
        .collect();
    let until = Instant::now() + TIMEOUT;
    while rows.iter().any(|row| row.sample().used.wait.is_none_or(|_| !has_all_threads(row))) {
        if Instant::now() >= until {
            return Err(CommandError::Failed("the programs are not sampled".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let machine = this_machine(None)?;
    let before = cpu_ns(&*machine);
    let start = Instant::now();
    let mut scans = 0;
    let mut last = host.others();
    while start.elapsed() < window {
        std::thread::sleep(Duration::from_millis(5));
        let others = host.others();
        if !Arc::ptr_eq(&others, &last) {
            scans += 1;
            last = others;
        }
    }
    let spent = cpu_ns(&*machine).saturating_sub(before) as f64;
    Ok(SamplingReport {
        processes: PROCESSES,
        threads: PROCESSES * THREADS,
        scans,
        scan_ms: ratio(spent / 1e6, scans as f64),
        core: ratio(spent, start.elapsed().as_nanos() as f64),
        target: TARGET,
    })
}

fn has_all_threads(row: &ProcessRow) -> bool {
    row.sample().view.thread_count == THREADS
}

/// Returns the CPU time of the host's thread.
fn cpu_ns(machine: &dyn Machine) -> u64 {
    let is_host = |thread: &NamedThread| thread.name == HOST_THREAD;
    let thread = process_threads().into_iter().find(is_host);
    thread.and_then(|thread| machine.thread_times(thread.id)).map_or(0, |times| times.cpu_ns)
}

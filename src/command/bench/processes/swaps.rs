//! The time until an exchange of cores between a process and a model is in force.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::program::{Program, ProgramCase, ThreadWork};
use crate::command::CommandError;
use crate::command::bench::apply::until_running;
use crate::command::bench::by_name::NoopLoader;
use crate::command::bench::report::quantile;
use crate::layout::{Auto, Budget, Change, CoreRequest, Edit, Layout, ModelSource};
use crate::machine::{CpuSet, this_machine};
use crate::process::{ProcessHost, ProcessOptions};
use crate::scheduler::{Control, Options, Scheduler};
use crate::telemetry::Author;

/// The threads of the process.
const THREADS: usize = 64;

/// Time between two changes.
const PAUSE: Duration = Duration::from_millis(10);

/// Upper limit of the p99, in microseconds.
const TARGET_US: f64 = 2000.0;

/// Time until an exchange is in force, in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct SwapReport {
    pub(super) case: &'static str,
    pub(super) threads: usize,
    pub(super) count: usize,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
    pub(super) target_us: f64,
}

/// Exchanges the cores of a process and of a model for a while.
///
/// # Errors
/// [`CommandError::Failed`] on a machine with one CPU, if the scheduler does not start, or if a change is
/// refused or not in force.
pub(super) fn measure(work: ThreadWork, window: Duration) -> Result<SwapReport, CommandError> {
    let machine = this_machine(None)?;
    let mut cores =
        machine.describe().limits.allowed.iter().map(CpuSet::single).collect::<Vec<_>>();
    cores.truncate(2);
    let [first, second] = cores.as_slice() else {
        return Err(CommandError::Failed("an exchange of cores takes two CPUs".to_owned()));
    };
    let program = Program::start(ProgramCase { threads: THREADS, work })?;
    let host = Arc::new(ProcessHost::start(ProcessOptions::default())?);
    let mut process = Budget::new("process", program.source());
    process.cores = CoreRequest::List(*first);
    let mut model = Budget::new("model", ModelSource::Embedded("noop.onnx".to_owned()));
    model.cores = CoreRequest::List(*second);
    model.concurrency = Auto::Exactly(1);
    model.threads = Auto::Exactly(1);
    let layout = Layout { description: "bench processes".to_owned(), models: vec![process, model] };
    let mut options = Options::new(machine, Arc::new(NoopLoader));
    options.processes = Some(host.clone());
    let scheduler = Scheduler::start(&layout, options)
        .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
    until_running(&scheduler)?;
    let (mut times, start) = (Vec::new(), Instant::now());
    let (mut of_process, mut of_model) = (*first, *second);
    while start.elapsed() < window {
        std::mem::swap(&mut of_process, &mut of_model);
        let set = |model: &str, cores: CpuSet| Edit::SetCores {
            model: model.to_owned(),
            cores: CoreRequest::List(cores),
        };
        let change = Change { edits: vec![set("process", of_process), set("model", of_model)] };
        let applied = scheduler
            .apply(change, Author::Api)
            .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
        if let Some(difference) = applied.differences.first() {
            return Err(CommandError::Failed(difference.clone()));
        }
        times.push(applied.force_us as f64);
        std::thread::sleep(PAUSE);
    }
    scheduler.stop(Duration::from_secs(1));
    host.end();
    Ok(SwapReport {
        case: match work {
            ThreadWork::Sleep => "sleeping threads",
            ThreadWork::Short => "working threads",
        },
        threads: THREADS,
        count: times.len(),
        p50_us: quantile(&times, 0.5),
        p99_us: quantile(&times, 0.99),
        max_us: times.iter().copied().fold(0.0, f64::max),
        target_us: TARGET_US,
    })
}

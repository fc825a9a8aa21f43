//! `divvy bench NAME`: measures what divvy promises.
//!
//! Both sides of a comparison run in the same process in turns, so that a busy machine disturbs them
//! alike: compare ratios, not times.

mod apply;
mod args;
mod by_name;
#[cfg(unix)]
mod control;
mod dispatch;
mod divide;
mod frame;
mod memory;
mod metrics;
mod models;
mod overhead;
mod pools;
mod processes;
mod report;
mod start;
mod verdict;
mod verdict_streams;
mod worker_loop;

pub use args::{BenchArgs, BenchEngine, BenchName};

use super::CommandError;

/// Runs a benchmark.
///
/// # Errors
/// [`CommandError::BadInput`] for a model that cannot be loaded, [`CommandError::Failed`] when the
/// measurement fails or a request is lost.
pub fn run(args: &BenchArgs) -> Result<(), CommandError> {
    if args.engine == BenchEngine::Both {
        return [BenchEngine::Onnxruntime, BenchEngine::Rten]
            .into_iter()
            .try_for_each(|engine| run(&BenchArgs { engine, ..args.clone() }));
    }
    match args.name {
        BenchName::Apply => apply::run(args),
        #[cfg(unix)]
        BenchName::Control => control::run(args),
        BenchName::Dispatch => dispatch::run(args),
        BenchName::Divide => divide::run(args),
        BenchName::Frame => frame::run(args),
        BenchName::Memory => memory::run(args),
        BenchName::Metrics => metrics::run(args),
        BenchName::Overhead => overhead::run(args),
        BenchName::Processes => processes::run(args),
        BenchName::Start => start::run(args),
        BenchName::Verdict => verdict::run(args),
    }
}

//! The arguments of `divvy bench`.

use std::path::PathBuf;

/// The arguments of `divvy bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// The benchmark.
    #[arg(value_enum)]
    pub name: BenchName,
    /// Models to run instead of the demo's three (apply, divide, memory, overhead); memory also accepts
    /// a layout.
    #[arg(value_name = "MODEL.onnx")]
    pub models: Vec<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Seconds to measure, all windows together.
    #[arg(long, value_name = "N", default_value_t = 30.0, value_parser = seconds)]
    pub seconds: f64,
    /// Seed of changes, arrivals and streams.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed)]
    pub seed: u64,
    /// The engine.
    #[arg(long, value_enum, default_value_t = BenchEngine::Auto)]
    pub engine: BenchEngine,
    /// The ONNX Runtime library to use.
    #[arg(long, value_name = "PATH")]
    pub ort_dylib: Option<PathBuf>,
    /// Changes per second (apply).
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = rate)]
    pub changes: f64,
    /// Trials per stream and case (verdict).
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = trials)]
    pub trials: u64,
    /// Print memory and threads to standard error every N seconds (apply).
    #[arg(long, value_name = "N", value_parser = whole_seconds)]
    pub watch: Option<u64>,
    /// One case of the benchmark in JSON, for its child processes (memory, processes).
    #[arg(long, hide = true)]
    pub case: Option<String>,
}

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchName {
    /// Random changes under full load: time until in force, longest gap, lost requests.
    Apply,
    /// Time of a change over the control socket, compared with one in process; size of a large snapshot.
    #[cfg(unix)]
    Control,
    /// Cost of a request in the pool, compared with tokio's `spawn_blocking` and rayon; throughput of one
    /// pool with 1, 2, 4 and 8 workers.
    Dispatch,
    /// Latency and throughput of default sessions, bounded sharing and divided cores.
    Divide,
    /// Time to draw a frame of the console and to plan a change, on a small and a large machine.
    Frame,
    /// Memory per model and part, compared with the resident set; one and four instances.
    Memory,
    /// Time of a scrape of `/metrics` with 64 models.
    Metrics,
    /// Throughput of the pool, compared with a bare loop over the engine.
    Overhead,
    /// Cost of scanning and sampling processes, and time until their cores have moved.
    Processes,
    /// Time from the start of the program to the demo's first completed request.
    Start,
    /// Rates of false and of missed verdicts.
    Verdict,
}

/// The engines of `divvy bench --engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchEngine {
    /// ONNX Runtime if it is found, else rten.
    Auto,
    /// ONNX Runtime.
    Onnxruntime,
    /// The embedded engine.
    Rten,
    /// ONNX Runtime, then the embedded engine, one report each.
    Both,
    /// No engine: requests that only burn CPU time.
    Synthetic,
}

fn number(text: &str, low: f64, high: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(format!("must be a number from {low} to {high}")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.5, 86_400.0)
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        _ => Err("must be a whole number of seconds, 1 or more".to_owned()),
    }
}

fn trials(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(trials @ 1..=100_000) => Ok(trials),
        _ => Err("must be a whole number from 1 to 100000".to_owned()),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "must be a whole number, 0 or more".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.1, 100_000.0)
}

//! The arguments of `divvy bench`.

use std::path::PathBuf;

/// The arguments of `divvy bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Which one.
    #[arg(value_enum)]
    pub name: BenchName,
    /// Models to run instead of the three of the demo (apply, divide, memory, overhead); memory
    /// takes a layout too.
    #[arg(value_name = "MODEL.onnx")]
    pub models: Vec<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// How long to measure, in seconds, all windows together.
    #[arg(long, value_name = "N", default_value_t = 30.0, value_parser = seconds)]
    pub seconds: f64,
    /// Seeds changes, arrivals and streams.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The engine.
    #[arg(long, value_enum, default_value_t = BenchEngine::Auto)]
    pub engine: BenchEngine,
    /// The ONNX Runtime library to use.
    #[arg(long, value_name = "PATH")]
    pub ort_dylib: Option<PathBuf>,
    /// Changes a second (apply).
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = rate)]
    pub changes: f64,
    /// Print memory and threads to standard error every so many seconds (apply).
    #[arg(long, value_name = "N")]
    pub watch: Option<u64>,
    /// One case of the memory bench, in JSON: what it starts its own processes with.
    #[arg(long, hide = true)]
    pub case: Option<String>,
}

/// The benches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchName {
    /// Random changes under full load: time until in force, silence, nothing lost.
    Apply,
    /// The pool around a no-op model, beside tokio's `spawn_blocking` and rayon.
    Dispatch,
    /// Default sessions, bounded sharing and divided cores, by latency and throughput.
    Divide,
    /// A frame of the console on a small and on a huge machine, and the plan of a change.
    Frame,
    /// Memory by model and part, beside the resident set; four instances beside one.
    Memory,
    /// The pool beside a bare loop over the engine.
    Overhead,
    /// From starting the program to the first completed request of the demo.
    Start,
    /// False claims and missed slow-downs of verdicts.
    Verdict,
}

/// The engines that a bench can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchEngine {
    /// ONNX Runtime where it is found, else rten.
    Auto,
    /// ONNX Runtime.
    Onnxruntime,
    /// The embedded engine.
    Rten,
    /// ONNX Runtime, then the embedded engine, a report each.
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

fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.1, 100_000.0)
}

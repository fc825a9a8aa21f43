//! `divvy inspect`: what a model takes, gives and needs, and which engines load it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::CommandError;
use crate::engine::onnx::ModelFile;
use crate::engine::rten::Rten;
use crate::engine::{Engine, Engines, TensorSpec};
use crate::layout::{Bytes, EngineChoice, ModelSource};

/// Arguments of `divvy inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The ONNX file, or the name of an embedded model (detector.onnx).
    pub model: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The library of ONNX Runtime to try.
    #[arg(long, value_name = "PATH")]
    pub ort_dylib: Option<PathBuf>,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    file: &'a ModelFile,
    /// The names that `dims` may set.
    open_dims: Vec<String>,
    engines: Vec<Attempt>,
}

/// Whether an engine loads the model.
#[derive(Debug, Serialize)]
struct Attempt {
    engine: String,
    loads: bool,
    /// How long loading took.
    load_us: Option<u64>,
    /// Why it does not load.
    reason: Option<String>,
}

/// Reads the model, tries the engines, and prints.
///
/// # Errors
/// [`CommandError::BadInput`] when the file is no model that divvy can read, or no engine that is
/// there loads it.
pub fn run(args: &InspectArgs) -> Result<(), CommandError> {
    let source = source(args);
    let file =
        ModelFile::read(&source).map_err(|error| CommandError::BadInput(error.to_string()))?;
    let engines = Engines::new(EngineChoice::Auto, args.ort_dylib.clone());
    let mut attempts = vec![attempt(&Rten::default(), &source)];
    attempts.push(match engines.onnxruntime() {
        Ok(engine) => attempt(&engine, &source),
        Err(error) => Attempt {
            engine: "ONNX Runtime".to_owned(),
            loads: false,
            load_us: None,
            reason: Some(error.to_string()),
        },
    });
    let is_loaded = attempts.iter().any(|attempt| attempt.loads);
    if args.json {
        let report =
            Report { file: &file, open_dims: file.signature.open_dim_names(), engines: attempts };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", text(&file, &attempts));
    }
    if is_loaded {
        return Ok(());
    }
    Err(CommandError::BadInput(format!("no engine here loads {}", file.title)))
}

/// A bare name of an embedded model means that one, unless there is such a file.
fn source(args: &InspectArgs) -> ModelSource {
    match args.model.to_str() {
        Some(name) if !args.model.exists() && crate::engine::embedded::bytes(name).is_some() => {
            ModelSource::Embedded(name.to_owned())
        }
        _ => ModelSource::File(args.model.clone()),
    }
}

fn attempt(engine: &dyn Engine, source: &ModelSource) -> Attempt {
    let start = Instant::now();
    let loaded = engine.load(source);
    let time = start.elapsed();
    Attempt {
        engine: engine.title(),
        loads: loaded.is_ok(),
        load_us: loaded.is_ok().then(|| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        reason: loaded.err().map(|error| error.to_string()),
    }
}

fn text(file: &ModelFile, attempts: &[Attempt]) -> String {
    let mut lines = vec![file.title.clone()];
    let opsets: Vec<String> =
        file.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    lines.push(format!("  operator sets  {} (format {})", opsets.join(", "), file.ir_version));
    if !file.producer.is_empty() {
        lines.push(format!("  written by     {}", file.producer));
    }
    let beside = match file.external_bytes {
        0 => String::new(),
        bytes => format!(
            ", and {} in {}",
            size(bytes),
            file.external_files.iter().cloned().collect::<Vec<_>>().join(", ")
        ),
    };
    lines.push(format!("  size           {}{beside}", size(file.file_bytes)));
    lines.push(format!(
        "  weights        {} in {} elements",
        size(file.weight_bytes),
        file.parameters
    ));
    lines.push("  inputs".to_owned());
    lines.extend(file.signature.inputs.iter().map(|spec| input_line(file, spec)));
    let open = file.signature.open_dim_names();
    if !open.is_empty() {
        lines.push(format!("  open dims      {} (sizes are set by `dims`)", open.join(", ")));
    }
    lines.push("  outputs".to_owned());
    lines.extend(
        file.signature
            .outputs
            .iter()
            .map(|spec| format!("    {}  {} {}", spec.name, spec.element, spec.output_dims())),
    );
    for (name, reason) in &file.skipped_outputs {
        lines.push(format!("    {name}  left out: {reason}"));
    }
    lines.push("  operators".to_owned());
    let mut operators: Vec<(&String, &u64)> = file.operators.iter().collect();
    operators.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    lines.extend(operators.iter().map(|(name, count)| format!("    {count:>6}  {name}")));
    lines.push("  engines".to_owned());
    lines.extend(attempts.iter().map(attempt_line));
    lines.join("\n") + "\n"
}

/// A size, rounded.
fn size(bytes: u64) -> String {
    Bytes(bytes).rounded()
}

fn input_line(file: &ModelFile, spec: &TensorSpec) -> String {
    let bound = match file.index_bounds.get(&spec.name) {
        Some(bound) => format!("  indices below {bound}"),
        None => String::new(),
    };
    format!("    {}  {} {}{bound}", spec.name, spec.element, spec.input_dims())
}

fn attempt_line(attempt: &Attempt) -> String {
    match (&attempt.reason, attempt.load_us) {
        (Some(reason), _) => format!("    {}  no: {reason}", attempt.engine),
        (None, time) => {
            let time = Duration::from_micros(time.unwrap_or_default());
            format!("    {}  loads it, in {:.1} ms", attempt.engine, time.as_secs_f64() * 1e3)
        }
    }
}

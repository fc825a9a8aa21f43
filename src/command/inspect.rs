//! `divvy inspect`: what a model takes, gives and needs, and which engines load it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::CommandError;
use crate::engine::onnx::ModelFile;
use crate::engine::{EngineError, Engines, InstanceSetup, TensorSpec};
use crate::layout::{Budget, Bytes, EngineChoice, LoadSpec, ModelSource};
use crate::scheduler::{EngineLoader, LoadRequest, Loader};

/// Arguments of `divvy inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The ONNX file, or the name of an embedded model (detector.onnx).
    pub model: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Run one request with synthesized inputs on each engine.
    #[arg(long)]
    pub run: bool,
    /// Print the engines' own messages too.
    #[arg(short, long)]
    pub verbose: bool,
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

/// The result of loading the model on an engine, and of one request.
#[derive(Debug, Serialize)]
struct Attempt {
    engine: String,
    loads: bool,
    /// Duration of loading, in microseconds.
    load_us: Option<u64>,
    /// True if the request succeeded; `None` if none was run.
    runs: Option<bool>,
    /// Duration of the request, in microseconds.
    run_us: Option<u64>,
    /// Open dimensions whose size was guessed for the request.
    guessed_dims: BTreeMap<String, usize>,
    /// Why the model does not load or the request failed.
    reason: Option<String>,
    /// The engine's own message.
    engine_message: Option<String>,
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
    let engines = Arc::new(Engines::new(EngineChoice::Auto, args.ort_dylib.clone()));
    let attempts: Vec<Attempt> = [EngineChoice::Rten, EngineChoice::OnnxRuntime]
        .map(|choice| attempt(&engines, choice, &source, args.run))
        .into();
    let is_loaded = attempts.iter().any(|attempt| attempt.loads);
    if args.json {
        let report =
            Report { file: &file, open_dims: file.signature.open_dim_names(), engines: attempts };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", text(&file, &attempts, args.verbose));
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

fn attempt(
    engines: &Arc<Engines>,
    choice: EngineChoice,
    source: &ModelSource,
    is_run: bool,
) -> Attempt {
    let mut attempt = Attempt {
        engine: "ONNX Runtime".to_owned(),
        loads: false,
        load_us: None,
        runs: None,
        run_us: None,
        guessed_dims: BTreeMap::new(),
        reason: None,
        engine_message: None,
    };
    if let Err(error) = attempt.load(engines, choice, source, is_run) {
        attempt.reason = Some(error.to_string());
        attempt.engine_message = error.raw().map(str::to_owned);
    }
    attempt
}

impl Attempt {
    fn load(
        &mut self,
        engines: &Arc<Engines>,
        choice: EngineChoice,
        source: &ModelSource,
        is_run: bool,
    ) -> Result<(), EngineError> {
        let engine = engines.engine_for(choice)?;
        self.engine = engine.title();
        let start = Instant::now();
        let model = engine.load(source)?;
        self.loads = true;
        self.load_us = Some(micros(start));
        if is_run {
            self.runs = Some(false);
            let mut budget = Budget::new("model", source.clone());
            budget.engine = choice;
            // With a load, the guessed request has to run.
            budget.load = Some(LoadSpec::Constant { rate: 1.0 });
            let requests =
                EngineLoader::new(Arc::clone(engines)).load(&LoadRequest::alone(budget))?.requests;
            self.guessed_dims = requests.guessed_dims;
            let inputs = requests.inputs.first().cloned().unwrap_or_default();
            let mut instance = model.instance(InstanceSetup::cpu(1))?;
            let start = Instant::now();
            instance.run(&inputs)?;
            self.run_us = Some(micros(start));
            self.runs = Some(true);
        }
        Ok(())
    }
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn text(file: &ModelFile, attempts: &[Attempt], is_verbose: bool) -> String {
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
    if is_verbose {
        lines.extend(attempts.iter().filter_map(message_lines));
    }
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
    let ms = |us: Option<u64>| format!("{:.1} ms", us.unwrap_or_default() as f64 / 1e3);
    let engine = &attempt.engine;
    let loads = || format!("    {engine}  loads it, in {}", ms(attempt.load_us));
    match (&attempt.reason, attempt.runs) {
        (Some(reason), Some(_)) => format!("{}; the request failed: {reason}", loads()),
        (Some(reason), None) => format!("    {engine}  no: {reason}"),
        (None, Some(_)) => format!("{}, and runs a request in {}", loads(), ms(attempt.run_us)),
        (None, None) => loads(),
    }
}

fn message_lines(attempt: &Attempt) -> Option<String> {
    let message = attempt.engine_message.as_ref()?;
    Some(format!("  {}'s own message\n    {}", attempt.engine, message.replace('\n', "\n    ")))
}

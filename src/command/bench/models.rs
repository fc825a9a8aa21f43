//! The models of a benchmark: those of the command line, or the demo's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{BenchArgs, BenchEngine};
use crate::command::CommandError;
use crate::engine::synthetic::{Script, SyntheticModel};
use crate::engine::{EngineError, EngineKind, Engines};
use crate::layout::{Budget, EngineChoice, ModelSource};
use crate::scheduler::{EngineLoader, LoadRequest, LoadedModel, Loader, PreparedRequests};

/// CPU time per request of the synthetic engine's models, in the demo's order.
const BURNS: [(&str, Duration); 3] = [
    ("detector", Duration::from_millis(2)),
    ("embedder", Duration::from_millis(1)),
    ("ranker", Duration::from_micros(200)),
];

/// A loader of models that only use CPU time.
struct SyntheticLoader;

impl Loader for SyntheticLoader {
    fn load(&self, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
        let budget = &request.budget;
        let known = BURNS.iter().find(|(name, _)| *name == budget.name);
        let burn = known.map_or(Duration::from_millis(1), |(_, burn)| *burn);
        let script = Script::default();
        script.burn_ns.store(burn.as_nanos() as u64, Ordering::Relaxed);
        Ok(LoadedModel {
            model: Arc::new(SyntheticModel::new(Arc::new(script))),
            engine: EngineKind::Synthetic,
            title: "synthetic".to_owned(),
            requests: PreparedRequests {
                inputs: vec![Arc::default()],
                ..PreparedRequests::default()
            },
        })
    }
}

/// Returns the loader of the chosen engine.
pub(super) fn loader(args: &BenchArgs) -> Arc<dyn Loader> {
    let choice = match args.engine {
        BenchEngine::Synthetic => return Arc::new(SyntheticLoader),
        // `both` runs the benchmark once per engine
        BenchEngine::Auto | BenchEngine::Both => EngineChoice::Auto,
        BenchEngine::Onnxruntime => EngineChoice::OnnxRuntime,
        BenchEngine::Rten => EngineChoice::Rten,
    };
    Arc::new(EngineLoader::new(Arc::new(Engines::new(choice, args.ort_dylib.clone()))))
}

/// Returns one row per model.
pub(super) fn budgets(args: &BenchArgs) -> Result<Vec<Budget>, CommandError> {
    if args.models.is_empty() {
        let row = |(name, _): &(&str, Duration)| {
            Budget::new(*name, ModelSource::Embedded(format!("{name}.onnx")))
        };
        return Ok(BURNS.iter().map(row).collect());
    }
    let mut budgets: Vec<Budget> = Vec::new();
    for path in &args.models {
        let path = std::path::absolute(path)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let mut name = stem.unwrap_or_else(|| path.display().to_string());
        if budgets.iter().any(|budget| budget.name == name) {
            name = format!("{name}-{}", budgets.len() + 1);
        }
        budgets.push(Budget::new(name, ModelSource::File(path)));
    }
    Ok(budgets)
}

/// A loaded model and its name.
pub(super) struct BenchModel {
    /// Its name.
    pub name: String,
    /// The model and its requests.
    pub loaded: LoadedModel,
}

/// Loads all models of the benchmark.
///
/// # Errors
/// [`CommandError::BadInput`] when one cannot be loaded.
pub(super) fn load_models(args: &BenchArgs) -> Result<Vec<BenchModel>, CommandError> {
    let loader = loader(args);
    let load = |budget: Budget| {
        let loaded = loader
            .load(&LoadRequest::alone(budget.clone()))
            .map_err(|error| CommandError::BadInput(format!("{}: {error}", budget.name)))?;
        Ok(BenchModel { name: budget.name, loaded })
    };
    budgets(args)?.into_iter().map(load).collect()
}

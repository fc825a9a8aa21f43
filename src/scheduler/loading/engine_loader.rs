//! The loader of the program: models through the engines, requests from a recording or synthesized
//! from the model's signature.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::dimension_guesses::guesses;
use super::loader::{LoadRequest, LoadedModel, Loader, PreparedRequests};
use crate::engine::inputs::{self, InputRules};
use crate::engine::onnx::ModelFile;
use crate::engine::{EngineError, EngineKind, Engines, Instance, Model, NamedTensor, npy, rten};
use crate::layout::{Budget, Bytes, LoadSpec, ModelSource};
use crate::machine::resident::baseline;
use crate::machine::{ThreadId, panic_message};

/// Different synthesized requests per model, so that the load is not answered from a cache.
const VARIANTS: u64 = 4;

/// Loads models through the engines.
pub struct EngineLoader {
    engines: Arc<Engines>,
}

impl EngineLoader {
    /// A loader over these engines.
    pub fn new(engines: Arc<Engines>) -> Self {
        Self { engines }
    }
}

impl Loader for EngineLoader {
    fn load(&self, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
        baseline();
        let budget = &request.budget;
        let engine = self.engines.engine_for(budget.engine)?;
        if budget.gpu.is_some() && engine.kind() == EngineKind::Rten {
            // Checked before the GPU is looked up in CUDA, whose error would mislead here.
            return Err(rten::cpu_only_error());
        }
        require_memory(budget, request.sharers)?;
        let source = model_source(budget)?;
        let model = match request.setup {
            // If no such instance can be built, the load succeeds or fails without it, and the build
            // reports the reason.
            Some(setup) => engine.load_for(source, setup).or_else(|_| engine.load(source))?,
            None => engine.load(source)?,
        };
        let requests = requests(budget, &*model)?;
        Ok(LoadedModel { model, engine: engine.kind(), title: engine.title(), requests })
    }

    fn threads(&self) -> Vec<ThreadId> {
        rten::loading_threads()
    }
}

/// Returns the source of a row's model.
fn model_source(budget: &Budget) -> Result<&ModelSource, EngineError> {
    let not_a_model = || EngineError::Unavailable {
        reason: format!("{} is a process: there is no model to load", budget.name),
    };
    budget.source.model().ok_or_else(not_a_model)
}

/// Returns an error if the weights in the file alone, or the row's part of them, exceed its memory
/// budget.
fn require_memory(budget: &Budget, sharers: usize) -> Result<(), EngineError> {
    let Some(limit) = budget.memory else { return Ok(()) };
    let file = ModelFile::read(model_source(budget)?)?;
    if file.weight_bytes.div_ceil(sharers.max(1) as u64) <= limit.0 {
        return Ok(());
    }
    let reason = format!(
        "the weights in {} take {} and the model may hold {limit}: raise `memory`, or use a smaller \
         model; it was not loaded",
        file.title,
        Bytes(file.weight_bytes),
    );
    Err(EngineError::Memory { reason })
}

fn requests(budget: &Budget, model: &dyn Model) -> Result<PreparedRequests, EngineError> {
    let signature = model.signature();
    if let Some(LoadSpec::Replay { file, .. }) = &budget.load {
        let recording = npy::read_requests(file, signature)?;
        let inputs = recording.requests.into_iter().map(Arc::new).collect();
        let arrivals = recording.arrivals.unwrap_or_default();
        let recorded_us = arrivals.iter().map(|time| time.as_micros() as u64).collect();
        return Ok(PreparedRequests { inputs, recorded_us, ..PreparedRequests::default() });
    }
    let bounds = model.index_bounds();
    let make = |dims: &BTreeMap<String, usize>, seed| {
        let rules = InputRules { signature, bounds: &bounds, dims, inputs: &budget.inputs };
        inputs::synthesize(&rules, seed)
    };
    let mut dims = budget.dims.clone();
    let guesses = guesses(signature, &budget.dims);
    // Only the built-in load needs a guess that works: callers know the inputs.
    let is_guess_needed = budget.load.is_some();
    let mut failure = None;
    if guesses.len() > 1 || !is_guess_needed {
        model.with_trial_instance(&mut |instance| {
            for guess in &guesses {
                let made = make(guess, 0).map_err(|error| error.to_string());
                match made.and_then(|request| try_request(instance, &request.tensors)) {
                    Ok(()) => {
                        dims.clone_from(guess);
                        failure = None;
                        return;
                    }
                    Err(reason) => failure = failure.take().or(Some(reason)),
                }
            }
        })?;
    }
    if let Some(reason) = failure.filter(|_| !is_guess_needed) {
        // Reports rules of the layout that do not fit the model.
        make(&dims, 0)?;
        let untried = Some(format!("its guessed trial request failed: {reason}"));
        return Ok(PreparedRequests { untried, ..PreparedRequests::default() });
    }
    // If no guess runs, the first one is used, and its trial request reports the error.
    let mut guessed_dims = dims.clone();
    let mut prepared = PreparedRequests::default();
    for seed in 0..VARIANTS {
        let request = make(&dims, seed)?;
        guessed_dims.extend(request.guessed_dims);
        prepared.inputs.push(Arc::new(request.tensors));
    }
    guessed_dims.retain(|name, _| !budget.dims.contains_key(name));
    prepared.guessed_dims = guessed_dims;
    Ok(prepared)
}

/// Runs a guessed request.
///
/// # Errors
/// The reason why it failed. A panic of the engine is one: other guesses may run.
fn try_request(instance: &mut dyn Instance, inputs: &[NamedTensor]) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(|| instance.run(inputs).map(drop))) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("the engine panicked: {}", panic_message(&*panic))),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::engine::onnx::proto::{
        Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
        TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
    };
    use crate::engine::onnx::types::{FLOAT, INT64};
    use crate::engine::{Tensor, TensorData};
    use crate::layout::{EngineChoice, InputSpec, ModelSource};

    fn value(name: &str, element: i32, dims: &[i64]) -> ValueInfoProto {
        let dim = |size: &i64| Dimension { value: Some(DimensionValue::Size(*size)) };
        let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
        let tensor = TensorType { elem_type: element, shape };
        let r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) });
        ValueInfoProto { name: name.to_owned(), r#type }
    }

    /// Writes a model that reshapes six numbers to the shape in its second input, a list of one length.
    /// No guess is 6. Returns a row for it.
    fn reshaping_row(folder: &tempfile::TempDir) -> Budget {
        let node = NodeProto {
            input: vec!["x".to_owned(), "shape".to_owned()],
            output: vec!["y".to_owned()],
            op_type: "Reshape".to_owned(),
            ..NodeProto::default()
        };
        let graph = GraphProto {
            name: "reshape".to_owned(),
            input: vec![value("x", FLOAT, &[2, 3]), value("shape", INT64, &[1])],
            output: vec![value("y", FLOAT, &[6])],
            node: vec![node],
            ..GraphProto::default()
        };
        let opset = OperatorSetIdProto { domain: String::new(), version: 17 };
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(graph),
            ..ModelProto::default()
        };
        let path = folder.path().join("reshape.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        Budget::new("m", ModelSource::File(path))
    }

    fn load(budget: Budget) -> Result<LoadedModel, EngineError> {
        let engines = Arc::new(Engines::new(EngineChoice::Rten, None));
        EngineLoader::new(engines).load(&LoadRequest::alone(budget))
    }

    #[test]
    fn row_without_load_is_loaded_untried() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = load(reshaping_row(&folder)).unwrap();
        let reason = loaded.requests.untried.unwrap();
        assert!(reason.starts_with("its guessed trial request failed: "), "{reason}");
        assert!(loaded.requests.inputs.is_empty());
        let six = Tensor::new(vec![1], TensorData::I64(vec![6])).unwrap();
        let numbers = Tensor::new(vec![2, 3], TensorData::F32(vec![0.5; 6])).unwrap();
        let named = |name: &str, tensor| NamedTensor { name: name.to_owned(), tensor };
        let request = [named("x", numbers), named("shape", six)];
        let run = |instance: &mut dyn Instance| assert!(instance.run(&request).is_ok());
        loaded.model.with_trial_instance(&mut |instance| run(instance)).unwrap();
    }

    #[test]
    fn row_with_load_gets_the_first_guess() {
        let folder = tempfile::tempdir().unwrap();
        let load_spec = Some(LoadSpec::Constant { rate: 1.0 });
        let loaded = load(Budget { load: load_spec, ..reshaping_row(&folder) }).unwrap();
        assert_eq!(loaded.requests.inputs.len(), VARIANTS as usize);
        assert_eq!(loaded.requests.untried, None);
    }

    #[test]
    fn working_guess_is_the_trial_request() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = [("shape".to_owned(), InputSpec::Range(6.0, 7.0))].into();
        let loaded = load(Budget { inputs, ..reshaping_row(&folder) }).unwrap();
        assert_eq!(loaded.requests.untried, None);
        assert!(!loaded.requests.inputs.is_empty());
    }

    #[test]
    fn wrong_rules_are_an_error_without_load() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = [("axes".to_owned(), InputSpec::Zeros)].into();
        let error = load(Budget { inputs, ..reshaping_row(&folder) }).err().unwrap();
        assert!(error.to_string().contains("the model has no such input"), "{error}");
    }
}

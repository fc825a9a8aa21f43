//! The loader of the program: models through the engines, requests from a recording or synthesized
//! from the model's signature.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dimension_guesses::guesses;
use super::loader::{LoadRequest, LoadedModel, Loader, PreparedRequests};
use crate::engine::inputs::{self, InputRules};
use crate::engine::onnx::ModelFile;
use crate::engine::{EngineError, EngineKind, Engines, Model, npy, rten};
use crate::layout::{Budget, Bytes, LoadSpec};
use crate::machine::ThreadId;
use crate::machine::resident::baseline;

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
        let model = match request.setup {
            // If no such instance can be built, the load succeeds or fails without it, and the build
            // reports the reason.
            Some(setup) => {
                engine.load_for(&budget.source, setup).or_else(|_| engine.load(&budget.source))?
            }
            None => engine.load(&budget.source)?,
        };
        let requests = requests(budget, &*model)?;
        Ok(LoadedModel { model, engine: engine.kind(), title: engine.title(), requests })
    }

    fn threads(&self) -> Vec<ThreadId> {
        rten::loading_threads()
    }
}

/// Returns an error if the weights in the file alone, or the row's part of them, exceed its memory
/// budget.
fn require_memory(budget: &Budget, sharers: usize) -> Result<(), EngineError> {
    let Some(limit) = budget.memory else { return Ok(()) };
    let file = ModelFile::read(&budget.source)?;
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
    if guesses.len() > 1 {
        // If none runs, the first guess is used, and its trial request reports the error.
        model.with_trial_instance(&mut |instance| {
            let runs = |guess: &&BTreeMap<String, usize>| {
                make(guess, 0).and_then(|request| instance.run(&request.tensors)).is_ok()
            };
            if let Some(guess) = guesses.iter().find(runs) {
                dims.clone_from(guess);
            }
        })?;
    }
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

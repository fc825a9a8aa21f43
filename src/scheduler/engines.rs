//! The loader of the real program: models through the engines, requests from recordings or made up
//! from the model's signature.

use std::sync::Arc;

use super::loader::{Loaded, Loader, Requests};
use crate::engine::{EngineError, Engines, Model, inputs, npy};
use crate::layout::{Budget, LoadSpec};
use crate::machine::resident::baseline;

/// Different made-up requests a model, so that no cache answers the load.
const VARIANTS: u64 = 4;

/// Loads through engines.
pub struct FromEngines {
    engines: Arc<Engines>,
}

impl FromEngines {
    /// A loader over these engines.
    pub fn new(engines: Arc<Engines>) -> Self {
        Self { engines }
    }
}

impl Loader for FromEngines {
    fn load(&self, budget: &Budget) -> Result<Loaded, EngineError> {
        baseline();
        let engine = self.engines.engine_for(budget.engine)?;
        let model = engine.load(&budget.source)?;
        let requests = requests(budget, &*model)?;
        Ok(Loaded { model, engine: engine.kind(), title: engine.title(), requests })
    }
}

fn requests(budget: &Budget, model: &dyn Model) -> Result<Requests, EngineError> {
    let signature = model.signature();
    if let Some(LoadSpec::Replay { file, .. }) = &budget.load {
        let recording = npy::read_requests(file, signature)?;
        let inputs = recording.requests.into_iter().map(Arc::new).collect();
        let arrivals = recording.arrivals.unwrap_or_default();
        let recorded_us = arrivals.iter().map(|time| time.as_micros() as u64).collect();
        return Ok(Requests { inputs, recorded_us });
    }
    let bounds = model.index_bounds();
    let make = |seed| {
        inputs::synthesize(signature, &bounds, &budget.dims, &budget.inputs, seed).map(Arc::new)
    };
    let made = (0..VARIANTS).map(make).collect::<Result<_, _>>()?;
    Ok(Requests { inputs: made, recorded_us: Vec::new() })
}

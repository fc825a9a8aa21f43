//! The interface that turns a row into a loaded model. Tests script it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::instance_setup::instance_setup;
use crate::engine::{EngineError, EngineKind, InstanceSetup, Model, NamedTensor};
use crate::layout::{Budget, DesiredState, Row, possible_sharers};
use crate::machine::{Description, ThreadId};
use crate::pool::tensor_bytes;

/// A loaded model with the requests for it.
pub struct LoadedModel {
    /// The model.
    pub model: Arc<dyn Model>,
    /// The engine that runs it.
    pub engine: EngineKind,
    /// The engine's name and version.
    pub title: String,
    /// Requests that fit the model: the first warms instances up, the built-in load sends them all.
    pub requests: PreparedRequests,
}

/// Prepared requests of the built-in load.
#[derive(Clone, Debug, Default)]
pub struct PreparedRequests {
    /// The requests, at least one; none if `untried` is set.
    pub inputs: Vec<Arc<Vec<NamedTensor>>>,
    /// Time of each request since the first one, in microseconds; empty if unknown.
    pub recorded_us: Vec<u64>,
    /// Open dimensions whose size was guessed, because neither the layout's `dims` nor a recording or
    /// an array sets it, each with the guess. Figures measured with guessed sizes may mislead.
    pub guessed_dims: BTreeMap<String, usize>,
    /// The reason why no request is known that the model runs, for a row without `load`: its callers know
    /// its inputs. `None` if the first of `inputs` is the trial request.
    pub untried: Option<String>,
}

impl PreparedRequests {
    /// Returns the size of all tensors, in bytes.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|inputs| tensor_bytes(inputs)).sum()
    }
}

/// A row whose model is to be loaded.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The row.
    pub budget: Budget,
    /// The number of rows, this one included, that may share the loaded model.
    pub sharers: usize,
    /// The setup of the row's instances, if it is known.
    pub setup: Option<InstanceSetup>,
}

impl LoadRequest {
    /// A request for a row alone, whose instances have one CPU thread.
    pub fn alone(budget: Budget) -> Self {
        Self { budget, sharers: 1, setup: None }
    }

    /// The request for a row of a placed layout.
    pub fn of_row(row: &Row, all: &DesiredState, machine: &Description) -> Self {
        Self {
            budget: row.budget.clone(),
            sharers: possible_sharers(all.rows.iter().map(|row| &row.budget), &row.budget),
            // Building the instances reports a GPU that cannot be used.
            setup: instance_setup(row, all, &machine.gpus).ok(),
        }
    }
}

/// Loads the models of rows.
pub trait Loader: Send + Sync {
    /// Loads a row's model and prepares its requests. Called on a background thread that may run on
    /// every core that no other row has reserved.
    ///
    /// The requests of a row without `load` have been tried. If none runs, the row is served untried.
    ///
    /// # Errors
    /// [`EngineError`] if the model or its inputs cannot be loaded.
    fn load(&self, request: &LoadRequest) -> Result<LoadedModel, EngineError>;

    /// Returns the engines' threads that work for all loads and outlive them; they are kept on cores that
    /// no row has reserved.
    fn threads(&self) -> Vec<ThreadId> {
        Vec::new()
    }
}

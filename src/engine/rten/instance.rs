//! An instance of the embedded engine: its own thread pool over the shared model.

use std::sync::Arc;

use rten::{RunOptions, ThreadPool};

use super::graph::LoadedGraph;
use super::name::NAME;
use super::{convert, explain};
use crate::engine::accounts::ModelAccounts;
use crate::engine::shared::ModelLease;
use crate::engine::{EngineError, Instance, NamedTensor, inputs};
use crate::machine::allocation::enter_program;
use crate::machine::{ThreadId, current_thread};

/// Runs requests of one model on its own threads.
pub(super) struct RtenInstance {
    graph: Arc<ModelLease<LoadedGraph>>,
    pool: Arc<ThreadPool>,
    threads: Vec<ThreadId>,
    accounts: ModelAccounts,
}

impl RtenInstance {
    /// Builds the pool and learns its threads' ids. Their affinity is the caller's.
    pub(super) fn build(
        graph: Arc<ModelLease<LoadedGraph>>,
        accounts: ModelAccounts,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let width = threads.max(1);
        let entered = accounts.model.enter();
        let pool = Arc::new(ThreadPool::with_num_threads(width));
        drop(entered);
        let mut ids = pool.run(|| rayon::broadcast(|_| current_thread()));
        ids.sort_unstable();
        ids.dedup();
        // If the pool was not created, `run` uses this thread and the broadcast ran on rayon's
        // global pool. The thread ids reveal this.
        if cfg!(target_os = "linux") && (ids.len() != width || ids.contains(&current_thread())) {
            return Err(EngineError::Load {
                engine: NAME,
                path: "instance".to_owned(),
                reason: format!("the system gave fewer threads than the {width} asked for").into(),
            });
        }
        pool.run(|| rayon::broadcast(|_| accounts.model.charge_current_thread()));
        Ok(Self { graph, pool, threads: ids, accounts })
    }
}

impl Instance for RtenInstance {
    fn threads(&self) -> Vec<ThreadId> {
        self.threads.clone()
    }

    fn run(&mut self, given: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        let _entered = self.accounts.model.enter();
        let graph = &**self.graph;
        let arranged = inputs::arrange(&graph.signature, given)?;
        let mut values = Vec::with_capacity(given.len());
        for ((spec, tensor), id) in arranged.zip(&graph.inputs) {
            values.push((*id, convert::input(&spec.name, tensor)?));
        }
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let fault = |reason: String| EngineError::Run { engine: NAME, reason: reason.into() };
        let outputs = graph.model.run(values, &graph.outputs, Some(options)).map_err(|error| {
            let error = explain::run(&error.kind(), &error.to_string());
            inputs::explain_failure(&graph.signature, given, error)
        })?;
        graph
            .signature
            .outputs
            .iter()
            .zip(outputs)
            .map(|(spec, value)| {
                let tensor = convert::output(spec, value, &self.accounts.outputs).map_err(fault)?;
                Ok(NamedTensor { name: spec.name.clone(), tensor })
            })
            .collect()
    }

    fn occupy(&mut self, body: &mut (dyn FnMut(&mut dyn Instance) + Send)) {
        let pool = Arc::clone(&self.pool);
        pool.run(|| {
            // Only runs are the model's: replies and the queue are not.
            let _entered = enter_program();
            body(self);
        });
    }
}

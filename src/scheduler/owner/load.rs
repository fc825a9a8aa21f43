//! Loading of models on background threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::enforce;
use crate::engine::EngineError;
use crate::layout::{Budget, DesiredState, Row};
use crate::machine::{CpuSet, Description, Machine, ThreadId, panic_message};
use crate::pool::{BuildPlaces, LoadTurn, Pool};
use crate::process::ProcessHost;
use crate::scheduler::loading::{LoadRequest, LoadedModel, Loader};
use crate::scheduler::messages::OwnerMessage;
use crate::scheduler::model_key::ModelKey;
use crate::scheduler::slot::Slot;

/// Makes slots and loads their models.
pub(super) struct ModelLoads {
    machine: Arc<dyn Machine>,
    loader: Arc<dyn Loader>,
    owner: Sender<OwnerMessage>,
    /// The places of all models for loads, builds and trial requests.
    places: Arc<BuildPlaces>,
    /// The loader's own threads, and the cores on which they were placed.
    placed: (Vec<ThreadId>, CpuSet),
    /// The host of process rows.
    processes: Option<Arc<ProcessHost>>,
    /// The number of the newest slot.
    generation: u64,
}

impl ModelLoads {
    pub(super) fn new(
        machine: Arc<dyn Machine>,
        loader: Arc<dyn Loader>,
        owner: Sender<OwnerMessage>,
    ) -> Self {
        let placed = (Vec::new(), CpuSet::EMPTY);
        Self {
            machine,
            loader,
            owner,
            places: Arc::default(),
            placed,
            processes: None,
            generation: 0,
        }
    }

    /// Sets the host of process rows.
    pub(super) fn set_processes(&mut self, processes: Option<Arc<ProcessHost>>) {
        self.processes = processes;
    }

    /// Returns the host of process rows, if there is one.
    pub(super) fn processes(&self) -> Option<&Arc<ProcessHost>> {
        self.processes.as_ref()
    }

    /// Makes the slot of a row and starts loading its model, on the cores that no other row has
    /// reserved. `effective` are the row's cores while a loan concerns it.
    pub(super) fn start(
        &mut self,
        row: &Row,
        effective: Option<CpuSet>,
        all: &DesiredState,
        machine: &Description,
    ) -> Slot {
        self.generation += 1;
        let budget = &row.budget;
        if let (Some(source), Some(processes)) = (budget.source.process(), &self.processes) {
            let workload = processes.row(&budget.name, source);
            workload.set_memory(budget.memory.map(|bytes| bytes.0));
            workload.set_percentile(budget.slo.map(|slo| slo.percentile));
            let slot = Slot::of_processes(workload, self.generation, budget);
            return Slot { loads: row.loads, ..slot };
        }
        let key = ModelKey { name: budget.name.clone(), generation: self.generation };
        let mask = effective.unwrap_or_else(|| enforce::mask(row, all, machine));
        let pool = Arc::new(self.pool(&key, budget, mask));
        // Enforcing a change sets only bounds that differ from the row before, which had another pool.
        pool.set_bound(row.concurrency);
        // The pool has no threads yet that could be on other cores.
        let _ = pool.pin_builders(enforce::builder_cores(row, effective, all, machine));
        let turn = pool.start_load();
        let mut slot = Slot::new(pool.clone(), Some(pool), self.generation, budget);
        slot.loads = row.loads;
        let request = LoadRequest::of_row(row, all, machine);
        if let Err(error) = self.load_in_background(key, request, turn) {
            slot.fail(format!("cannot start a thread: {error}"));
        }
        slot
    }

    /// Keeps the loader's own threads on cores that no row has reserved. Those that the first load has
    /// started since the last call are on the cores of that load until now.
    pub(super) fn place_threads(&mut self, all: &DesiredState, machine: &Description) {
        let newest = (self.loader.threads(), enforce::unreserved_cores(all, machine));
        if newest == self.placed {
            return;
        }
        let (threads, cores) = &newest;
        for thread in threads {
            if let Err(error) = self.machine.set_affinity(*thread, cores) {
                tracing::warn!(
                    "cannot move a thread that loads models off reserved cores: {error}"
                );
            }
        }
        self.placed = newest;
    }

    fn pool(&self, key: &ModelKey, budget: &Budget, mask: CpuSet) -> Pool {
        let (owner, sender_key) = (self.owner.clone(), key.clone());
        let listener = Box::new(move |event| {
            // The owner has ended when the program ends; then nobody needs the event.
            let _ = owner.send(OwnerMessage::Pool { key: sender_key.clone(), event });
        });
        let pool = Pool::new(&key.name, self.machine.clone(), budget.queue, mask, listener)
            .with_places(self.places.clone());
        pool.set_memory(budget.memory.map(|bytes| bytes.0));
        pool
    }

    fn load_in_background(
        &self,
        key: ModelKey,
        request: LoadRequest,
        turn: LoadTurn,
    ) -> std::io::Result<()> {
        let loader = self.loader.clone();
        let report = LoadReport { owner: self.owner.clone(), key, result: None };
        let body = move || {
            let mut report = report;
            report.result = turn.run(|| load(&*loader, &request));
        };
        std::thread::Builder::new().name("divvy-load-file".to_owned()).spawn(body).map(drop)
    }
}

/// The message at the end of a load. It is sent when this is dropped, so that no model loads for ever
/// whose thread has ended.
struct LoadReport {
    owner: Sender<OwnerMessage>,
    key: ModelKey,
    /// `None` if the thread ended too early, or the model was removed before its load began.
    result: Option<Result<LoadedModel, EngineError>>,
}

impl Drop for LoadReport {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| {
            let reason = "the thread that loaded the model ended without a result".to_owned();
            Err(EngineError::Unavailable { reason })
        });
        // The owner has ended when the program ends; then nobody needs the message.
        let _ = self.owner.send(OwnerMessage::Loaded { key: self.key.clone(), result });
    }
}

fn load(loader: &dyn Loader, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
    catch_unwind(AssertUnwindSafe(|| loader.load(request))).unwrap_or_else(|panic| {
        let reason = format!("the engine panicked: {}", panic_message(&*panic));
        Err(EngineError::Unavailable { reason })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::layout::{Layout, ModelSource};
    use crate::machine::SimulatedMachine;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// The payload of a panic that panics again when it is dropped.
    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("dropped"));
        }
    }

    struct FatalLoader;

    impl Loader for FatalLoader {
        fn load(&self, _: &LoadRequest) -> Result<LoadedModel, EngineError> {
            std::panic::resume_unwind(Box::new(PanicsOnDrop))
        }
    }

    #[test]
    fn load_that_dies_is_reported() {
        let budget = Budget::new("m", ModelSource::File("/m.onnx".into()));
        let layout = Layout { description: String::new(), models: vec![budget] };
        let machine = Description::uniform(1);
        let all = DesiredState::resolve(&layout, &machine).unwrap();
        let (sender, messages) = mpsc::channel();
        let simulated = Arc::new(SimulatedMachine::uniform(1));
        let mut loads = ModelLoads::new(simulated, Arc::new(FatalLoader), sender);
        let slot = loads.start(&all.rows[0], None, &all, &machine);
        let message = messages.recv_timeout(PATIENCE).unwrap();
        let OwnerMessage::Loaded { result: Err(error), .. } = message else { panic!("it failed") };
        assert!(error.to_string().contains("without a result"), "{error}");
        assert!(slot.pool.unwrap().drain(PATIENCE), "its thread has ended");
    }
}

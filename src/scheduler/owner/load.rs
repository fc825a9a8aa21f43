//! Loading of models on background threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Sender;

use crate::engine::EngineError;
use crate::layout::{Budget, DesiredState, Row};
use crate::machine::{CpuSet, Description, Machine, current_thread};
use crate::pool::{Pool, panic_message};
use crate::scheduler::loading::{LoadRequest, LoadedModel, Loader, PreparedRequests};
use crate::scheduler::messages::OwnerMessage;
use crate::scheduler::model_key::ModelKey;
use crate::scheduler::slot::{LoadPhase, Slot};

/// Makes slots and loads their models.
pub(super) struct ModelLoads {
    machine: Arc<dyn Machine>,
    loader: Arc<dyn Loader>,
    owner: Sender<OwnerMessage>,
    /// The number of the newest slot.
    generation: u64,
}

impl ModelLoads {
    pub(super) fn new(
        machine: Arc<dyn Machine>,
        loader: Arc<dyn Loader>,
        owner: Sender<OwnerMessage>,
    ) -> Self {
        Self { machine, loader, owner, generation: 0 }
    }

    /// Makes the slot of a row, its threads to run on `mask`, and starts loading its model on a
    /// thread that may run on all allowed cores.
    pub(super) fn start(
        &mut self,
        row: &Row,
        all: &DesiredState,
        mask: CpuSet,
        machine: &Description,
    ) -> Slot {
        self.generation += 1;
        let budget = &row.budget;
        let key = ModelKey { name: budget.name.clone(), generation: self.generation };
        let mut slot = Slot {
            pool: Arc::new(self.pool(&key, budget, mask)),
            effective_cores: None,
            phase: LoadPhase::Loading,
            generation: self.generation,
            engine: None,
            title: String::new(),
            requests: Arc::new(PreparedRequests::default()),
            offered: Arc::new(AtomicU64::new(0)),
            last_build: None,
            failed_build: None,
            served: None,
            renewals: 0,
            difference: None,
        };
        // Enforcing a change sets only bounds that differ from the row before, which had another pool.
        slot.pool.set_bound(row.concurrency);
        let request = LoadRequest::of_row(row, all, machine);
        if let Err(error) = self.load_in_background(key, request, machine.limits.allowed) {
            slot.fail(format!("cannot start a thread: {error}"));
        }
        slot
    }

    fn pool(&self, key: &ModelKey, budget: &Budget, mask: CpuSet) -> Pool {
        let (owner, sender_key) = (self.owner.clone(), key.clone());
        let listener = Box::new(move |event| {
            // The owner has ended when the program ends; then nobody needs the event.
            let _ = owner.send(OwnerMessage::Pool { key: sender_key.clone(), event });
        });
        let pool = Pool::new(&key.name, self.machine.clone(), budget.queue, mask, listener);
        pool.set_memory(budget.memory.map(|bytes| bytes.0));
        pool
    }

    fn load_in_background(
        &self,
        key: ModelKey,
        request: LoadRequest,
        allowed: CpuSet,
    ) -> std::io::Result<()> {
        let (machine, loader) = (self.machine.clone(), self.loader.clone());
        let owner = self.owner.clone();
        let body = move || {
            // The thread inherits a mask without the reserved cores. If it cannot be widened, the
            // model only loads more slowly.
            let _ = machine.set_affinity(current_thread(), &allowed);
            let result = load(&*loader, &request);
            let _ = owner.send(OwnerMessage::Loaded { key, result });
        };
        std::thread::Builder::new().name("divvy-load-file".to_owned()).spawn(body).map(drop)
    }
}

fn load(loader: &dyn Loader, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
    catch_unwind(AssertUnwindSafe(|| loader.load(request))).unwrap_or_else(|panic| {
        let reason = format!("the engine panicked: {}", panic_message(&*panic));
        Err(EngineError::Unavailable { reason })
    })
}

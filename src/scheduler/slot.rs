//! The slots of the running models: workload, loading phase and load order of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::loading::{LoadedModel, PreparedRequests};
use super::model_key::ModelKey;
use super::workload::Workload;
use crate::engine::{EngineError, EngineKind, InstanceSetup};
use crate::layout::{Auto, Budget, Bytes, DesiredState, GpuId, LoadSpec, Row, counted};
use crate::machine::CpuSet;
use crate::pool::{Pool, Rejection, RequestSender, Seats};
use crate::process::ProcessRow;

/// The phase of a model's loading.
#[derive(Clone)]
pub(super) enum LoadPhase {
    /// A background thread is reading its file.
    Loading,
    /// Its pool has a model; the first instances may still be warming.
    Loaded,
    /// It failed to load, or lost its last instance.
    Failed(String),
}

/// The settings of a row for which the serving instances were built: the target of a rollback.
#[derive(Clone)]
pub(super) struct ServedBudget {
    pub(super) threads: Auto,
    pub(super) gpu: Option<GpuId>,
    pub(super) gpu_memory: Option<Bytes>,
    /// Instances share the memory limit, so it depends on their number.
    pub(super) concurrency: Auto,
}

/// A build that failed.
#[derive(Clone)]
pub(super) struct FailedBuild {
    pub(super) setup: InstanceSetup,
    pub(super) reason: String,
}

impl FailedBuild {
    /// Returns what could not be built, and why.
    pub(super) fn message(&self) -> String {
        let instances = match self.setup.device {
            Some(device) => format!("instances on CUDA device {}", device.ordinal),
            None => format!("instances of {}", counted(self.setup.threads, "thread")),
        };
        format!("{instances} could not be built: {}", self.reason)
    }
}

/// The state of a model's builds.
pub(super) enum BuildProgress {
    /// Its file is being loaded, or instances are being built.
    Pending,
    /// Nothing is being built.
    Ended,
    /// It could not be loaded or built, for this reason.
    Failed(String),
}

/// The workload of one row and its state. The observer has a copy, which shares the workload; the rest is
/// as of one instant.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) workload: Arc<dyn Workload>,
    /// The workload, if it is a model's pool: its requests, instances and builds.
    pub(super) pool: Option<Arc<Pool>>,
    /// The workload, if it is the processes of a row.
    pub(super) process: Option<Arc<ProcessRow>>,
    /// The cores of its threads in place of the row's, while a loan concerns the model.
    pub(super) effective_cores: Option<CpuSet>,
    pub(super) phase: LoadPhase,
    /// The row as it was when its model was loaded.
    pub(super) loaded_for: Arc<Budget>,
    /// The number of the load, as in [`Row::loads`].
    pub(super) loads: u64,
    /// The slot of another model for the same row, which takes over once its instances serve.
    pub(super) successor: Option<Box<Slot>>,
    /// The number of the slot, unique in this run. Messages carry it, since a name may belong to
    /// another model by the time they arrive.
    pub(super) generation: u64,
    pub(super) engine: Option<EngineKind>,
    /// The engine's name and version.
    pub(super) title: String,
    pub(super) requests: Arc<PreparedRequests>,
    /// Arrivals of the built-in load so far; the load generator counts them here.
    pub(super) offered: Arc<AtomicU64>,
    /// Duration of the last build of a generation of instances.
    pub(super) last_build: Option<Duration>,
    /// The build that failed last; not repeated until the row changes.
    pub(super) failed_build: Option<FailedBuild>,
    pub(super) served: Option<ServedBudget>,
    /// Rebuilds since the row changed that were made to raise threads' priority.
    pub(super) renewals: u32,
    /// The difference between the masks and nice values that were set and those in the kernel, if
    /// there is any.
    pub(super) difference: Option<String>,
}

/// A built-in load to run, for the load generators.
#[derive(Clone)]
pub struct LoadOrder {
    /// The model.
    pub model: ModelKey,
    /// The receiver of the requests.
    pub sender: Arc<dyn RequestSender>,
    /// The kind of load.
    pub spec: LoadSpec,
    /// The requests to send.
    pub requests: Arc<PreparedRequests>,
    /// Seeds gaps and shuffles. It comes from the identity of the row, so it stays the same when
    /// other models come and go, and when the model is loaded again.
    pub seed: u64,
    /// The generator's count of intended arrivals.
    pub offered: Arc<AtomicU64>,
}

impl LoadOrder {
    /// Returns true if another order is the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.model == other.model
            && self.spec == other.spec
            && self.seed == other.seed
            && std::ptr::addr_eq(Arc::as_ptr(&self.sender), Arc::as_ptr(&other.sender))
            && Arc::ptr_eq(&self.requests, &other.requests)
            && Arc::ptr_eq(&self.offered, &other.offered)
    }
}

impl Slot {
    /// The slot of a workload whose model is being loaded.
    pub(super) fn new(
        workload: Arc<dyn Workload>,
        pool: Option<Arc<Pool>>,
        generation: u64,
        budget: &Budget,
    ) -> Self {
        Self {
            workload,
            pool,
            process: None,
            loaded_for: Arc::new(budget.clone()),
            loads: 0,
            successor: None,
            effective_cores: None,
            phase: LoadPhase::Loading,
            generation,
            engine: None,
            title: String::new(),
            requests: Arc::default(),
            offered: Arc::default(),
            last_build: None,
            failed_build: None,
            served: None,
            renewals: 0,
            difference: None,
        }
    }

    /// The slot of processes, which have nothing to load.
    pub(super) fn of_processes(row: Arc<ProcessRow>, generation: u64, budget: &Budget) -> Self {
        Self {
            process: Some(row.clone()),
            phase: LoadPhase::Loaded,
            ..Self::new(row, None, generation, budget)
        }
    }

    /// Marks the model as failed. Its requests are rejected, since nothing would answer them.
    pub(super) fn fail(&mut self, reason: String) {
        self.phase = LoadPhase::Failed(reason);
        if let Some(pool) = &self.pool {
            pool.refuse(Some(Rejection::ModelFailed));
        }
    }

    /// Takes a loaded model. If no request is known that it runs, `before` is the pool of the model that
    /// serves the row until then: its last good request is the trial request.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if it is larger than the row's memory budget.
    pub(super) fn install(
        &mut self,
        loaded: LoadedModel,
        before: Option<&Pool>,
    ) -> Result<(), EngineError> {
        if let Some(pool) = &self.pool {
            pool.set_prepared(loaded.requests.bytes());
            if let Some(reason) = &loaded.requests.untried {
                let known = before.and_then(Pool::last_good_request);
                pool.install_untried(loaded.model, reason, known);
            } else {
                let trial = loaded.requests.inputs.first().cloned().unwrap_or_default();
                pool.install(loaded.model, trial);
            }
            if let Err(error) = pool.fits() {
                pool.uninstall();
                return Err(error);
            }
        }
        self.engine = Some(loaded.engine);
        self.title = loaded.title;
        self.requests = Arc::new(loaded.requests);
        self.phase = LoadPhase::Loaded;
        Ok(())
    }

    /// Returns true if no request was known that the model runs when it was loaded. It has no requests
    /// for a built-in load.
    pub(super) fn is_loaded_untried(&self) -> bool {
        self.requests.untried.is_some()
    }

    /// Returns why the loaded model cannot serve a row, which has a load in the meantime: no guessed
    /// request runs.
    pub(super) fn missing_guess(&self, row: &Budget) -> Option<String> {
        self.requests.untried.clone().filter(|_| row.load.is_some())
    }

    /// Clears the failures of a model whose row has changed.
    pub(super) fn retry(&mut self) {
        self.failed_build = None;
        self.renewals = 0;
        self.revive();
    }

    /// Lets a loaded model take requests again.
    pub(super) fn revive(&mut self) {
        if matches!(self.phase, LoadPhase::Failed(_))
            && let Some(pool) = self.pool.as_ref().filter(|pool| pool.model().is_some())
        {
            pool.refuse(None);
            self.phase = LoadPhase::Loaded;
        }
    }

    /// Returns true if nothing serves and no build is pending.
    pub(super) fn has_no_instances_or_builds(&self) -> bool {
        // In this order: a build that ends between the two calls has left a serving instance.
        self.warming().is_none() && !self.seats().any()
    }

    /// Returns the state of the model's builds.
    pub(super) fn build_progress(&self) -> BuildProgress {
        match (&self.phase, &self.failed_build) {
            (LoadPhase::Loading, _) => BuildProgress::Pending,
            (LoadPhase::Failed(reason), _) => BuildProgress::Failed(reason.clone()),
            (LoadPhase::Loaded, _) if self.batch().is_some() => BuildProgress::Pending,
            (LoadPhase::Loaded, Some(failed)) => BuildProgress::Failed(failed.message()),
            (LoadPhase::Loaded, None) => BuildProgress::Ended,
        }
    }

    /// Returns how many instances of a row are ready and how many are to serve, while some are being
    /// built.
    pub(super) fn instances_ready(&self, row: &Row) -> Option<(usize, usize)> {
        let wanted = row.concurrency.max(1);
        let can_serve = |slot: &&Self| !matches!(slot.phase, LoadPhase::Failed(_));
        if let Some(successor) = self.successor.as_deref().filter(can_serve) {
            return Some(successor.instances_ready(row).unwrap_or((0, wanted)));
        }
        if matches!(self.phase, LoadPhase::Loading) {
            return Some((0, wanted));
        }
        let (ready, total) = self.warming()?;
        // A batch that adds to the serving instances has only the missing ones.
        let total_wanted = wanted.max(total);
        Some((total_wanted.saturating_sub(total.saturating_sub(ready)), total_wanted))
    }

    /// Returns true if the model itself failed to load.
    pub(super) fn has_failed_to_load(&self) -> bool {
        matches!(self.phase, LoadPhase::Failed(_))
            && self.pool.as_ref().is_none_or(|pool| pool.model().is_none())
    }

    /// Returns the state of the instances; empty for a workload without any.
    pub(super) fn seats(&self) -> Seats {
        self.pool.as_ref().map(|pool| pool.seats()).unwrap_or_default()
    }

    /// Returns how many instances of the pending build are ready, and how many it has; `None` if there
    /// is none.
    pub(super) fn warming(&self) -> Option<(usize, usize)> {
        self.pool.as_ref()?.warming()
    }

    /// Returns the number of the batch that is being built and its instances.
    pub(super) fn batch(&self) -> Option<(u64, usize)> {
        self.pool.as_ref()?.batch()
    }

    /// Returns the setup of the pending build; without one, that of the serving instances.
    pub(super) fn setup(&self) -> Option<InstanceSetup> {
        self.pool.as_ref()?.setup()
    }

    /// Returns the load of a row. One that replays another recording waits for the successor, which has
    /// its requests.
    fn load<'a>(&'a self, row: &'a Row) -> Option<&'a LoadSpec> {
        let is_other = row.budget.recording() != self.loaded_for.recording();
        let budget = if is_other { &*self.loaded_for } else { &row.budget };
        budget.load.as_ref()
    }

    /// Returns the load order of a row, if it has a load and its model is loaded.
    pub(super) fn order(&self, row: &Row) -> Option<LoadOrder> {
        if !matches!(self.phase, LoadPhase::Loaded) || self.is_loaded_untried() {
            return None;
        }
        Some(LoadOrder {
            model: ModelKey { name: row.budget.name.clone(), generation: self.generation },
            sender: self.pool.as_ref()?.sender(),
            spec: self.load(row)?.clone(),
            requests: self.requests.clone(),
            seed: row.id,
            offered: self.offered.clone(),
        })
    }
}

/// A model's old and new name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rename {
    pub(super) from: String,
    pub(super) to: String,
}

/// The slots of all models, by name.
#[derive(Clone, Default)]
pub(super) struct Slots(BTreeMap<String, Slot>);

impl Slots {
    pub(super) fn get(&self, name: &str) -> Option<&Slot> {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Slot> {
        self.0.get_mut(name)
    }

    pub(super) fn insert(&mut self, name: String, slot: Slot) {
        self.0.insert(name, slot);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Slot> {
        self.0.remove(name)
    }

    /// Renames models: from the first name of each pair to the second. Names may be exchanged.
    pub(super) fn rename(&mut self, renames: &[Rename]) {
        let taken: Vec<_> = renames
            .iter()
            .filter_map(|rename| Some((rename.to.clone(), self.0.remove(&rename.from)?)))
            .collect();
        for (name, slot) in taken {
            let successor = slot.successor.as_ref().and_then(|successor| successor.pool.as_ref());
            if let Some(process) = &slot.process {
                process.rename(&name);
            }
            for pool in slot.pool.iter().chain(successor) {
                pool.rename(&name);
            }
            self.0.insert(name, slot);
        }
    }

    /// Returns the present name of the model with this key, if its slot still exists.
    pub(super) fn name_of(&self, key: &ModelKey) -> Option<String> {
        let is_it = |slot: &Slot| slot.generation == key.generation;
        if self.0.get(&key.name).is_some_and(is_it) {
            return Some(key.name.clone());
        }
        // The model was renamed after the key was made.
        self.name_of_generation(key.generation)
    }

    /// Returns the slot or successor with this number, if it still exists, with its model's name.
    pub(super) fn of_generation(&self, generation: u64) -> Option<(&String, &Slot)> {
        let successors =
            self.iter().filter_map(|(name, slot)| Some((name, slot.successor.as_deref()?)));
        self.iter().chain(successors).find(|(_, slot)| slot.generation == generation)
    }

    /// Returns the name of the model whose successor has this number.
    pub(super) fn name_of_successor(&self, generation: u64) -> Option<String> {
        let is_it = |slot: &Slot| slot.generation == generation;
        let found = self.iter().find(|(_, slot)| slot.successor.as_deref().is_some_and(is_it));
        found.map(|(name, _)| name.clone())
    }

    /// Returns the present name of the model whose slot has this number, if it still exists.
    pub(super) fn name_of_generation(&self, generation: u64) -> Option<String> {
        self.iter().find(|(_, slot)| slot.generation == generation).map(|(name, _)| name.clone())
    }

    /// Returns how many instances of these slots, by generation, are ready, and how many are to serve.
    pub(super) fn instances_ready(&self, slots: &[u64], desired: &DesiredState) -> (usize, usize) {
        let of = |slot: &u64| {
            let (name, slot) = self.of_generation(*slot)?;
            let row = desired.row(name)?;
            let all = row.concurrency.max(1);
            Some(slot.instances_ready(row).unwrap_or((all, all)))
        };
        let sum = |(ready, total), (more, of): (usize, usize)| (ready + more, total + of);
        slots.iter().filter_map(of).fold((0, 0), sum)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Slot)> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Slot> {
        self.0.values()
    }
}

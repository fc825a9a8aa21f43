//! One model of the running scheduler: its pool, how far its loading is, and its load order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::loader::PreparedRequests;
use crate::engine::{Device, EngineKind, InstanceSetup, devices};
use crate::layout::{Auto, Bytes, DesiredState, GpuId, LoadSpec, Row};
use crate::machine::Gpus;
use crate::pool::{Door, Pool};

/// How far a model's loading is.
#[derive(Clone)]
pub(super) enum LoadPhase {
    /// Its file is being read on a thread of its own.
    Loading,
    /// Its pool has a model; instances may still be warming for the first time.
    Loaded,
    /// It could not be loaded, or lost its last instance.
    Failed(String),
}

/// What of a row decides about its setup: put back when another cannot be built.
#[derive(Clone)]
pub(super) struct ServedBudget {
    /// Threads of an instance.
    pub threads: Auto,
    /// The GPU.
    pub gpu: Option<GpuId>,
    /// The limit there.
    pub gpu_memory: Option<Bytes>,
    /// Instances, which share the limit.
    pub concurrency: Auto,
}

/// One model. A copy is what the observer sees: the same pool, the rest as it was.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) pool: Arc<Pool>,
    pub(super) phase: LoadPhase,
    /// Tells an answer for this slot from one for an earlier slot of the same name.
    pub(super) epoch: u64,
    pub(super) engine: Option<EngineKind>,
    pub(super) title: String,
    pub(super) requests: Arc<PreparedRequests>,
    pub(super) offered: Arc<AtomicU64>,
    /// How long the last build of a generation took.
    pub(super) last_build: Option<Duration>,
    /// The setup whose build failed last, with the reason; not tried again until the row changes.
    pub(super) failed_setup: Option<(InstanceSetup, String)>,
    /// What the row asked for when the setup that serves was built.
    pub(super) served: Option<ServedBudget>,
    /// How often instances were built anew for their threads to rise, since the row changed.
    pub(super) renewals: u32,
    /// Set while the kernel shows other masks or nice values than asked for.
    pub(super) difference: Option<String>,
}

/// A built-in load that is to run: what the load generators watch.
#[derive(Clone)]
pub struct LoadOrder {
    /// The model's name.
    pub model: String,
    /// Tells this model from an earlier one of the same name.
    pub epoch: u64,
    /// Where requests go.
    pub door: Arc<dyn Door>,
    /// What arrives, and how.
    pub spec: LoadSpec,
    /// The prepared requests.
    pub requests: Arc<PreparedRequests>,
    /// Where the generator counts intended arrivals.
    pub offered: Arc<AtomicU64>,
}

/// All models by name.
pub(super) type Slots = BTreeMap<String, Slot>;

impl Slot {
    /// The model cannot serve: requests are turned away rather than kept for ever.
    pub(super) fn fail(&mut self, reason: String) {
        self.phase = LoadPhase::Failed(reason);
        self.pool.refuse(Some("the model failed; its state says why"));
    }

    /// A model that was loaded and failed later is tried again: its row changed.
    pub(super) fn retry(&mut self) {
        self.failed_setup = None;
        self.renewals = 0;
        self.revive();
    }

    /// Whether nothing serves, and nothing is on its way to.
    pub(super) fn has_no_instances_or_builds(&self) -> bool {
        // In this order: a batch that ends in between is found to serve.
        self.pool.warming().is_none() && !self.pool.seats().any()
    }

    /// A model that was loaded takes requests, whatever was the matter with it.
    pub(super) fn revive(&mut self) {
        if matches!(self.phase, LoadPhase::Failed(_)) && self.pool.model().is_some() {
            self.phase = LoadPhase::Loaded;
            self.pool.refuse(None);
        }
    }

    pub(super) fn order(&self, row: &Row) -> Option<LoadOrder> {
        if !matches!(self.phase, LoadPhase::Loaded) {
            return None;
        }
        Some(LoadOrder {
            model: row.budget.name.clone(),
            epoch: self.epoch,
            door: self.pool.door(),
            spec: row.budget.load.clone()?,
            requests: self.requests.clone(),
            offered: self.offered.clone(),
        })
    }
}

/// How a row's instances are built.
///
/// # Errors
/// A sentence where its GPU cannot be used from this process.
pub(super) fn setup(row: &Row, all: &DesiredState, gpus: &Gpus) -> Result<InstanceSetup, String> {
    // One thread has nobody to spin for; normalised so that it never causes a rebuild.
    let spinning = row.threads > 1 && row.spinning(all);
    let device = row.budget.gpu.as_ref().map(|gpu| devices::ordinal(gpu, gpus)).transpose()?;
    let memory = row.gpu_memory_each().map(|bytes| bytes.0);
    let device = device.map(|ordinal| Device { ordinal, memory });
    Ok(InstanceSetup { threads: row.threads, spinning, device })
}

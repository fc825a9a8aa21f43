//! The handle of a running scheduler: starts its threads and sends them messages.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::change_request::ChangeRequest;
use super::control::Control;
use super::enforceable::{RowRefusals, require_enforceable};
use super::inspection::ModelInspection;
use super::lending::{CoreLending, Loan, LoanId, LoanRequest};
use super::loaded_models::plan_change;
use super::messages::OwnerMessage;
use super::model_client::ModelClient;
use super::model_directory::ModelDirectory;
use super::observer::{ObservedMachine, Observer, ObserverConfig};
use super::observer_channel::ObserverChannel;
use super::options::Options;
use super::owner::{Owner, OwnerConfig};
use super::owner_handle::OwnerHandle;
use super::shared_state::{PublishedState, SharedState};
use super::slot::LoadOrder;
use crate::engine::onnx::ModelFile;
use crate::layout::{Change, DesiredState, Layout, Plan, Refusal, RefusalKind};
use crate::machine::resident::baseline;
use crate::telemetry::{Applied, JournalEntry, Snapshot, StateVersion};

/// A running scheduler. Dropping it drains and stops it.
pub struct Scheduler {
    owner: OwnerHandle,
    shared: SharedState,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    loads: watch::Receiver<Arc<Vec<LoadOrder>>>,
    readonly: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Scheduler {
    /// Places the layout on the machine and starts loading its models in the background.
    ///
    /// # Errors
    /// [`Refusal`] if the layout does not fit the machine, or a thread cannot be started.
    pub fn start(layout: &Layout, options: Options) -> Result<Self, Refusal> {
        baseline();
        let options = options.clamped();
        let mut description = options.machine.describe();
        if let Some(gpu) = &options.gpu {
            description.gpus = gpu.latest().known();
        }
        let desired = DesiredState::resolve(layout, &description)?;
        let (owner_sender, owner_messages) = mpsc::channel();
        let observer_channel = ObserverChannel::new();
        let (snapshot_sender, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let (load_sender, loads) = watch::channel(Arc::new(Vec::new()));
        let shared = SharedState::new(PublishedState {
            desired: Arc::new(desired.clone()),
            machine: Arc::new(description.clone()),
            ..PublishedState::default()
        });
        let started = options.clock.now();
        let observer = Observer::new(ObserverConfig {
            machine: ObservedMachine {
                machine: options.machine.clone(),
                clock: options.clock.clone(),
                gpu: options.gpu,
                server: options.server,
                processes: options.processes.clone(),
                conditions: options.conditions,
            },
            interval: options.interval,
            machine_check: options.machine_check,
            started,
            messages: observer_channel.receiver,
            owner: owner_sender.clone(),
            snapshots: snapshot_sender,
        });
        let owner = Owner::new(OwnerConfig {
            machine: options.machine,
            clock: options.clock,
            loader: options.loader,
            processes: options.processes,
            desired,
            description,
            windows: options.windows,
            journal: options.journal,
            messages: owner_messages,
            sender: owner_sender.clone(),
            observer: observer_channel.sender,
            started,
            loads: load_sender,
            shared: shared.clone(),
            snapshots: snapshots.clone(),
        })
        .map_err(|error| no_thread(&error))?;
        // The observer stops after the owner, so its handle is not kept.
        spawn("divvy-watch", move || observer.run())?;
        let thread = spawn("divvy-sched", move || owner.run())?;
        let scheduler = Self {
            owner: OwnerHandle::new(owner_sender, options.answer_limit),
            shared,
            snapshots,
            loads,
            readonly: options.readonly,
            thread: Mutex::new(Some(thread)),
        };
        // The owner answers once it has placed the layout: from here on each model has a client.
        scheduler.journal();
        Ok(scheduler)
    }

    /// The built-in loads to run, for the load generators.
    pub fn loads(&self) -> watch::Receiver<Arc<Vec<LoadOrder>>> {
        self.loads.clone()
    }

    /// Returns a client of the models that have a name, from now on; `None` if no model has it now.
    /// Requests sent while the model loads wait for it.
    pub fn client(&self, model: &str) -> Option<ModelClient> {
        let has_model = self.shared.reader().has_model(model);
        has_model.then(|| ModelClient::new(model, &self.shared))
    }

    /// Returns the models by name, for a server.
    pub fn models(&self) -> ModelDirectory {
        ModelDirectory::new(&self.shared, self.snapshots.clone())
    }

    /// Stops the loads, answers waiting requests for at most `patience`, and returns the final
    /// snapshot. Returns `None` if the scheduler was stopped before, a bug in divvy prevented that
    /// snapshot, or the scheduler's thread has not ended [`Options::answer_limit`] after `patience`:
    /// it is left behind then, and its models with it.
    pub fn stop(&self, patience: Duration) -> Option<Snapshot> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let Ok(last) = self.owner.stop(patience) else {
            tracing::error!("the scheduler's thread does not end; it is left behind");
            return None;
        };
        // The panic hook has logged a panic of the owner.
        let _ = thread.join();
        last
    }

    /// Returns an error if changes are refused.
    fn require_writable(&self) -> Result<(), Refusal> {
        if self.readonly {
            return Err(Refusal::of_kind(
                RefusalKind::ReadOnly,
                "this divvy is read-only: start it without --readonly",
            ));
        }
        Ok(())
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Refusal> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| no_thread(&error))
}

fn no_thread(error: &std::io::Error) -> Refusal {
    Refusal::whole(format!("cannot start a thread: {error}"))
}

impl Control for Scheduler {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn plan(&self, change: &Change) -> Result<Plan, Refusal> {
        self.require_writable()?;
        let state = self.shared.read();
        let snapshot = self.snapshots.borrow().clone();
        let mut plan = plan_change(&state.desired, change, &state.machine, &snapshot.memory_table)?;
        require_enforceable(&state.desired, &plan.after, |row| {
            let view = snapshot.model(row)?;
            Some(RowRefusals {
                read_only: view.read_only().map(str::to_owned),
                weight: view.weight_refused().map(str::to_owned),
            })
        })?;
        state.add_build_times(&mut plan);
        Ok(plan)
    }

    fn version(&self) -> StateVersion {
        self.shared.read().version
    }

    fn request(&self, request: ChangeRequest) -> Result<Applied, Refusal> {
        self.require_writable()?;
        let asked = Instant::now();
        self.owner.ask(|question| OwnerMessage::Change { request, asked, question })
    }

    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        self.owner
            .ask(OwnerMessage::Journal)
            .unwrap_or_else(|_| self.snapshots.borrow().changes.clone())
    }

    fn layout(&self) -> Layout {
        self.shared.read().desired.layout()
    }
}

impl CoreLending for Scheduler {
    fn lend(&self, request: LoanRequest) -> Result<Loan, Refusal> {
        self.require_writable()?;
        self.owner.ask(|question| OwnerMessage::Lend { request, question })
    }

    fn reclaim(&self, loan: LoanId) -> Result<(), Refusal> {
        self.require_writable()?;
        self.owner.ask(|question| OwnerMessage::Reclaim { loan, question })
    }
}

impl ModelInspection for Scheduler {
    fn inspect(&self, model: &str) -> Result<ModelFile, Refusal> {
        let state = self.shared.read();
        let row = state.desired.row(model);
        let row = row.ok_or_else(|| Refusal::row(model, "there is no model of this name"))?;
        let source = row.budget.source.model();
        let source =
            source.ok_or_else(|| Refusal::row(model, "is a process: it has no model file"))?;
        ModelFile::read(source).map_err(|error| Refusal::row(model, error.to_string()))
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(2));
    }
}

//! Who decides: applies a change over all pools as one transaction, keeps the journal, and
//! publishes what is.
//!
//! One thread (`owner.rs`) owns the state and decides, another (`observer.rs`) looks and publishes
//! snapshots. [`Scheduler`] is the handle to it and the first
//! implementation of [`Control`], the one door that a user interface has.

mod assemble;
mod control;
mod drain;
mod engines;
mod follow;
mod force;
mod guesses;
mod history;
mod loader;
mod memory;
mod observer;
mod owner;
mod pool_events;
mod publish;
mod rollback;
mod slot;
mod verdicts;

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub use control::Control;
pub use engines::EngineLoader;
use history::HistoryDirection;
pub use loader::{LoadedModel, Loader, PreparedRequests};
use observer::{Observer, ObserverConfig};
use owner::{Owner, OwnerConfig, OwnerMessage, PublishedState, SharedState};
pub use slot::LoadOrder;
pub use verdicts::VerdictWindows;

use crate::layout::{Change, DesiredState, Layout, Plan, Refusal};
use crate::machine::Machine;
use crate::machine::resident::baseline;
use crate::pool::Client;
use crate::telemetry::gpu::GpuSource;
use crate::telemetry::{Applied, Author, Conditions, Entry, Snapshot};

/// What a scheduler starts from.
pub struct Options {
    /// The machine.
    pub machine: Arc<dyn Machine>,
    /// Where models come from.
    pub loader: Arc<dyn Loader>,
    /// Time between snapshots; 50 ms to 1 minute.
    pub interval: Duration,
    /// Whether all changes are refused.
    pub readonly: bool,
    /// Where GPU figures come from; `None` leaves them out of the snapshots.
    pub gpu: Option<Arc<dyn GpuSource>>,
    /// How often the machine is looked at for cores that came or went; 10 ms to 1 minute.
    pub machine_check: Duration,
    /// The windows that verdicts compare.
    pub windows: VerdictWindows,
    /// Gets each entry of the journal when it is made, and again whenever it has changed (a verdict,
    /// an undo). Closed when the scheduler has stopped.
    pub journal: Option<Sender<Entry>>,
    /// Troubles of the program around the scheduler, which snapshots tell among the alerts.
    pub conditions: Conditions,
}

impl Options {
    /// The usual intervals and windows, and changes allowed.
    pub fn new(machine: Arc<dyn Machine>, loader: Arc<dyn Loader>) -> Self {
        Self {
            machine,
            loader,
            interval: Duration::from_millis(500),
            readonly: false,
            gpu: None,
            machine_check: Duration::from_secs(2),
            windows: VerdictWindows::default(),
            journal: None,
            conditions: Conditions::default(),
        }
    }
}

/// The running scheduler. Dropping it drains and stops it.
pub struct Scheduler {
    commands: Sender<OwnerMessage>,
    shelf: SharedState,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    loads: watch::Receiver<Arc<Vec<LoadOrder>>>,
    readonly: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Scheduler {
    /// Places the layout on the machine and starts to load its models, in the background.
    ///
    /// # Errors
    /// [`Refusal`] when the layout does not fit the machine, or no thread can be started.
    pub fn start(layout: &Layout, options: Options) -> Result<Self, Refusal> {
        baseline();
        let mut description = options.machine.describe();
        if let Some(gpu) = &options.gpu {
            description.gpus = gpu.latest().known();
        }
        let desired = DesiredState::resolve(layout, &description)?;
        let (sender, commands) = mpsc::channel();
        let (snapshot_sender, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let (load_sender, loads) = watch::channel(Arc::new(Vec::new()));
        let shelf: SharedState = Arc::new(RwLock::new(PublishedState {
            desired: Arc::new(desired.clone()),
            machine: Arc::new(description.clone()),
            last_builds: Arc::default(),
            clients: Arc::new(BTreeMap::new()),
        }));
        let interval = options.interval.clamp(Duration::from_millis(50), Duration::from_mins(1));
        let started = Instant::now();
        let (observer, looks) = mpsc::channel();
        let watching = Observer::new(ObserverConfig {
            machine: options.machine.clone(),
            gpu: options.gpu,
            conditions: options.conditions,
            interval,
            machine_check: options
                .machine_check
                .clamp(Duration::from_millis(10), Duration::from_mins(1)),
            started,
            looks,
            owner: sender.clone(),
            snapshots: snapshot_sender,
        });
        let owner = Owner::new(OwnerConfig {
            machine: options.machine,
            loader: options.loader,
            desired,
            description,
            interval,
            windows: options.windows,
            journal: options.journal,
            commands,
            sender: sender.clone(),
            observer,
            started,
            loads: load_sender,
            shelf: shelf.clone(),
        });
        // The observer ends when the owner has; so it needs no handle of its own.
        spawn("divvy-watch", move || watching.run())?;
        let thread = spawn("divvy-sched", move || owner.run())?;
        let readonly = options.readonly;
        let thread = Mutex::new(Some(thread));
        let scheduler = Self { commands: sender, shelf, snapshots, loads, readonly, thread };
        // answered once the owner has placed the layout: from here on each model has its door
        scheduler.journal();
        Ok(scheduler)
    }

    /// The built-in loads that are to run, for the load generators.
    pub fn loads(&self) -> watch::Receiver<Arc<Vec<LoadOrder>>> {
        self.loads.clone()
    }

    /// A model's door, from the start on: requests wait while the model is being loaded. `None` when
    /// there is no such model.
    pub fn client(&self, model: &str) -> Option<Client> {
        self.published().clients.get(model).cloned()
    }

    /// Stops loads, answers what waits for at most `patience`, and gives the last snapshot; `None`
    /// when it was stopped before, or a fault in divvy came in the way of that snapshot.
    pub fn stop(&self, patience: Duration) -> Option<Snapshot> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (reply, answer) = mpsc::channel();
        self.commands.send(OwnerMessage::Stop(patience, reply)).ok()?;
        let last = answer.recv().ok();
        // A panic of the owner has been printed already.
        let _ = thread.join();
        last
    }

    fn published(&self) -> PublishedState {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ask(
        &self,
        command: impl FnOnce(Sender<Result<Applied, Refusal>>) -> OwnerMessage,
    ) -> Result<Applied, Refusal> {
        if self.readonly {
            return Err(Refusal::whole("this divvy is read-only: start it without --readonly"));
        }
        let stopped = || Refusal::whole("the scheduler has stopped");
        let (reply, answer) = mpsc::channel();
        self.commands.send(command(reply)).map_err(|_| stopped())?;
        answer.recv().map_err(|_| stopped())?
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Refusal> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| Refusal::whole(format!("cannot start a thread: {error}")))
}

impl Control for Scheduler {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn plan(&self, change: &Change) -> Result<Plan, Refusal> {
        if self.readonly {
            return Err(Refusal::whole("this divvy is read-only: start it without --readonly"));
        }
        let published = self.published();
        let mut plan = published.desired.plan(change, &published.machine)?;
        for row in &mut plan.rows {
            let took = published.last_builds.get(&row.model);
            row.last_build_us = took.map(|took| took.as_micros() as u64);
        }
        Ok(plan)
    }

    fn apply(&self, change: Change, author: Author) -> Result<Applied, Refusal> {
        let begun = Instant::now();
        self.ask(|reply| OwnerMessage::Apply(change, author, begun, reply))
    }

    fn undo(&self, author: Author) -> Result<Applied, Refusal> {
        let begun = Instant::now();
        self.ask(|reply| OwnerMessage::Step(HistoryDirection::Undo, author, begun, reply))
    }

    fn redo(&self, author: Author) -> Result<Applied, Refusal> {
        let begun = Instant::now();
        self.ask(|reply| OwnerMessage::Step(HistoryDirection::Redo, author, begun, reply))
    }

    fn journal(&self) -> Vec<Entry> {
        let (reply, answer) = mpsc::channel();
        let sent = self.commands.send(OwnerMessage::Journal(reply)).is_ok();
        if sent { answer.recv().unwrap_or_default() } else { Vec::new() }
    }

    fn layout(&self) -> Layout {
        self.published().desired.layout()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(2));
    }
}

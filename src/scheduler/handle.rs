//! The handle of a running scheduler: starts its threads and sends them messages.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::control::Control;
use super::loaded_models::add_sharing;
use super::messages::{ApplyReply, OwnerMessage, UndoRedo};
use super::observer::{ObservedMachine, Observer, ObserverConfig};
use super::observer_channel::ObserverChannel;
use super::options::Options;
use super::owner::{Owner, OwnerConfig};
use super::shared_state::{PublishedState, SharedState};
use super::slot::LoadOrder;
use crate::layout::{Change, DesiredState, Layout, Plan, Refusal};
use crate::machine::resident::baseline;
use crate::pool::Client;
use crate::telemetry::{Applied, Author, JournalEntry, Snapshot};

/// A running scheduler. Dropping it drains and stops it.
pub struct Scheduler {
    owner: Sender<OwnerMessage>,
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
        let started = Instant::now();
        let observer = Observer::new(ObserverConfig {
            machine: ObservedMachine {
                machine: options.machine.clone(),
                gpu: options.gpu,
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
            loader: options.loader,
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
        let readonly = options.readonly;
        let thread = Mutex::new(Some(thread));
        let scheduler = Self { owner: owner_sender, shared, snapshots, loads, readonly, thread };
        // The owner answers once it has placed the layout: from here on each model has a client.
        scheduler.journal();
        Ok(scheduler)
    }

    /// The built-in loads to run, for the load generators.
    pub fn loads(&self) -> watch::Receiver<Arc<Vec<LoadOrder>>> {
        self.loads.clone()
    }

    /// Returns the client of a model, or `None` if there is no such model. Requests sent while the
    /// model loads wait for it.
    pub fn client(&self, model: &str) -> Option<Client> {
        self.shared.read().clients.get(model).cloned()
    }

    /// Stops the loads, answers waiting requests for at most `patience`, and returns the final
    /// snapshot. Returns `None` if the scheduler was stopped before, or a bug in divvy prevented
    /// that snapshot.
    pub fn stop(&self, patience: Duration) -> Option<Snapshot> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (reply, answer) = mpsc::channel();
        self.owner.send(OwnerMessage::Stop { patience, reply }).ok()?;
        let last = answer.recv().ok();
        // The panic hook has logged a panic of the owner.
        let _ = thread.join();
        last
    }

    /// Returns an error if changes are refused.
    fn require_writable(&self) -> Result<(), Refusal> {
        if self.readonly {
            return Err(Refusal::whole("this divvy is read-only: start it without --readonly"));
        }
        Ok(())
    }

    /// Sends the owner a message and waits for the answer.
    fn request(
        &self,
        message: impl FnOnce(ApplyReply) -> OwnerMessage,
    ) -> Result<Applied, Refusal> {
        self.require_writable()?;
        let stopped = || Refusal::whole("the scheduler has stopped");
        let (reply, answer) = mpsc::channel();
        self.owner.send(message(reply)).map_err(|_| stopped())?;
        answer.recv().map_err(|_| stopped())?
    }

    fn undo_redo(&self, direction: UndoRedo, author: Author) -> Result<Applied, Refusal> {
        let asked = Instant::now();
        self.request(|reply| OwnerMessage::UndoRedo { direction, author, asked, reply })
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
        let mut plan = state.desired.plan(change, &state.machine)?;
        let snapshot = self.snapshots.borrow().clone();
        add_sharing(&mut plan, &state.desired, &snapshot.memory_table)?;
        state.add_build_times(&mut plan);
        Ok(plan)
    }

    fn apply(&self, change: Change, author: Author) -> Result<Applied, Refusal> {
        let asked = Instant::now();
        self.request(|reply| OwnerMessage::Apply { change, author, asked, reply })
    }

    fn undo(&self, author: Author) -> Result<Applied, Refusal> {
        self.undo_redo(UndoRedo::Undo, author)
    }

    fn redo(&self, author: Author) -> Result<Applied, Refusal> {
        self.undo_redo(UndoRedo::Redo, author)
    }

    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        let (reply, answer) = mpsc::channel();
        let sent = self.owner.send(OwnerMessage::Journal(reply)).is_ok();
        if sent { answer.recv().unwrap_or_default() } else { Vec::new() }
    }

    fn layout(&self) -> Layout {
        self.shared.read().desired.layout()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(2));
    }
}

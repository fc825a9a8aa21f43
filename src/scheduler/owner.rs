//! The one thread that owns the scheduler's state: takes commands in turn, so that changes are
//! transactions without a lock over the pools.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, RwLock, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::force;
use super::history::{History, HistoryDirection, UndoRedoStep};
use super::loader::{LoadedModel, Loader, PreparedRequests};
use super::observer::ObserverMessage;
use super::slot::{LoadOrder, LoadPhase, Slot, Slots};
use super::verdicts::{VerdictWindows, Verdicts};
use crate::engine::EngineError;
use crate::layout::{Change, DesiredState, Edit, Plan, Refusal};
use crate::machine::{Description, Machine, current_thread, request_realtime};
use crate::pool::{Client, Pool, PoolEvent};
use crate::telemetry::{Applied, Author, Entry, Snapshot, Verdict};

/// How often queue timeouts are looked after.
const HOUSEKEEPING: Duration = Duration::from_millis(10);

/// The shortest time between two scenes: a burst of changes must not wait for pictures of it.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// What the owner is asked.
pub(super) enum OwnerMessage {
    /// Apply a change.
    Apply(Change, Author, Instant, Sender<Result<Applied, Refusal>>),
    /// Go a step back or forward in the history.
    Step(HistoryDirection, Author, Instant, Sender<Result<Applied, Refusal>>),
    /// The whole journal.
    Journal(Sender<Vec<Entry>>),
    /// A model's loading ended.
    Loaded(String, u64, Result<LoadedModel, EngineError>),
    /// A row's GPU cannot be used from this process.
    Unusable(String, u64, String),
    /// A pool has something to say.
    Pool(String, u64, PoolEvent),
    /// Verdicts were worked out, each for an entry of the journal.
    Verdicts(Vec<(u64, Verdict)>),
    /// The machine was looked at: it has changed, or threads are not where they should be.
    Machine(Box<Description>),
    /// Drain all pools and end.
    Stop(Duration, Sender<Snapshot>),
}

/// What others read without asking the owner.
#[derive(Clone)]
pub(super) struct PublishedState {
    pub desired: Arc<DesiredState>,
    pub machine: Arc<Description>,
    pub last_builds: Arc<BTreeMap<String, Duration>>,
    pub clients: Arc<BTreeMap<String, Client>>,
}

/// The shared cell of it.
pub(super) type SharedState = Arc<RwLock<PublishedState>>;

/// The owner's state.
pub(super) struct Owner {
    pub(super) machine: Arc<dyn Machine>,
    pub(super) description: Arc<Description>,
    loader: Arc<dyn Loader>,
    commands: Receiver<OwnerMessage>,
    sender: Sender<OwnerMessage>,
    pub(super) desired: Arc<DesiredState>,
    pub(super) slots: Slots,
    /// Pools of models that went, which still answer what they had.
    pub(super) leaving: Vec<Weak<Pool>>,
    pub(super) history: History,
    verdicts: Verdicts,
    started: Instant,
    interval: Duration,
    /// Something changed that the observer has not been told.
    pub(super) stale: bool,
    pub(super) told: Instant,
    epochs: u64,
    pub(super) shelf: SharedState,
    pub(super) observer: Sender<ObserverMessage>,
    pub(super) loads: watch::Sender<Arc<Vec<LoadOrder>>>,
}

/// What the owner starts from.
pub(super) struct OwnerConfig {
    pub machine: Arc<dyn Machine>,
    pub loader: Arc<dyn Loader>,
    pub desired: DesiredState,
    pub description: Description,
    pub interval: Duration,
    pub windows: VerdictWindows,
    pub journal: Option<Sender<Entry>>,
    pub commands: Receiver<OwnerMessage>,
    pub sender: Sender<OwnerMessage>,
    pub observer: Sender<ObserverMessage>,
    pub started: Instant,
    pub loads: watch::Sender<Arc<Vec<LoadOrder>>>,
    pub shelf: SharedState,
}

impl Owner {
    pub(super) fn new(from: OwnerConfig) -> Self {
        Self {
            machine: from.machine,
            description: Arc::new(from.description),
            loader: from.loader,
            commands: from.commands,
            verdicts: Verdicts::new(from.windows, from.sender.clone()),
            sender: from.sender,
            desired: Arc::new(from.desired),
            slots: Slots::new(),
            leaving: Vec::new(),
            history: History::new(from.journal),
            started: from.started,
            interval: from.interval,
            stale: true,
            told: from.started,
            epochs: 0,
            shelf: from.shelf,
            observer: from.observer,
            loads: from.loads,
        }
    }

    /// The thread's body.
    pub(super) fn run(mut self) {
        // A change waits for this thread: it must not stand behind the models' own threads.
        let first = request_realtime();
        tracing::debug!(first, "the scheduler's thread runs");
        let first = self.desired.clone();
        self.reconcile(&DesiredState::default(), &first);
        self.publish_state();
        self.show();
        let mut next_verdicts = Instant::now() + self.interval;
        loop {
            match self.commands.recv_timeout(HOUSEKEEPING) {
                Ok(OwnerMessage::Stop(patience, reply)) => {
                    if let Some(last) = self.stop(patience) {
                        // Whoever asked may have gone; the pools are drained all the same.
                        let _ = reply.send(last);
                    }
                    return;
                }
                Ok(command) => self.handle(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            for slot in self.slots.values() {
                slot.pool.expire(now);
                let counts = slot.pool.counts();
                slot.pool.recorder().note_work(now, counts.queued + counts.executing > 0);
            }
            if now >= next_verdicts {
                next_verdicts = now + self.interval;
                self.verdicts.close_due(&self.slots, now);
            }
            if self.stale && now >= self.told + SHORTEST_INTERVAL {
                self.show();
            }
        }
    }

    fn handle(&mut self, command: OwnerMessage) {
        match command {
            OwnerMessage::Apply(change, author, begun, reply) => {
                let before = self.desired.clone();
                let result = before
                    .plan(&change, &self.description)
                    .map(|plan| self.commit(plan, change, author, begun, None));
                // Nobody waits for it any more when this fails; the change stands.
                let _ = reply.send(result);
            }
            OwnerMessage::Step(way, author, begun, reply) => {
                let _ = reply.send(self.step(way, author, begun));
            }
            OwnerMessage::Journal(reply) => {
                let entries = self.history.entries().map(|entry| Entry::clone(entry));
                let _ = reply.send(entries.collect());
                return;
            }
            OwnerMessage::Loaded(name, epoch, result) => self.loaded(&name, epoch, result),
            OwnerMessage::Pool(name, epoch, event) => self.pool_event(&name, epoch, event),
            OwnerMessage::Verdicts(decided) => self.decide(decided),
            OwnerMessage::Unusable(name, epoch, reason) => {
                if self.slots.get(&name).is_some_and(|slot| slot.epoch == epoch) {
                    tracing::error!("{name}: {reason}");
                    self.unusable(&name, &reason);
                }
            }
            OwnerMessage::Machine(found) => self.follow_machine(*found),
            // Handled by the loop itself.
            OwnerMessage::Stop(..) => return,
        }
        self.stale = true;
    }

    fn decide(&mut self, decided: Vec<(u64, Verdict)>) {
        for (entry, verdict) in decided {
            self.history.decide(entry, verdict);
        }
    }

    /// Applies a plan and writes it down. `gone`: the step of the history that this is.
    pub(super) fn commit(
        &mut self,
        mut plan: Plan,
        change: Change,
        author: Author,
        begun: Instant,
        gone: Option<UndoRedoStep>,
    ) -> Applied {
        let before = std::mem::replace(&mut self.desired, Arc::new(plan.after.clone()));
        self.fill_builds(&mut plan);
        let after = self.desired.clone();
        let (forced, differences) = self.reconcile(&before, &after);
        let force_us = forced.saturating_duration_since(begun).as_micros() as u64;
        self.publish_state();
        let id = self.history.next_id();
        let models: Vec<String> = plan.rows.iter().map(|row| row.model.clone()).collect();
        let now = Instant::now();
        let verdicts = self.verdicts.open(id, &models, &after, &self.slots, &mut self.history, now);
        let entry = Entry {
            id,
            at_unix_ms: super::assemble::unix_ms(),
            uptime_us: self.started.elapsed().as_micros() as u64,
            author,
            change,
            summary: plan.summary.clone(),
            warnings: plan.warnings.clone(),
            models,
            force_us,
            undone: false,
            undoes: gone.as_ref().and_then(UndoRedoStep::undoes),
            redoes: gone.as_ref().and_then(UndoRedoStep::redoes),
            verdicts,
        };
        let of = gone.as_ref().map(|gone| gone.id);
        match gone {
            None if author == Author::Scheduler => self.history.push_own(entry, &before, &plan),
            None => self.history.push(entry, &before, &plan),
            Some(gone) => self.history.record_undo_redo(&gone, entry, &before, &plan),
        }
        Applied { id, of, plan, force_us, differences }
    }

    fn step(
        &mut self,
        way: HistoryDirection,
        author: Author,
        begun: Instant,
    ) -> Result<Applied, Refusal> {
        let gone = self.history.step(way, &self.desired)?;
        let after = self.desired.cross(&gone.from, &gone.to, &self.description)?;
        let plan = self.desired.plan_to(after, &self.description);
        let layout = Box::new(plan.after.layout());
        let change = Change::from(Edit::Load { layout });
        Ok(self.commit(plan, change, author, begun, Some(gone)))
    }

    /// Brings `after` into force: slots that go, slots that come, and all that stay. Returns when it
    /// was in force, and where the kernel shows something else.
    fn reconcile(&mut self, before: &DesiredState, after: &DesiredState) -> (Instant, Vec<String>) {
        for old in &before.rows {
            let goes = after.row(&old.budget.name).is_none_or(|new| {
                (&new.budget.source, new.budget.engine, &new.budget.dims, &new.budget.inputs)
                    != (&old.budget.source, old.budget.engine, &old.budget.dims, &old.budget.inputs)
                    || new.budget.recording() != old.budget.recording()
                    || (new.budget.memory != old.budget.memory
                        && self.is_unloaded(&old.budget.name))
            });
            if goes && let Some(slot) = self.slots.remove(&old.budget.name) {
                self.retire(slot);
            }
        }
        for row in &after.rows {
            if !self.slots.contains_key(&row.budget.name) {
                self.begin_loading(row, after);
            }
        }
        self.move_off_reserved_cores(after);
        let mut found = force::enforce(before, after, &self.slots, &self.description);
        let forced = Instant::now();
        for row in &after.rows {
            let changed = before.row(&row.budget.name) != Some(row);
            if let Some(slot) = self.slots.get_mut(&row.budget.name) {
                if changed {
                    slot.retry();
                    slot.pool.recorder().mark_change(forced);
                }
                if let Some(lines) = found.get_mut(&row.budget.name) {
                    if slot.difference.is_some() {
                        // what was asked for before and is still open counts on
                        *lines = force::place(row, after, slot, &self.description);
                    }
                    slot.renewals = 0;
                    force::settle(row, after, slot, lines);
                    *lines = slot.difference.iter().cloned().collect();
                }
            }
            if changed {
                self.note_row(row);
            }
            let unusable = force::build(row, after, &self.slots, &self.description).err();
            if let (Some(reason), Some(slot)) = (unusable, self.slots.get(&row.budget.name)) {
                // told when this change is through, since it may put the row back
                let command = OwnerMessage::Unusable(row.budget.name.clone(), slot.epoch, reason);
                // this is the receiver, so it is there
                let _ = self.sender.send(command);
            }
        }
        self.publish_loads();
        let lines = found
            .into_iter()
            .flat_map(|(name, lines)| lines.into_iter().map(move |line| format!("{name}: {line}")));
        (forced, lines.collect())
    }

    /// Whether loading the model has failed, as for want of memory: another budget is a new try.
    fn is_unloaded(&self, name: &str) -> bool {
        let failed = |slot: &Slot| matches!(slot.phase, LoadPhase::Failed(_));
        self.slots.get(name).is_some_and(|slot| failed(slot) && slot.pool.model().is_none())
    }

    fn begin_loading(&mut self, row: &crate::layout::Row, all: &DesiredState) {
        self.epochs += 1;
        let (epoch, name) = (self.epochs, row.budget.name.clone());
        let (sender, listener_name) = (self.sender.clone(), name.clone());
        let listener = Box::new(move |event| {
            // The owner is gone when the program ends; then nobody needs to know.
            let _ = sender.send(OwnerMessage::Pool(listener_name.clone(), epoch, event));
        });
        let mask = force::mask(row, all, &self.description);
        let pool = Pool::new(&name, self.machine.clone(), row.budget.queue, mask, listener);
        pool.set_memory(row.budget.memory.map(|bytes| bytes.0));
        let mut slot = Slot {
            pool: Arc::new(pool),
            phase: LoadPhase::Loading,
            epoch,
            engine: None,
            title: String::new(),
            requests: Arc::new(PreparedRequests::default()),
            offered: Arc::new(AtomicU64::new(0)),
            last_build: None,
            failed_setup: None,
            served: None,
            renewals: 0,
            difference: None,
        };
        let (loader, sender, budget) =
            (self.loader.clone(), self.sender.clone(), row.budget.clone());
        let (machine, everywhere) = (self.machine.clone(), self.description.limits.allowed);
        let spawned =
            std::thread::Builder::new().name("divvy-load-file".to_owned()).spawn(move || {
                // This thread's own mask may be narrower: it keeps off reserved cores. A refusal
                // leaves that one, which only makes the loading slower.
                let _ = machine.set_affinity(current_thread(), &everywhere);
                let loaded =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| loader.load(&budget)));
                let result = loaded.unwrap_or_else(|panic| {
                    let message = crate::pool::panic_message(&*panic);
                    Err(EngineError::Unavailable {
                        reason: format!("the engine panicked: {message}"),
                    })
                });
                let _ = sender.send(OwnerMessage::Loaded(budget.name, epoch, result));
            });
        if let Err(error) = spawned {
            slot.fail(format!("cannot start a thread: {error}"));
        }
        self.slots.insert(name, slot);
    }

    fn loaded(&mut self, name: &str, epoch: u64, result: Result<LoadedModel, EngineError>) {
        let Some(slot) = self.slots.get_mut(name).filter(|slot| slot.epoch == epoch) else {
            return;
        };
        match result {
            Ok(loaded) => {
                let warm_up = loaded.requests.inputs.first().cloned().unwrap_or_default();
                slot.pool.set_prepared(loaded.requests.bytes());
                slot.pool.install(loaded.model, warm_up);
                if let Err(error) = slot.pool.fits() {
                    slot.pool.uninstall();
                    slot.requests = Arc::default();
                    return slot.fail(error.to_string());
                }
                tracing::info!("{name}: loaded with {}", loaded.title);
                slot.engine = Some(loaded.engine);
                slot.title = loaded.title;
                slot.requests = Arc::new(loaded.requests);
                slot.phase = LoadPhase::Loaded;
            }
            Err(error) => {
                tracing::error!("{name}: {error}");
                slot.fail(error.to_string());
            }
        }
        let desired = self.desired.clone();
        if let Some(row) = desired.row(name) {
            self.build(row);
        }
        self.publish_loads();
    }

    /// Ends loads, drains all pools, closes what is open in the journal, and gives the last snapshot.
    fn stop(&mut self, patience: Duration) -> Option<Snapshot> {
        let now = Instant::now();
        self.loads.send_replace(Arc::new(Vec::new()));
        std::thread::scope(|scope| {
            for slot in self.slots.values() {
                scope.spawn(|| slot.pool.drain(patience));
            }
        });
        self.verdicts.close_all(&self.slots, now);
        while let Ok(command) = self.commands.try_recv() {
            if let OwnerMessage::Verdicts(decided) = command {
                self.decide(decided);
            }
        }
        self.show();
        let (reply, answer) = std::sync::mpsc::channel();
        // One that panics over it drops the reply; then there is no last snapshot.
        let _ = self.observer.send(ObserverMessage::Last(reply));
        answer.recv().ok()
    }
}

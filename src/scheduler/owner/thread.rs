//! The owner thread: receives messages and handles them one after another.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::history::ChangeHistory;
use super::housekeeper::Housekeeper;
use super::models::LiveModels;
use super::open_changes::OpenChanges;
use super::publish::Publisher;
use super::stage_timer::StageTimer;
use super::verdicts::Verdicts;
use super::{lend, machine_changes, pool_events, successors};
use crate::layout::DesiredState;
use crate::machine::{Clock, Description, Machine, request_realtime};
use crate::process::ProcessHost;
use crate::scheduler::loading::Loader;
use crate::scheduler::messages::{ChangeLog, OwnerMessage};
use crate::scheduler::observer_channel::ObserverSender;
use crate::scheduler::options::VerdictWindows;
use crate::scheduler::shared_state::SharedState;
use crate::scheduler::slot::LoadOrder;
use crate::telemetry::{JournalSender, Snapshot};

/// The owner's state.
pub(in crate::scheduler) struct Owner {
    messages: Receiver<OwnerMessage>,
    pub(super) models: LiveModels,
    pub(super) history: ChangeHistory,
    pub(super) open_changes: OpenChanges,
    pub(super) verdicts: Verdicts,
    pub(super) publisher: Publisher,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Instant,
    /// The published snapshots; the owner reads the rows' memory from them.
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// The initial state of the owner, and its channels.
pub(in crate::scheduler) struct OwnerConfig {
    pub(in crate::scheduler) machine: Arc<dyn Machine>,
    pub(in crate::scheduler) clock: Arc<dyn Clock>,
    pub(in crate::scheduler) loader: Arc<dyn Loader>,
    pub(in crate::scheduler) processes: Option<Arc<ProcessHost>>,
    pub(in crate::scheduler) desired: DesiredState,
    pub(in crate::scheduler) description: Description,
    pub(in crate::scheduler) windows: VerdictWindows,
    pub(in crate::scheduler) journal: Option<JournalSender>,
    pub(in crate::scheduler) messages: Receiver<OwnerMessage>,
    pub(in crate::scheduler) sender: Sender<OwnerMessage>,
    pub(in crate::scheduler) observer: ObserverSender,
    pub(in crate::scheduler) started: Instant,
    pub(in crate::scheduler) loads: watch::Sender<Arc<Vec<LoadOrder>>>,
    pub(in crate::scheduler) shared: SharedState,
    pub(in crate::scheduler) snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Owner {
    /// The owner in its initial state.
    ///
    /// # Errors
    /// The system's error if a thread cannot be started.
    pub(in crate::scheduler) fn new(config: OwnerConfig) -> io::Result<Self> {
        let housekeeper = Housekeeper::start(config.clock.clone(), config.windows.cell())?;
        let mut models = LiveModels::new(
            config.desired,
            config.description,
            config.machine,
            config.loader,
            config.sender.clone(),
        );
        models.loads.set_processes(config.processes);
        Ok(Self {
            messages: config.messages,
            verdicts: Verdicts::new(config.windows, config.sender)?,
            models,
            history: ChangeHistory::new(config.journal),
            open_changes: OpenChanges::default(),
            publisher: Publisher::new(config.shared, housekeeper, config.observer, config.loads),
            clock: config.clock,
            started: config.started,
            snapshots: config.snapshots,
        })
    }

    /// Runs the thread until it receives the message to stop.
    pub(in crate::scheduler) fn run(mut self) {
        // A change waits for this thread, so it must run before the models' own threads.
        let is_realtime = request_realtime();
        tracing::debug!(is_realtime, "the scheduler's thread runs");
        let first = self.models.desired.clone();
        let mut timer = StageTimer::new(Instant::now());
        let reconciled = self.models.reconcile(&DesiredState::default(), &first, &mut timer);
        self.mark_change(reconciled.changed, reconciled.in_force);
        self.publisher.publish_loads(&self.models);
        self.publisher.publish_state(&self.models);
        self.publisher.send_state(&self.models, self.change_log());
        loop {
            match self.next_message() {
                Ok(OwnerMessage::Stop { patience, reply }) => {
                    if let Some(last) = self.stop(patience) {
                        // The caller may have ended; the pools are drained all the same.
                        let _ = reply.send(last);
                    }
                    return;
                }
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.clock.now();
            if self.verdicts.next_due().is_some_and(|due| due <= now) {
                self.verdicts.close_due(&self.models.slots, now);
            }
            if lend::end_expired_loans(&mut self.models, now) {
                self.publisher.mark_stale();
            }
            if self.publisher.is_due(Instant::now()) {
                self.publisher.send_state(&self.models, self.change_log());
            }
        }
    }

    /// Waits for a message or for the next verdict, end of a loan or publication. With none, the
    /// thread sleeps until a message comes.
    fn next_message(&self) -> Result<OwnerMessage, RecvTimeoutError> {
        let publication = self.publisher.next_due();
        let publication = publication.map(|due| due.saturating_duration_since(Instant::now()));
        let due = [self.verdicts.next_due(), self.models.loans.next_end()];
        let due = due.into_iter().flatten().min().map(|due| self.clock.sleep_until(due));
        match [publication, due].into_iter().flatten().min() {
            Some(wait) => self.messages.recv_timeout(wait),
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn handle(&mut self, message: OwnerMessage) {
        // Sending fails if the caller has ended: it needs no reply, and its change stays applied.
        let mut handled = None;
        let own_change = match message {
            OwnerMessage::Change { request, asked, question } => {
                if !question.answer(|| self.request(request, asked)) {
                    return;
                }
                None
            }
            OwnerMessage::Lend { request, question } => {
                if !question.answer(|| lend::lend(&mut self.models, &request, &*self.clock)) {
                    return;
                }
                None
            }
            OwnerMessage::Reclaim { loan, question } => {
                if !question.answer(|| lend::reclaim(&mut self.models, loan)) {
                    return;
                }
                None
            }
            OwnerMessage::Journal(question) => {
                question.answer(|| Ok(self.history.entries().cloned().collect()));
                return;
            }
            OwnerMessage::Verdicts(completed) => {
                for verdict in completed {
                    self.history.complete_verdict(verdict);
                }
                None
            }
            OwnerMessage::Loaded { key, result } => {
                handled = Some(key.generation);
                let own_change = self.models.take_loaded(&key, result);
                self.publisher.publish_loads(&self.models);
                own_change
            }
            OwnerMessage::Pool { key, event } => {
                handled = Some(key.generation);
                let own_change = pool_events::handle(&mut self.models, &key, event);
                self.publisher.publish_state(&self.models);
                self.models.draining.start();
                self.publisher.publish_loads(&self.models);
                own_change
            }
            OwnerMessage::GpuUnusable { key, reason } => {
                handled = Some(key.generation);
                self.open_changes.note_gpu_handled(key.generation);
                self.models.slots.name_of(&key).and_then(|name| {
                    tracing::error!("{name}: {reason}");
                    self.models.roll_back_gpu(&name, &reason)
                })
            }
            OwnerMessage::SuccessorChanged { slot } => {
                let name = self.models.slots.name_of_generation(slot);
                name.and_then(|name| successors::build(&mut self.models, &name))
            }
            OwnerMessage::MachineChecked(found) => {
                let own_change = machine_changes::follow(&mut self.models, *found);
                self.publisher.publish_state(&self.models);
                own_change
            }
            // `run` handles it.
            OwnerMessage::Stop { .. } => return,
        };
        if let Some(own_change) = own_change {
            self.commit_own(own_change);
        }
        if let Some(slot) = handled {
            self.settle_changes(slot);
        }
        self.publisher.mark_stale();
    }

    /// Returns the newest changes for the observer.
    fn change_log(&self) -> ChangeLog {
        ChangeLog {
            entries: self.history.last_entries(),
            builds: self.open_changes.builds(),
            counts: self.history.counts().clone(),
        }
    }

    /// Stops the loads, drains all workloads, also those of removed models, closes the open verdicts, and returns the final snapshot.
    fn stop(&mut self, patience: Duration) -> Option<Snapshot> {
        let now = self.clock.now();
        self.publisher.stop_loads();
        let mut workloads = self.models.draining.workloads();
        for slot in self.models.slots.values() {
            workloads.push(slot.workload.clone());
            workloads.extend(slot.successor.as_ref().map(|successor| successor.workload.clone()));
        }
        std::thread::scope(|scope| {
            for workload in &workloads {
                scope.spawn(|| workload.shut_down(patience));
            }
        });
        let unfinished = self.open_changes.end_all();
        self.update_statuses(unfinished);
        self.verdicts.close_all(&self.models.slots, now);
        while let Ok(message) = self.messages.try_recv() {
            if let OwnerMessage::Verdicts(completed) = message {
                for verdict in completed {
                    self.history.complete_verdict(verdict);
                }
            }
        }
        self.publisher.send_state(&self.models, self.change_log());
        self.publisher.stop_observer()
    }
}

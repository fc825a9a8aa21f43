//! The loop of the observer thread.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::assemble::Assembler;
use super::fault_guard::{FaultGuard, ObserverTask, TaskOutcome};
use super::machine::ObservedMachine;
use super::pacer::PublicationPacer;
use crate::machine::{request_short_slice, running_now};
use crate::scheduler::messages::{ObserverMessage, OwnerMessage, SchedulerState};
use crate::scheduler::observer_channel::ObserverReceiver;
use crate::telemetry::Snapshot;

/// The initial state of the observer, and its channels.
pub(in crate::scheduler) struct ObserverConfig {
    pub(in crate::scheduler) machine: ObservedMachine,
    /// Time between samples.
    pub(in crate::scheduler) interval: Duration,
    /// Time between checks of the machine.
    pub(in crate::scheduler) machine_check: Duration,
    pub(in crate::scheduler) started: Instant,
    pub(in crate::scheduler) messages: ObserverReceiver,
    pub(in crate::scheduler) owner: Sender<OwnerMessage>,
    pub(in crate::scheduler) snapshots: watch::Sender<Arc<Snapshot>>,
}

/// The observer's state.
pub(in crate::scheduler) struct Observer {
    config: ObserverConfig,
    state: SchedulerState,
    assembler: Assembler,
    pacer: PublicationPacer,
    guard: FaultGuard,
}

impl Observer {
    pub(in crate::scheduler) fn new(config: ObserverConfig) -> Self {
        Self {
            guard: FaultGuard::new(config.machine.conditions.clone()),
            config,
            state: SchedulerState::default(),
            assembler: Assembler::default(),
            pacer: PublicationPacer::default(),
        }
    }

    /// Runs the thread until the owner stops it. A task that panics does not end the thread, since
    /// the owner waits for the final snapshot and the next state may be harmless.
    pub(in crate::scheduler) fn run(mut self) {
        // Snapshots must be fresh even if the models keep every core busy.
        request_short_slice();
        match self.config.messages.recv() {
            Some(ObserverMessage::State(state)) => self.state = *state,
            Some(ObserverMessage::Stop(_)) | None => return,
        }
        // The first sample is due at once.
        let clock = self.config.machine.clock.clone();
        let mut next_sample = clock.now();
        let mut next_check = next_sample + self.config.machine_check;
        loop {
            let now = running_now();
            let publication = self.pacer.due(now).map(|due| due.saturating_duration_since(now));
            let wait = clock.sleep_until(next_sample.min(next_check));
            let wait = publication.map_or(wait, |publication| wait.min(publication));
            match self.config.messages.recv_timeout(wait) {
                Ok(ObserverMessage::State(state)) => {
                    self.state = *state;
                    self.pacer.mark_stale();
                }
                Ok(ObserverMessage::Stop(reply)) => return self.stop(&reply),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock.now();
            if now >= next_check {
                next_check = now + self.config.machine_check;
                self.check();
            }
            let is_due = now >= next_sample;
            if is_due {
                next_sample = now + self.config.interval;
                self.sample();
            }
            let real_now = running_now();
            if is_due || self.pacer.due(real_now).is_some_and(|due| due <= real_now) {
                self.publish();
            }
        }
    }

    /// Publishes and sends the final snapshot. Without one, the reply is dropped.
    fn stop(mut self, reply: &Sender<Snapshot>) {
        self.sample();
        if let Some(last) = self.publish() {
            // The receiver may have ended.
            let _ = reply.send(last.as_ref().clone());
        }
    }

    /// Reports to the owner if the machine has changed or threads are not placed as asked.
    fn check(&mut self) {
        let (config, state) = (&self.config, &self.state);
        self.guard.run(ObserverTask::Check, || {
            if let Some(found) = config.machine.check(state) {
                // An owner that has ended needs no report.
                let _ = config.owner.send(OwnerMessage::MachineChecked(Box::new(found)));
            }
        });
    }

    fn sample(&mut self) {
        let (config, state, assembler) = (&self.config, &self.state, &mut self.assembler);
        self.guard.run(ObserverTask::Sample, || {
            assembler.sample(state, &config.machine, config.machine.clock.now());
        });
    }

    fn publish(&mut self) -> Option<Arc<Snapshot>> {
        let start = running_now();
        let last = self.assemble_and_send();
        self.pacer.record(start, running_now());
        last
    }

    fn assemble_and_send(&mut self) -> Option<Arc<Snapshot>> {
        let (config, state, assembler) = (&self.config, &self.state, &mut self.assembler);
        let outcome = self.guard.run(ObserverTask::Publish, || {
            let snapshot = Arc::new(assembler.assemble(state, &config.machine, config.started));
            config.snapshots.send_replace(snapshot.clone());
            snapshot
        });
        match outcome {
            TaskOutcome::Done(snapshot) => Some(snapshot),
            TaskOutcome::Panicked { is_new } => {
                if is_new {
                    self.add_alerts_to_last();
                }
                None
            }
        }
    }

    /// Adds the newest alerts to the last snapshot, since no newer one is coming.
    fn add_alerts_to_last(&self) {
        self.config.snapshots.send_modify(|last| {
            let last = Arc::make_mut(last);
            for alert in self.config.machine.conditions.alerts() {
                if !last.alerts.contains(&alert) {
                    last.alerts.push(alert);
                }
            }
        });
    }
}

//! The thread that looks: samples the machine and the pools, keeps models to their memory budgets, and
//! publishes snapshots. Apart from the owner, so that no reading of counters delays a change.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::memory::HeapSample;
use super::owner::OwnerMessage;
use super::slot::{Slot, Slots};
use crate::layout::DesiredState;
use crate::machine::{Description, Machine, ThreadId, process_cpu_ns, request_short_slice};
use crate::pool::panic_message;
use crate::telemetry::gpu::GpuSource;
use crate::telemetry::{Conditions, Entry, Sensor, Snapshot, Usage};

/// What the owner had decided at one instant.
pub(super) struct SchedulerState {
    pub desired: Arc<DesiredState>,
    pub description: Arc<Description>,
    pub slots: Slots,
    /// The newest entries of the journal, oldest first.
    pub changes: Vec<Arc<Entry>>,
}

/// What the observer is told.
pub(super) enum ObserverMessage {
    /// Things stand so now.
    SchedulerState(Box<SchedulerState>),
    /// Take the last snapshot, hand it out, and end.
    Last(Sender<Snapshot>),
}

/// What an observer starts from.
pub(super) struct ObserverConfig {
    pub machine: Arc<dyn Machine>,
    pub gpu: Option<Arc<dyn GpuSource>>,
    pub conditions: Conditions,
    /// Time between samples.
    pub interval: Duration,
    /// How often the machine is looked at for cores that came or went.
    pub machine_check: Duration,
    pub started: Instant,
    pub looks: Receiver<ObserverMessage>,
    pub owner: Sender<OwnerMessage>,
    pub snapshots: watch::Sender<Arc<Snapshot>>,
}

/// The observer's state.
pub(super) struct Observer {
    pub(super) with: ObserverConfig,
    pub(super) scene: SchedulerState,
    sensor: Sensor,
    pub(super) usage: Usage,
    process_cpu_ns: u64,
    pub(super) process_cpu: f64,
    /// The heap when it was last asked about.
    pub(super) heap: Option<HeapSample>,
    pub(super) sequence: u64,
    pub(super) meters: BTreeMap<String, ModelMeters>,
    /// The parts of a look that went wrong when last done, and what was said of it.
    faults: BTreeMap<ObserverTask, String>,
}

/// The parts of a look; each can go wrong without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ObserverTask {
    Check,
    Sample,
    Publish,
}

impl ObserverTask {
    /// What the program's troubles file it under.
    fn name(self) -> &'static str {
        match self {
            Self::Check => "observer: check",
            Self::Sample => "observer: sample",
            Self::Publish => "observer: publish",
        }
    }

    /// What is wrong while it fails.
    fn fails(self) -> &'static str {
        match self {
            Self::Check => "the machine is not looked at for changes",
            Self::Sample => "figures are left out",
            Self::Publish => "the screen stands still",
        }
    }

    /// What is right when it has failed and does not any more.
    fn works(self) -> &'static str {
        match self {
            Self::Check => "the machine is looked at for changes",
            Self::Sample => "figures are complete",
            Self::Publish => "the screen moves",
        }
    }
}

/// What is counted of one model from look to look.
#[derive(Default)]
pub(super) struct ModelMeters {
    /// Of which slot of this name.
    epoch: u64,
    lost: u64,
    pub(super) offered: RateMeter,
}

/// Turns a running count into a rate over about the last second.
#[derive(Default)]
pub(super) struct RateMeter {
    from: Option<(u64, Instant)>,
    rate: f64,
}

impl RateMeter {
    /// The rate, per second, given the count now.
    pub(super) fn update(&mut self, count: u64, now: Instant) -> f64 {
        let Some((before, since)) = self.from else {
            self.from = Some((count, now));
            return 0.0;
        };
        let span = now.saturating_duration_since(since);
        if span >= Duration::from_secs(1) {
            self.rate = count.saturating_sub(before) as f64 / span.as_secs_f64();
            self.from = Some((count, now));
        }
        self.rate
    }
}

impl Observer {
    /// The observer of what it is told.
    pub(super) fn new(with: ObserverConfig) -> Self {
        Self {
            with,
            scene: SchedulerState {
                desired: Arc::default(),
                description: Arc::default(),
                slots: Slots::new(),
                changes: Vec::new(),
            },
            sensor: Sensor::default(),
            usage: Usage::default(),
            process_cpu_ns: 0,
            process_cpu: 0.0,
            heap: None,
            sequence: 0,
            meters: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }

    /// The thread's body: ends with the owner, whatever goes wrong in a look. What it is told is taken
    /// in all the same, since the owner waits for the last look, and the next scene may do no harm.
    pub(super) fn run(mut self) {
        // What is shown must not be old where the models keep every core busy.
        request_short_slice();
        match self.with.looks.recv() {
            Ok(ObserverMessage::SchedulerState(scene)) => self.scene = *scene,
            Ok(ObserverMessage::Last(_)) | Err(_) => return,
        }
        // The first figures are due at once.
        let mut next_sample = Instant::now();
        let mut next_check = next_sample + self.with.machine_check;
        loop {
            let wait = next_sample.min(next_check).saturating_duration_since(Instant::now());
            let is_new = match self.with.looks.recv_timeout(wait) {
                Ok(ObserverMessage::SchedulerState(scene)) => {
                    self.scene = *scene;
                    true
                }
                Ok(ObserverMessage::Last(reply)) => {
                    self.guard(ObserverTask::Sample, Self::sample);
                    // Without an answer the reply is dropped, and whoever asked knows.
                    if let Some(last) = self.guard(ObserverTask::Publish, Self::publish) {
                        // Whoever asked may have gone.
                        let _ = reply.send(last.as_ref().clone());
                    }
                    return;
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = Instant::now();
            if now >= next_check {
                next_check = now + self.with.machine_check;
                self.guard(ObserverTask::Check, |observer| observer.check_machine());
            }
            let is_due = now >= next_sample;
            if is_due {
                next_sample = now + self.with.interval;
                self.guard(ObserverTask::Sample, Self::sample);
            }
            if is_new || is_due {
                self.guard(ObserverTask::Publish, Self::publish);
            }
        }
    }

    /// Does a part of a look. A panic costs that part; it is told once, until the part succeeds again
    /// or something else goes wrong in it.
    fn guard<T>(&mut self, part: ObserverTask, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let message = match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(done) => {
                if self.faults.remove(&part).is_some() {
                    self.with.conditions.clear(part.name());
                    tracing::info!("{} again", part.works());
                }
                return Some(done);
            }
            Err(panic) => panic_message(&*panic),
        };
        if self.faults.get(&part) != Some(&message) {
            tracing::error!("{}: a fault in divvy ({message})", part.fails());
            let told = format!("{}: a fault in divvy ({message}); see the log", part.fails());
            self.with.conditions.raise(part.name(), told);
            self.faults.insert(part, message);
            if part == ObserverTask::Publish {
                self.tell_by_the_last();
            }
        }
        None
    }

    /// Adds to the snapshot that is shown what has gone wrong since: the next one does not come.
    fn tell_by_the_last(&self) {
        self.with.snapshots.send_modify(|last| {
            let last = Arc::make_mut(last);
            for alert in self.with.conditions.alerts() {
                if !last.alerts.contains(&alert) {
                    last.alerts.push(alert);
                }
            }
        });
    }

    /// Looks whether cores came or went, or threads are not where they should be; the owner acts.
    fn check_machine(&self) {
        let mut found = self.with.machine.describe();
        if let Some(gpu) = &self.with.gpu {
            found.gpus = gpu.latest().known();
        }
        let elsewhere = |slot: &Slot| slot.difference.is_some() || !slot.pool.strays().is_empty();
        let elsewhere = self.scene.slots.values().any(elsewhere);
        if elsewhere || found != *self.scene.description {
            // An owner that has ended needs no news.
            let _ = self.with.owner.send(OwnerMessage::Machine(Box::new(found)));
        }
    }

    fn sample(&mut self) {
        let now = Instant::now();
        let threads = |row: &crate::layout::Row| -> Vec<ThreadId> {
            let slot = self.scene.slots.get(&row.budget.name);
            let members = slot.map(|slot| slot.pool.members()).unwrap_or_default();
            members.iter().map(|member| member.id).collect()
        };
        let groups: Vec<Vec<ThreadId>> = self.scene.desired.rows.iter().map(threads).collect();
        self.usage = self.sensor.sample(&*self.with.machine, &groups, now);
        let process = process_cpu_ns();
        if self.usage.interval_us > 0 {
            let spent = process.saturating_sub(self.process_cpu_ns) as f64;
            self.process_cpu = spent / (self.usage.interval_us as f64 * 1e3);
        }
        self.process_cpu_ns = process;
        self.shrink_idle();
        self.meters.retain(|name, _| self.scene.slots.contains_key(name));
        for (name, slot) in &self.scene.slots {
            let meters = self.meters.entry(name.clone()).or_default();
            if meters.epoch != slot.epoch {
                *meters = ModelMeters { epoch: slot.epoch, ..ModelMeters::default() };
            }
            let counts = slot.pool.counts();
            let lost = counts.rejected + counts.timed_out + counts.failed;
            slot.pool.recorder().tick(now, lost.saturating_sub(meters.lost));
            meters.lost = lost;
        }
    }

    fn publish(&mut self) -> Arc<Snapshot> {
        let snapshot = Arc::new(self.assemble());
        self.with.snapshots.send_replace(snapshot.clone());
        snapshot
    }
}

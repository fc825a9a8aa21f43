//! Puts the snapshot together from the pools, the sensor and the machine: reads everything,
//! changes nothing but the sequence number and the offered rates.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use super::observer::Observer;
use super::rollback;
use super::slot::{LoadPhase, Slot};
use crate::layout::{DesiredState, LoadSpec, Row};
use crate::pool::{Member, Seats};
use crate::telemetry::{
    Actual, CoreView, GpuView, ModelState, ModelView, Snapshot, ThreadView, Usage, alerts,
};

/// Wall-clock time in milliseconds since 1970.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

impl Observer {
    pub(super) fn assemble(&mut self) -> Snapshot {
        self.sequence += 1;
        let now = Instant::now();
        let desired = self.scene.desired.clone();
        let ledger = desired.ledger(&self.scene.description);
        let models: Vec<ModelView> =
            desired.rows.iter().filter_map(|row| self.model_view(row, now)).collect();
        let memory = self.with.machine.memory();
        let mut snapshot = Snapshot {
            version: Snapshot::VERSION,
            sequence: self.sequence,
            at_unix_ms: unix_ms(),
            uptime_us: now.saturating_duration_since(self.with.started).as_micros() as u64,
            interval_us: self.usage.interval_us,
            cores: self.core_views(&desired),
            ledger,
            memory,
            memory_table: self.memory_table(memory.process),
            process_cpu: self.process_cpu,
            models,
            gpu: self
                .with
                .gpu
                .as_ref()
                .map_or_else(GpuView::default, |gpu| (*gpu.latest()).clone()),
            changes: self.scene.changes.iter().map(|entry| entry.as_ref().clone()).collect(),
            simulated: self.scene.description.simulated,
            alerts: Vec::new(),
        };
        snapshot.alerts = alerts(&snapshot);
        snapshot.alerts.extend(self.with.conditions.alerts());
        snapshot
    }

    fn core_views(&self, desired: &DesiredState) -> Vec<CoreView> {
        let view = |core: &crate::machine::Core| {
            let rows =
                || desired.rows.iter().enumerate().filter(|(_, row)| row.cores.contains(core.id));
            let used = self.usage.cores.get(&core.id);
            let mut by_model: Vec<(usize, f64)> = used
                .map(|used| used.by_group.iter().map(|(model, share)| (*model, *share)).collect())
                .unwrap_or_default();
            by_model.sort_by(|a, b| b.1.total_cmp(&a.1));
            let explained: f64 = by_model.iter().map(|(_, share)| share).sum();
            let busy = used.map_or(0.0, |used| used.busy);
            CoreView {
                core: core.clone(),
                allowed: self.scene.description.limits.allowed.contains(core.id),
                owners: rows().map(|(index, _)| index).collect(),
                reserved: rows().any(|(_, row)| row.budget.reserve),
                busy,
                others: (busy - explained).max(0.0),
                wait: used.and_then(|used| used.wait),
                by_model,
            }
        };
        self.scene.description.topology.cores.iter().map(view).collect()
    }

    fn model_view(&mut self, row: &Row, now: Instant) -> Option<ModelView> {
        let slot = self.scene.slots.get(&row.budget.name)?;
        let windows = slot.pool.recorder().windows(now, row.budget.slo.as_ref());
        let seats = slot.pool.seats();
        let actual = actual(row, slot, seats, &*self.with.machine, &self.usage);
        let cpu = actual.threads.iter().fold(0.0, |sum, thread| sum + thread.cpu);
        let wait: Option<f64> = actual.threads.iter().map(|thread| thread.wait).sum();
        let wait = wait.map(|wait| if cpu + wait > 0.0 { wait / (cpu + wait) } else { 0.0 });
        let offered = slot.offered.load(Ordering::Relaxed);
        let meters = self.meters.entry(row.budget.name.clone()).or_default();
        let rate = meters.offered.update(offered, now);
        let offered_per_s = row.budget.load.is_some().then_some(rate);
        Some(ModelView {
            row: row.clone(),
            state: state(row, slot, seats),
            engine: slot.engine,
            engine_title: slot.title.clone(),
            actual,
            counts: slot.pool.counts(),
            second: windows.second,
            minute: windows.minute,
            since_change: windows.since_change,
            run: windows.run,
            histogram: windows.histogram,
            histogram_second: windows.histogram_second,
            cpu,
            wait,
            memory: slot.pool.model().map(|model| model.memory()).unwrap_or_default(),
            load: row.budget.load.as_ref().map(LoadSpec::description),
            offered_per_s,
        })
    }
}

fn state(row: &Row, slot: &Slot, seats: Seats) -> ModelState {
    match &slot.phase {
        LoadPhase::Loading => ModelState::Loading,
        LoadPhase::Failed(reason) => ModelState::Failed { reason: reason.clone() },
        LoadPhase::Loaded => match slot.pool.warming() {
            Some(_) if !seats.any() => ModelState::Loading,
            Some((ready, total)) => ModelState::Warming { ready, total },
            None if row.concurrency == 0 => ModelState::Paused,
            None => ModelState::Running,
        },
    }
}

fn actual(
    row: &Row,
    slot: &Slot,
    seats: Seats,
    machine: &dyn crate::machine::Machine,
    usage: &Usage,
) -> Actual {
    let view = |member: Member| {
        let used = usage.threads.get(&member.id).copied().unwrap_or_default();
        Some(ThreadView {
            id: member.id,
            instance: member.instance,
            helper: member.helper,
            allowed: machine.affinity(member.id).ok()?,
            nice: machine.nice(member.id).ok(),
            last_core: used.last_core,
            cpu: used.cpu,
            wait: used.wait,
        })
    };
    let threads: Vec<ThreadView> = slot.pool.members().into_iter().filter_map(view).collect();
    let cores = threads
        .iter()
        .fold(crate::machine::CpuSet::EMPTY, |all, thread| all.union(&thread.allowed));
    let active = seats.serving.min(seats.bound);
    let mut difference = slot.difference.clone();
    if let Some((setup, reason)) = &slot.failed_setup {
        difference = Some(format!("{} could not be built: {reason}", rollback::describe(setup)));
    } else if difference.is_none()
        && let Some(over) = slot.pool.memory().over
    {
        difference = Some(over);
    } else if difference.is_none()
        && matches!(slot.phase, LoadPhase::Loaded)
        && slot.pool.warming().is_none()
        && active < row.concurrency
    {
        difference = Some(format!("{active} of {} instances are there", row.concurrency));
    }
    Actual {
        cores,
        active,
        parked: seats.serving - active,
        threads_per_instance: slot.pool.setup().map_or(0, |setup| setup.threads),
        threads,
        difference,
    }
}

//! Assembles a snapshot from the workloads, the samplers and the machine.

use std::sync::Arc;
use std::time::Instant;

use super::machine::ObservedMachine;
use super::memory::HeapSampler;
use super::meters::Meters;
use super::model_view::ModelInputs;
use super::process_ledger::count_processes;
use super::sampler::CpuSampler;
use super::window_cache::WindowCache;
use crate::layout::{DesiredState, Row};
use crate::machine::{Core, process_stops};
use crate::scheduler::messages::SchedulerState;
use crate::telemetry::{
    CoreShare, CoreView, GpuView, ModelView, ServerView, Snapshot, StopView, Usage, alerts,
};

/// Assembles snapshots; carries counters from one to the next.
#[derive(Default)]
pub(super) struct Assembler {
    cpu: CpuSampler,
    meters: Meters,
    heap: HeapSampler,
    windows: WindowCache,
    server: Option<Arc<ServerView>>,
    /// The number of the newest snapshot.
    sequence: u64,
}

impl Assembler {
    /// Samples CPU usage, request counters and clients, and shrinks idle models above their memory budgets.
    pub(super) fn sample(
        &mut self,
        state: &SchedulerState,
        machine: &ObservedMachine,
        now: Instant,
    ) {
        self.cpu.sample(state, &*machine.machine, now);
        for slot in state.slots.values() {
            slot.workload.shrink();
        }
        self.meters.sample(&state.slots, &self.cpu.usage, now);
        self.windows.clear();
        self.server = machine.server.as_ref().map(|server| server.latest());
    }

    /// Returns the snapshot of a state.
    pub(super) fn assemble(
        &mut self,
        state: &SchedulerState,
        machine: &ObservedMachine,
        started: Instant,
    ) -> Snapshot {
        self.sequence += 1;
        let now = machine.clock.now();
        self.windows.retain(&state.slots);
        let rows = state.desired.rows.iter();
        let models: Vec<ModelView> =
            rows.filter_map(|row| self.model_view(state, row, machine, now)).collect();
        let memory = machine.machine.memory();
        let mut snapshot = Snapshot {
            version: Snapshot::VERSION,
            sequence: self.sequence,
            state_version: state.version,
            at_unix_ms: machine.clock.unix_ms(),
            uptime_us: now.saturating_duration_since(started).as_micros() as u64,
            interval_us: self.cpu.usage.interval_us,
            cores: core_views(state, &self.cpu.usage),
            ledger: state.desired.ledger(&state.description),
            memory,
            memory_table: self.heap.memory_table(state, memory.process),
            process_cpu: self.cpu.process_cpu,
            models,
            loans: state.loans.clone(),
            gpu: machine.gpu.as_ref().map_or_else(GpuView::default, |gpu| (*gpu.latest()).clone()),
            others: machine.processes.as_ref().map(|processes| processes.others()),
            server: self.server.clone(),
            changes: state.changes.entries_now(&state.slots, &state.desired),
            change_counts: state.changes.counts.clone(),
            stops: stops(started),
            simulated: state.description.simulated,
            alerts: Vec::new(),
        };
        count_processes(&mut snapshot.ledger, state);
        snapshot.alerts = alerts(&snapshot);
        snapshot.alerts.extend(machine.conditions.alerts());
        snapshot
    }

    fn model_view(
        &mut self,
        state: &SchedulerState,
        row: &Row,
        machine: &ObservedMachine,
        now: Instant,
    ) -> Option<ModelView> {
        let slot = state.slots.get(&row.budget.name)?;
        let offered_rate = self.meters.offered_rate(slot, now);
        let cpu_total_us = self.meters.cpu_total_us(slot);
        let windows = self.windows.get(row, slot, now);
        let (machine, usage) = (&*machine.machine, &self.cpu.usage);
        Some(ModelInputs { row, slot, machine, usage, offered_rate, cpu_total_us }.view(windows))
    }
}

/// Returns the stops of the process since the start.
fn stops(started: Instant) -> Vec<StopView> {
    let stops = process_stops().into_iter().filter_map(|stop| {
        let uptime = stop.at.checked_duration_since(started)?;
        Some(StopView {
            uptime_us: uptime.as_micros() as u64,
            length_us: stop.length.as_micros() as u64,
        })
    });
    stops.collect()
}

fn core_views(state: &SchedulerState, usage: &Usage) -> Vec<CoreView> {
    let view = |core: &Core| core_view(core, state, &state.desired, usage);
    state.description.topology.cores.iter().map(view).collect()
}

fn core_view(
    core: &Core,
    state: &SchedulerState,
    desired: &DesiredState,
    usage: &Usage,
) -> CoreView {
    let rows = || desired.rows.iter().enumerate().filter(|(_, row)| row.cores.contains(core.id));
    let used = usage.cores.get(&core.id);
    let share_of = |(model, share): (&usize, &f64)| CoreShare { model: *model, share: *share };
    let mut by_model: Vec<CoreShare> =
        used.map(|used| used.by_group.iter().map(share_of).collect()).unwrap_or_default();
    by_model.sort_by(|a, b| b.share.total_cmp(&a.share));
    let explained: f64 = by_model.iter().map(|used| used.share).sum();
    let busy = used.map_or(0.0, |used| used.busy);
    CoreView {
        core: core.clone(),
        allowed: state.description.limits.allowed.contains(core.id),
        owners: rows().map(|(index, _)| index).collect(),
        reserved: rows().any(|(_, row)| row.budget.reserve),
        busy,
        others: (busy - explained).max(0.0),
        wait: used.and_then(|used| used.wait),
        by_model,
    }
}

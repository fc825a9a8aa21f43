//! The view of one model in a snapshot.

use std::collections::BTreeMap;

use crate::layout::{LoadSpec, Row};
use crate::machine::{CpuSet, Machine};
use crate::pool::{Member, Seats};
use crate::process::ProcessSample;
use crate::scheduler::slot::{LoadPhase, Slot};
use crate::telemetry::{
    Actual, ModelState, ModelView, ProcessState, ThreadView, Usage, Window, Windows,
};

/// The inputs of a model's view.
pub(super) struct ModelInputs<'a> {
    pub(super) row: &'a Row,
    pub(super) slot: &'a Slot,
    pub(super) machine: &'a dyn Machine,
    pub(super) usage: &'a Usage,
    /// Offered arrivals per second.
    pub(super) offered_rate: f64,
    /// CPU time since it was loaded.
    pub(super) cpu_total_us: u64,
}

impl ModelInputs<'_> {
    /// Returns the view.
    pub(super) fn view(&self, windows: Windows) -> ModelView {
        let (row, slot) = (self.row, self.slot);
        let seats = slot.seats();
        let actual = self.actual(seats);
        let model = slot.pool.as_ref().and_then(|pool| pool.model());
        let cpu = actual.threads.iter().fold(0.0, |sum, thread| sum + thread.cpu);
        let wait: Option<f64> = actual.threads.iter().map(|thread| thread.wait).sum();
        let sample = slot.workload.processes();
        let (cpu, wait) = sample.as_ref().map_or((cpu, wait), |it| (it.used.cpu, it.used.wait));
        let wait = wait.map(|wait| if cpu + wait > 0.0 { wait / (cpu + wait) } else { 0.0 });
        let reported = sample.as_ref().and_then(|sample| sample.view.requests.as_ref());
        let reported = reported.map(Window::of_reported);
        ModelView {
            row: row.clone(),
            state: sample.as_ref().map_or_else(|| state(row, slot, seats), process_state),
            process: sample.map(|sample| sample.view),
            engine: slot.engine,
            engine_title: slot.title.clone(),
            actual,
            counts: slot.workload.counts(),
            second: reported.unwrap_or(windows.second),
            minute: reported.unwrap_or(windows.minute),
            since_change: windows.since_change,
            run: windows.run,
            histogram: windows.histogram,
            histogram_second: windows.histogram_second,
            latencies: windows.latencies,
            guessed_dims: self.guessed_dims(),
            untried: self.untried(),
            cpu,
            cpu_total_us: self.cpu_total_us,
            wait,
            memory: model.map(|model| model.memory()).unwrap_or_default(),
            load: row.budget.load.as_ref().map(LoadSpec::description),
            offered_per_s: row.budget.load.is_some().then_some(self.offered_rate),
        }
    }

    /// Returns the guessed dimensions that the metrics are based on; empty unless the built-in load
    /// alone sends the requests.
    fn guessed_dims(&self) -> BTreeMap<String, usize> {
        let has_callers = self.slot.pool.as_ref().is_some_and(|pool| pool.has_callers());
        if self.row.budget.load.is_none() || has_callers {
            return BTreeMap::new();
        }
        // a guess of 1 is a batch of one request, which real requests usually are
        let guesses = self.slot.requests.guessed_dims.iter().filter(|(_, size)| **size > 1);
        guesses.map(|(name, size)| (name.clone(), *size)).collect()
    }

    /// Returns why the model is served without a trial.
    fn untried(&self) -> Option<String> {
        let is_loaded = matches!(self.slot.phase, LoadPhase::Loaded);
        self.slot.pool.as_ref().filter(|_| is_loaded)?.untried()
    }

    fn actual(&self, seats: Seats) -> Actual {
        let (row, slot) = (self.row, self.slot);
        if let Some(sample) = slot.workload.processes() {
            return Actual {
                cores: sample.used.cores,
                effective_cores: slot.effective_cores,
                threads: sample.used.threads.clone(),
                difference: slot.difference.clone().or_else(|| slot.workload.memory_excess()),
                ..Actual::default()
            };
        }
        let threads: Vec<ThreadView> =
            slot.workload.threads().into_iter().filter_map(|member| self.thread(member)).collect();
        let cores = threads.iter().fold(CpuSet::EMPTY, |all, thread| all.union(&thread.allowed));
        let active = seats.serving.min(seats.bound);
        Actual {
            cores,
            effective_cores: slot.effective_cores,
            active,
            parked: seats.serving - active,
            threads_per_instance: slot.setup().map_or(0, |setup| setup.threads),
            threads,
            difference: difference(row, slot, active),
        }
    }

    /// Returns the view of a thread; `None` if it has ended.
    fn thread(&self, member: Member) -> Option<ThreadView> {
        let used = self.usage.threads.get(&member.id).copied().unwrap_or_default();
        Some(ThreadView {
            id: member.id,
            instance: member.instance,
            helper: member.helper,
            allowed: self.machine.affinity(member.id).ok()?,
            nice: self.machine.nice(member.id).ok(),
            last_core: used.last_core,
            cpu: used.cpu,
            wait: used.wait,
        })
    }
}

/// Returns the state of a process row.
fn process_state(sample: &ProcessSample) -> ModelState {
    match &sample.view.state {
        ProcessState::Absent => ModelState::Absent,
        // A command that has done its work is no fault.
        ended @ ProcessState::Ended { .. } if !ended.is_failure() => ModelState::Absent,
        ProcessState::Running => ModelState::Running,
        ProcessState::Restarting { ended, wait_ms } => ModelState::Failed {
            reason: format!("ended with {ended}; it starts again in {wait_ms} ms"),
        },
        ProcessState::Ended { ended } => {
            ModelState::Failed { reason: format!("ended with {ended}") }
        }
        ProcessState::Failed { reason } => ModelState::Failed { reason: reason.clone() },
    }
}

fn state(row: &Row, slot: &Slot, seats: Seats) -> ModelState {
    match &slot.phase {
        LoadPhase::Loading => ModelState::Loading,
        LoadPhase::Failed(reason) => ModelState::Failed { reason: reason.clone() },
        LoadPhase::Loaded => match slot.instances_ready(row) {
            Some(_) if !seats.any() => ModelState::Loading,
            Some((ready, total)) => ModelState::Warming { ready, total },
            None if row.concurrency == 0 => ModelState::Paused,
            None => ModelState::Running,
        },
    }
}

/// Returns the difference between what the row asks for and what is, if there is any.
fn difference(row: &Row, slot: &Slot, active: usize) -> Option<String> {
    if let Some(failed) = &slot.failed_build {
        return Some(failed.message());
    }
    let is_missing = || {
        let is_settled = matches!(slot.phase, LoadPhase::Loaded)
            && slot.warming().is_none()
            && slot.successor.is_none();
        (is_settled && slot.pool.is_some() && active < row.concurrency)
            .then(|| format!("{active} of {} instances are running", row.concurrency))
    };
    slot.difference.clone().or_else(|| slot.workload.memory_excess()).or_else(is_missing)
}

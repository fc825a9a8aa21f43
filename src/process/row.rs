//! The handle of one row's processes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::command::StartedCommand;
use super::host_shared::HostShared;
use super::limits::RowLimits;
use super::members::{NewMember, RowNumber};
use super::memory::MemoryContext;
use super::options::{ProcessAccess, ProcessEnd};
use super::originals::FoundProcess;
use super::placement::{Placement, PlacementContext, read_masks};
use super::read_process::ReadProcess;
use super::sample::ProcessSample;
use super::target::{CoreBudget, PlacementTarget};
use super::weight::WeightOriginals;
use crate::layout::{ProcessSelector, ProcessSource};
use crate::machine::{CpuSet, ForeignProcess, ProcessId};
use crate::telemetry::UseRecord;

/// The processes of one row. All calls are quick: they wait for no process.
pub struct ProcessRow {
    host: Arc<HostShared>,
    number: RowNumber,
    /// The command, if divvy starts it.
    command: Option<StartedCommand>,
    state: Mutex<RowState>,
    /// Locked while threads are placed; never while `state` is locked.
    placement: Mutex<Placement>,
    use_record: UseRecord,
    /// Has its own lock; never used while `state` is locked.
    limits: RowLimits,
}

struct RowState {
    name: String,
    source: ProcessSource,
    mask: CpuSet,
    budget: CoreBudget,
    /// The percentile of the row's target.
    percentile: Option<f64>,
    members: Arc<[ProcessId]>,
    /// The reason why this user may not change the processes, by their users.
    read_only: Option<String>,
    /// The same, by the kernel's answer.
    denied: Option<String>,
    /// Processes whose masks differ from those that are wanted.
    problems: Vec<String>,
    /// Threads that others have moved since the last sample.
    drift: Vec<String>,
    proportional_memory: Option<u64>,
    sample: ProcessSample,
    has_ended: bool,
}

impl ProcessRow {
    pub(super) fn new(name: &str, source: &ProcessSource, host: Arc<HostShared>) -> Self {
        let command = match &source.selector {
            ProcessSelector::Command(command) if host.options.access == ProcessAccess::Change => {
                Some(StartedCommand::new(name, command, &host.commands))
            }
            _ => None,
        };
        Self {
            number: host.next_row(),
            limits: RowLimits::new(source, host.planner.clone()),
            command,
            host,
            state: Mutex::new(RowState {
                name: name.to_owned(),
                source: source.clone(),
                mask: CpuSet::EMPTY,
                budget: CoreBudget::None,
                percentile: None,
                members: Arc::default(),
                read_only: None,
                denied: None,
                problems: Vec::new(),
                drift: Vec::new(),
                proportional_memory: None,
                sample: ProcessSample::default(),
                has_ended: false,
            }),
            placement: Mutex::default(),
            use_record: UseRecord::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, RowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn placement(&self) -> MutexGuard<'_, Placement> {
        self.placement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the row's number within its host.
    pub(super) fn number(&self) -> RowNumber {
        self.number
    }

    /// Returns the command, if divvy starts it.
    pub(super) fn command(&self) -> Option<&StartedCommand> {
        self.command.as_ref()
    }

    /// Returns the row's name.
    pub fn name(&self) -> String {
        self.lock().name.clone()
    }

    /// Sets the row's name.
    pub fn rename(&self, name: &str) {
        name.clone_into(&mut self.lock().name);
        if let Some(command) = &self.command {
            command.rename(name);
        }
    }

    /// Returns the source.
    pub(super) fn source(&self) -> ProcessSource {
        self.lock().source.clone()
    }

    /// Returns true if another source means the same processes, so that [`ProcessRow::set_source`] can
    /// replace the present one.
    pub fn has_same_processes(&self, source: &ProcessSource) -> bool {
        let own = &self.lock().source;
        own.selector == source.selector && own.filter == source.filter
    }

    /// Replaces the source by another one of the same processes.
    pub fn set_source(&self, source: &ProcessSource) {
        self.lock().source.clone_from(source);
    }

    /// Returns the processes that belong to the row.
    pub fn members(&self) -> Arc<[ProcessId]> {
        self.lock().members.clone()
    }

    /// Sets the cores of the row's budget; empty for a row without one. [`ProcessRow::pin`] places the
    /// threads.
    pub fn set_budget(&self, cores: &CpuSet) {
        self.lock().budget = if cores.is_empty() { CoreBudget::None } else { CoreBudget::Own };
    }

    /// Returns whether the row has a budget of cores.
    pub(super) fn budget(&self) -> CoreBudget {
        self.lock().budget
    }

    /// Returns the desired CPU mask.
    pub fn mask(&self) -> CpuSet {
        self.lock().mask
    }

    /// Sets the mask of every thread that may run elsewhere, and reads it back. A thread that its program
    /// has limited to some of these CPUs keeps that limit. Threads that start later get the mask too.
    /// Returns one message per process or thread whose mask differs.
    pub fn pin(&self, mask: CpuSet) -> Vec<String> {
        self.lock().mask = mask;
        if let Some(command) = &self.command {
            self.placement().note_start(mask, self.host.own_mask);
            command.set_mask(mask);
        }
        if self.read_only().is_some() || self.has_ended() {
            return Vec::new();
        }
        let members = self.members();
        let (target, name) = (self.target(), self.name());
        let mut placement = self.placement();
        placement.set_target(&target);
        let context = self.context(&name);
        let mut is_denied = false;
        for id in members.iter().copied() {
            let Some(process) = ForeignProcess::find(&self.host.files, id) else { continue };
            // Again for threads that began meanwhile, with the mask of the thread that started them.
            for _ in 0..2 {
                let threads = read_masks(&self.host.files, process, id.pid);
                let placed = placement.place(&context, id, &threads);
                is_denied |= placed.is_denied;
                if placed.changed == 0 {
                    break;
                }
            }
        }
        let problems = placement.problems();
        drop(placement);
        let mut state = self.lock();
        if is_denied {
            state.denied = Some(denied(&members));
        }
        state.problems.clone_from(&problems);
        problems
    }

    fn target(&self) -> PlacementTarget {
        let reserved = self.host.reserved();
        let state = self.lock();
        PlacementTarget { mask: state.mask, budget: state.budget, reserved }
    }

    fn context<'a>(&'a self, row: &'a str) -> PlacementContext<'a> {
        PlacementContext { row, files: &self.host.files, originals: &self.host.originals }
    }

    /// Returns the present masks of processes, with the state of the placement that they are read in.
    pub(super) fn read(&self, members: &[ProcessId]) -> (u64, Vec<ReadProcess>) {
        let epoch = self.placement().epoch();
        let read = |id: &ProcessId| {
            let process = ForeignProcess::find(&self.host.files, *id)?;
            let threads = read_masks(&self.host.files, process, id.pid);
            Some(ReadProcess { id: *id, process, threads })
        };
        (epoch, members.iter().filter_map(read).collect())
    }

    /// Takes the present members, and records their settings before anything is changed. `earlier` are
    /// settings from before a run that ended without restoring.
    pub(super) fn adopt(
        &self,
        members: &[ProcessId],
        joined: &[NewMember],
        earlier: impl Fn(ProcessId) -> Option<FoundProcess>,
    ) {
        let is_read_only = self.read_only().is_some();
        let name = {
            let mut state = self.lock();
            if !joined.is_empty() {
                state.denied = None;
            }
            state.members = members.into();
            state.name.clone()
        };
        self.placement().retain(|id| members.contains(id));
        let mut found = Vec::new();
        for member in joined {
            let id = member.id;
            let Some(process) = ForeignProcess::find(&self.host.files, id) else { continue };
            let threads = read_masks(&self.host.files, process, id.pid);
            // divvy is the parent of what it starts.
            let parent = member.parent.or(self.host.own.filter(|_| self.command.is_some()));
            // Locked for one process at a time: a change waits for it.
            let mut placement = self.placement();
            placement.add(id, parent, &threads, earlier(id).as_ref());
            found.extend(placement.found(id, &threads));
        }
        if !is_read_only && !found.is_empty() {
            self.host.originals.note_all(&name, found);
        }
    }

    /// Places threads that have started or were moved since the last call. The masks are those of
    /// [`ProcessRow::read`].
    pub(super) fn place(&self, epoch: u64, processes: &[ReadProcess]) {
        let (target, name) = (self.target(), self.name());
        if target.mask.is_empty() || self.read_only().is_some() || self.has_ended() {
            return;
        }
        let context = self.context(&name);
        let (mut denied_ids, mut drift) = (Vec::new(), Vec::new());
        let mut epoch = Some(epoch);
        for read in processes {
            let mut placement = self.placement();
            // A change has placed all threads meanwhile.
            if epoch.is_some_and(|epoch| epoch != placement.epoch()) {
                return;
            }
            if placement.target() != &target {
                placement.set_target(&target);
            }
            epoch = Some(placement.epoch());
            let placed = placement.place(&context, read.id, &read.threads);
            drop(placement);
            if placed.is_denied {
                denied_ids.push(read.id);
            }
            drift.extend(read.drift(placed));
        }
        for message in &drift {
            tracing::warn!("{name}: {message}");
        }
        let problems = self.placement().problems();
        let mut state = self.lock();
        if !denied_ids.is_empty() {
            state.denied = Some(denied(&denied_ids));
        }
        state.problems = problems;
        state.drift = drift;
    }

    /// Returns the desired nice value, relative to divvy's own.
    pub fn nice(&self) -> i32 {
        self.limits.nice()
    }

    /// Sets the share of shared cores by a nice value, of the threads or of their scheduling group.
    ///
    /// # Errors
    /// One message per group or thread that has another one.
    pub fn set_nice(&self, nice: i32) -> Result<(), Vec<String>> {
        if self.read_only().is_some() || self.has_ended() {
            self.limits.note_nice(nice);
            return Ok(());
        }
        let name = self.name();
        let problems = self.limits.set_nice(nice, &mut self.weight_record(&name));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Sets the weight of divvy's own scheduling group: the lowest nice value among its rows that share
    /// cores with this one. `None` if all rows that share cores have the same weight; the processes keep
    /// the nice values that divvy found then.
    pub fn set_weight_base(&self, base: Option<i32>) {
        if self.read_only().is_none() && !self.has_ended() {
            let name = self.name();
            self.limits.set_base(base, &mut self.weight_record(&name));
        }
    }

    /// Returns true if divvy started the processes.
    pub(super) fn is_started(&self) -> bool {
        self.limits.is_started()
    }

    /// Returns true if all processes are in divvy's own scheduling group.
    pub fn is_in_own_group(&self) -> bool {
        self.limits.is_in_own_group()
    }

    /// Returns the function that records nice values before they change.
    fn weight_record(&self, row: &str) -> impl FnMut(&WeightOriginals) {
        move |found| self.host.originals.note_weight(self.number, row, found)
    }

    /// Enforces weight and memory budget on processes that have appeared, and repairs what others have
    /// changed.
    pub(super) fn enforce_limits(&self, members: &[ProcessId], now: Instant) {
        if self.read_only().is_some() || self.has_ended() {
            return;
        }
        let name = self.name();
        self.limits.check_weight(members, now, &mut self.weight_record(&name));
        let context = MemoryContext {
            groups: &self.host.memory,
            row: &name,
            started: &|| self.host.started_processes(),
        };
        self.limits.enforce_memory(&context, members);
    }

    /// Returns the means that enforces the weight; empty if there is none.
    pub(super) fn weight_means(&self) -> String {
        self.limits.weight_means()
    }

    /// Returns the means that enforces the memory budget; empty if it is only reported.
    pub(super) fn memory_means(&self) -> String {
        self.limits.memory_means()
    }

    /// Returns one message per process or group whose mask or nice value others have changed.
    pub fn strays(&self) -> Vec<String> {
        let mut messages = self.limits.problems();
        let state = self.lock();
        messages.extend(state.problems.iter().chain(&state.drift).cloned());
        messages
    }

    /// Returns the reason why its weight cannot be enforced; `None` if it can.
    pub fn weight_refusal(&self) -> Option<String> {
        self.limits.weight_refusal()
    }

    /// Returns the reason why divvy cannot change the processes; `None` if it can.
    pub fn read_only(&self) -> Option<String> {
        if self.host.options.access == ProcessAccess::Observe {
            return Some("divvy runs with --readonly".to_owned());
        }
        let state = self.lock();
        state.read_only.clone().or_else(|| state.denied.clone())
    }

    /// Sets the reason why divvy cannot change the processes.
    pub(super) fn set_read_only(&self, reason: Option<String>) {
        self.lock().read_only = reason;
    }

    /// Sets the memory budget in bytes.
    pub fn set_memory(&self, limit: Option<u64>) {
        self.limits.set_memory(limit);
        self.host.scan_soon();
    }

    /// Returns why the processes are over their memory budget, if they are.
    pub fn memory_excess(&self) -> Option<String> {
        let view = self.sample().view;
        self.limits.memory_excess(&view)
    }

    /// Returns the newest sample.
    pub fn sample(&self) -> ProcessSample {
        self.lock().sample.clone()
    }

    /// Sets the newest sample.
    pub(super) fn set_sample(&self, sample: ProcessSample) {
        self.lock().sample = sample;
    }

    /// Returns the proportional set size of the processes in bytes, as it was measured last.
    pub(super) fn proportional_memory(&self) -> Option<u64> {
        self.lock().proportional_memory
    }

    /// Sets the proportional set size of the processes.
    pub(super) fn set_proportional_memory(&self, bytes: Option<u64>) {
        self.lock().proportional_memory = bytes;
    }

    /// Sets the percentile whose latency [`crate::telemetry::ReportedRequests::slo_us`] reports.
    pub fn set_percentile(&self, percentile: Option<f64>) {
        self.lock().percentile = percentile;
    }

    /// Returns the percentile of the row's target.
    pub(super) fn percentile(&self) -> Option<f64> {
        self.lock().percentile
    }

    /// Returns the record of the use of the CPUs and of the reported requests.
    pub fn use_record(&self) -> &UseRecord {
        &self.use_record
    }

    /// Ends the row: restores what divvy found, ends what it started and waits for that for at most
    /// `patience`. Returns true if that is done.
    pub fn release(&self, patience: Duration) -> bool {
        let all_ended = self.command.as_ref().is_none_or(|command| command.end(patience));
        if !std::mem::replace(&mut self.lock().has_ended, true) {
            let mut errors = self.placement().restore(&self.host.files);
            errors.extend(self.limits.restore());
            let name = self.name();
            for error in errors {
                tracing::warn!("{name}: {error}");
            }
            self.forget();
        }
        all_ended
    }

    /// Ends the row at the end of the run: as [`ProcessRow::release`], unless the host's options say to
    /// keep everything as it is. Returns true if that is done.
    pub fn shut_down(&self, patience: Duration) -> bool {
        if self.host.options.end == ProcessEnd::Restore {
            return self.release(patience);
        }
        if !std::mem::replace(&mut self.lock().has_ended, true) {
            self.placement().close();
            self.forget();
        }
        self.command.as_ref().is_none_or(StartedCommand::keep)
    }

    /// Begins to end what divvy has started, so that several rows end at the same time.
    pub(super) fn begin_shut_down(&self, patience: Duration) {
        if let Some(command) = self.command.as_ref()
            && self.host.options.end == ProcessEnd::Restore
        {
            command.begin_end(patience);
        }
    }

    /// Removes the row from its host.
    fn forget(&self) {
        let members = self.members();
        self.host.originals.retain(|id| !members.contains(&id));
        self.host.originals.forget_weight(self.number);
        self.host.remove_row(self.number);
    }

    /// Returns true if the row has ended.
    pub fn has_ended(&self) -> bool {
        self.lock().has_ended && self.command.as_ref().is_none_or(StartedCommand::has_ended)
    }
}

fn denied(processes: &[ProcessId]) -> String {
    let first = processes.first().map_or_else(String::new, |id| format!("process {id}: "));
    format!("{first}this user may not change it; run divvy as its user or with CAP_SYS_NICE")
}

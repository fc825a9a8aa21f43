//! The weight of one row: sets the nice values that enforce it, checks them, and restores those that divvy
//! found.
//!
//! A model's weight is the nice value of its threads, which compares with others in divvy's scheduling group.
//! A process in another group competes with divvy's group as a whole, and the kernel gives that group the
//! same weight whatever runs in it. So the value of the other group is relative to the heaviest row of
//! divvy's group on the same cores ([`WeightTarget::base`]).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::group::SchedulingGroup;
use super::originals::{AutogroupNice, ProcessNice, ThreadNice, WeightOriginals};
use super::plan::{WeightMeans, WeightPlan};
use super::planner::{WeightPlanner, first_thread_nice};
use super::thread_nice::set_thread_nice;
use crate::machine::{ForeignProcess, ProcessId, lowest_nice};

/// The kernel's highest and lowest nice value.
const MAX_NICE: i32 = 19;
const MIN_NICE: i32 = -20;

/// Time over which repairs are counted, and the most within it.
const REPAIR_WINDOW: Duration = Duration::from_mins(1);
const MOST_REPAIRS: usize = 3;

/// The most messages of one call.
const MOST_MESSAGES: usize = 8;

/// The weight that a row should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::process) struct WeightTarget {
    /// The nice value of the row's threads, 0 to 19, relative to divvy's own.
    pub(in crate::process) nice: i32,
    /// The lowest of those values among the rows in divvy's scheduling group that share cores with it,
    /// directly or through others.
    pub(in crate::process) base: i32,
}

/// The weight of one row.
pub(in crate::process) struct Weight {
    planner: Arc<WeightPlanner>,
    /// True if divvy started the processes and ends them, so that nothing is left to restore.
    is_started: bool,
    /// `None` leaves the values as divvy found them.
    target: Option<WeightTarget>,
    plan: Result<WeightPlan, String>,
    /// The threads that divvy changed, by process.
    processes: BTreeMap<ProcessId, ChangedProcess>,
    /// The autogroups that divvy changed.
    autogroups: BTreeMap<u64, ChangedAutogroup>,
    /// True if the kernel asked to try again later.
    is_pending: bool,
    repairs: Vec<Instant>,
    /// The message about another program that changes the values again and again, until the weight
    /// changes.
    left_alone: Option<String>,
}

/// A process whose threads divvy changed.
struct ChangedProcess {
    /// The value of its first thread, as found and as set.
    found: i32,
    set: i32,
    threads: BTreeMap<i32, ChangedThread>,
}

/// A thread that divvy changed.
#[derive(Clone, Copy)]
struct ChangedThread {
    start_ticks: u64,
    found: i32,
    set: Option<i32>,
}

/// An autogroup that divvy changed.
#[derive(Clone, Copy)]
struct ChangedAutogroup {
    process: ProcessId,
    found: i32,
    set: Option<i32>,
}

impl Weight {
    /// The weight of a row without processes.
    pub(in crate::process) fn new(planner: Arc<WeightPlanner>) -> Self {
        Self {
            planner,
            is_started: false,
            target: None,
            plan: Ok(WeightPlan::default()),
            processes: BTreeMap::new(),
            autogroups: BTreeMap::new(),
            is_pending: false,
            repairs: Vec::new(),
            left_alone: None,
        }
    }

    /// Marks the processes as started by divvy, which ends them at its end.
    pub(in crate::process) fn set_started(&mut self) {
        self.is_started = true;
    }

    /// Sets the row's processes, and the means for them.
    pub(in crate::process) fn set_plan(
        &mut self,
        members: &[ProcessId],
        plan: Result<WeightPlan, String>,
    ) {
        self.plan = plan.and_then(|plan| self.require_restorable(plan));
        self.processes.retain(|process, _| members.contains(process));
    }

    /// Refuses a plan whose values divvy could not restore at its end.
    fn require_restorable(&self, plan: WeightPlan) -> Result<WeightPlan, String> {
        if self.is_started {
            return Ok(plan);
        }
        let lowest = lowest_nice();
        for means in &plan.means {
            let (WeightMeans::Threads(processes) | WeightMeans::RootThreads(processes)) = means
            else {
                continue;
            };
            for process in processes {
                let found = match self.processes.get(process) {
                    Some(changed) => changed.found,
                    None => first_thread_nice(&self.planner.reader, *process).unwrap_or(lowest),
                };
                if found < lowest {
                    return Err(format!(
                        "divvy could not restore nice {found} of process {} at its end: run it with \
                         CAP_SYS_NICE, or start the program in a session of its own (setsid)",
                        process.pid
                    ));
                }
            }
        }
        Ok(plan)
    }

    /// Returns the reason why no weight can be enforced; `None` if it can.
    pub(in crate::process) fn refusal(&self) -> Option<String> {
        self.plan.as_ref().err().cloned()
    }

    /// Returns the means: "nice value of autogroup 214". Empty if there is no process or no weight can be
    /// enforced.
    pub(in crate::process) fn description(&self) -> String {
        self.plan.as_ref().map(WeightPlan::description).unwrap_or_default()
    }

    /// Returns true if all processes are in divvy's own scheduling group.
    pub(in crate::process) fn is_in_own_group(&self) -> bool {
        let is_own = |means: &WeightMeans| matches!(means, WeightMeans::Threads(_));
        self.plan.as_ref().is_ok_and(|plan| plan.means.iter().all(is_own))
    }

    /// Sets the weight for the next [`Weight::apply`]; `None` for the values that divvy found.
    pub(in crate::process) fn set_target(&mut self, target: Option<WeightTarget>) {
        if self.target != target {
            self.left_alone = None;
            self.repairs.clear();
        }
        self.target = target;
    }

    /// Returns true if a value waits to be set, because the kernel asked to try again later.
    pub(in crate::process) fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// Sets the values, and reads them back. `record` gets the values that divvy found before any of them
    /// changes. Returns one message per value that differs.
    ///
    /// A thread that its program made nicer than the first thread of its process keeps that distance.
    pub(in crate::process) fn apply(
        &mut self,
        record: &mut dyn FnMut(&WeightOriginals),
    ) -> Vec<String> {
        self.is_pending = false;
        let Some(target) = self.target else { return self.restore_recorded(record) };
        let plan = match &self.plan {
            Ok(plan) => plan.clone(),
            Err(reason) => {
                let reason = reason.clone();
                let mut messages = self.restore_recorded(record);
                messages.push(format!("its weight is not in force: {reason}"));
                return messages;
            }
        };
        if self.find_values(&plan) {
            record(&self.originals());
        }
        let mut messages = Vec::new();
        for means in &plan.means {
            match means {
                WeightMeans::Threads(processes) => {
                    let nice = self.planner.own_nice + target.nice;
                    self.set_threads(processes, nice, &mut messages);
                }
                WeightMeans::RootThreads(processes) => {
                    self.set_threads(processes, self.group_nice(target), &mut messages);
                }
                WeightMeans::Autogroup { id, .. } => {
                    messages.extend(self.set_autogroup(*id, self.group_nice(target)));
                }
                WeightMeans::OwnCgroup { folder, .. } => {
                    messages.extend(set_cgroup(folder, target.nice - target.base).err());
                }
            }
        }
        shorten(messages)
    }

    /// Sets the values of new processes and threads, and those that another program has changed, at most
    /// [`MOST_REPAIRS`] times per minute. `record` and the result are as in [`Weight::apply`].
    pub(in crate::process) fn check(
        &mut self,
        now: Instant,
        record: &mut dyn FnMut(&WeightOriginals),
    ) -> Vec<String> {
        if let Some(message) = &self.left_alone {
            return vec![message.clone()];
        }
        if let Some(stray) = self.strays().first() {
            self.repairs.retain(|at| now.duration_since(*at) < REPAIR_WINDOW);
            if self.repairs.len() >= MOST_REPAIRS {
                let message = format!(
                    "another program sets its nice values: {stray}; divvy leaves them alone until the \
                     row's weight changes"
                );
                self.left_alone = Some(message.clone());
                return vec![message];
            }
            self.repairs.push(now);
        }
        self.apply(record)
    }

    /// Returns true if anything is to be set or is set.
    pub(in crate::process) fn is_used(&self) -> bool {
        self.target.is_some() || !self.processes.is_empty() || !self.autogroups.is_empty()
    }

    /// Returns the nice value of a group beside divvy's.
    fn group_nice(&self, target: WeightTarget) -> i32 {
        let nice = match self.planner.own.group {
            // divvy's threads compete with the group one by one
            SchedulingGroup::Root => self.planner.own_nice + target.nice,
            _ => self.planner.own.group_nice + target.nice - target.base,
        };
        nice.clamp(MIN_NICE, MAX_NICE)
    }

    /// Reads the values of threads and autogroups that are not known yet. Returns true if there are any.
    fn find_values(&mut self, plan: &WeightPlan) -> bool {
        let mut has_new = false;
        for means in &plan.means {
            match means {
                WeightMeans::Threads(processes) | WeightMeans::RootThreads(processes) => {
                    for process in processes {
                        has_new |= self.find_threads(*process);
                    }
                }
                WeightMeans::Autogroup { id, process } => {
                    if let Some(known) = self.autogroups.get_mut(id) {
                        known.process = *process;
                    } else if let Some(group) = self.planner.reader.autogroup(process.pid) {
                        let changed =
                            ChangedAutogroup { process: *process, found: group.nice, set: None };
                        self.autogroups.insert(*id, changed);
                        has_new = true;
                    }
                }
                WeightMeans::OwnCgroup { .. } => {}
            }
        }
        has_new
    }

    fn find_threads(&mut self, id: ProcessId) -> bool {
        let threads = self.planner.reader.threads(id);
        let Some(process) = ForeignProcess::find(self.planner.reader.files(), id) else {
            return false;
        };
        let Ok(first) = process.nice(id.pid) else { return false };
        let is_known = self.processes.contains_key(&id);
        let changed = self.processes.entry(id).or_insert_with(|| ChangedProcess {
            found: first,
            set: first,
            threads: BTreeMap::new(),
        });
        changed.threads.retain(|tid, thread| threads.get(tid) == Some(&thread.start_ticks));
        let mut has_new = !is_known;
        for (tid, start_ticks) in threads {
            if changed.threads.contains_key(&tid) {
                continue;
            }
            let Ok(now) = process.nice(tid) else { continue };
            // A new thread has the value that divvy set for the thread that started it.
            let found = changed.found + (now - changed.set).max(0);
            has_new |= found != changed.found;
            changed.threads.insert(tid, ChangedThread { start_ticks, found, set: None });
        }
        has_new
    }

    fn set_threads(&mut self, processes: &[ProcessId], nice: i32, messages: &mut Vec<String>) {
        for id in processes {
            let Some(changed) = self.processes.get_mut(id) else { continue };
            let Some(process) = ForeignProcess::find(self.planner.reader.files(), *id) else {
                continue;
            };
            for (tid, thread) in &mut changed.threads {
                let distance = (thread.found - changed.found).max(0);
                let wanted = (nice + distance).min(MAX_NICE);
                match set_thread_nice(process, *id, *tid, wanted) {
                    Ok(()) => thread.set = Some(wanted),
                    Err(message) => messages.push(message),
                }
            }
            if changed.threads.values().any(|thread| thread.set.is_some()) {
                changed.set = nice.min(MAX_NICE);
            }
        }
    }

    /// Sets the nice value of an autogroup and reads it back. Returns a message if it differs.
    fn set_autogroup(&mut self, id: u64, nice: i32) -> Option<String> {
        let group = self.autogroups.get_mut(&id)?;
        let now =
            self.planner.reader.autogroup(group.process.pid).filter(|group| group.id == id)?;
        if now.nice != nice {
            let result = self.planner.reader.set_autogroup(group.process, nice);
            if let Err(error) = result {
                return self.autogroup_fault(&error, id, now.nice, nice);
            }
        }
        let now = self.planner.reader.autogroup(group.process.pid)?;
        group.set = Some(nice);
        (now.nice != nice)
            .then(|| format!("autogroup {id} has nice {} instead of {nice}", now.nice))
    }

    /// Returns the message for a refused nice value of an autogroup; `None` if it is to be tried again.
    fn autogroup_fault(
        &mut self,
        error: &io::Error,
        id: u64,
        now: i32,
        nice: i32,
    ) -> Option<String> {
        let reason = match error.kind() {
            io::ErrorKind::WouldBlock => {
                self.is_pending = true;
                return None;
            }
            io::ErrorKind::NotFound => return None,
            io::ErrorKind::PermissionDenied if nice < 0 && lowest_nice() > nice => {
                format!("{nice} needs CAP_SYS_NICE or RLIMIT_NICE")
            }
            io::ErrorKind::PermissionDenied => {
                "it belongs to another user; run divvy as that user or as root".to_owned()
            }
            _ => error.to_string(),
        };
        Some(format!("autogroup {id} stays at nice {now}: {reason}"))
    }

    /// Returns one message per value that another program has changed.
    pub(super) fn strays(&self) -> Vec<String> {
        let mut messages = Vec::new();
        for (id, changed) in &self.processes {
            let Some(process) = ForeignProcess::find(self.planner.reader.files(), *id) else {
                continue;
            };
            for (tid, thread) in &changed.threads {
                let Some(set) = thread.set else { continue };
                if let Ok(now) = process.nice(*tid)
                    && now != set
                {
                    messages.push(format!(
                        "thread {tid} of process {id} has nice {now} instead of {set}"
                    ));
                }
            }
        }
        for (id, group) in &self.autogroups {
            let now = self.planner.reader.autogroup(group.process.pid).filter(|now| now.id == *id);
            if let (Some(set), Some(now)) = (group.set, now)
                && now.nice != set
            {
                messages.push(format!("autogroup {id} has nice {} instead of {set}", now.nice));
            }
        }
        shorten(messages)
    }

    /// Returns the values that divvy found, of all that it changed.
    pub(in crate::process) fn originals(&self) -> WeightOriginals {
        let processes = self.processes.iter().map(|(process, changed)| ProcessNice {
            process: *process,
            nice: changed.found,
            threads: changed
                .threads
                .iter()
                .filter(|(_, thread)| thread.found != changed.found)
                .map(|(tid, thread)| ThreadNice {
                    tid: *tid,
                    start_ticks: thread.start_ticks,
                    nice: thread.found,
                })
                .collect(),
        });
        let autogroups = self.autogroups.iter().map(|(id, group)| AutogroupNice {
            id: *id,
            nice: group.found,
            process: group.process,
        });
        WeightOriginals {
            boot: self.planner.reader.boot_id(),
            processes: processes.collect(),
            autogroups: autogroups.collect(),
        }
    }

    fn restore_recorded(&mut self, record: &mut dyn FnMut(&WeightOriginals)) -> Vec<String> {
        if self.originals().is_empty() {
            return Vec::new();
        }
        let failures = self.restore();
        record(&self.originals());
        failures
    }

    /// Restores the values that divvy found, where those that it set are still in force. Returns one message
    /// per failure.
    pub(in crate::process) fn restore(&mut self) -> Vec<String> {
        let reader = &self.planner.reader;
        self.processes.retain(|id, changed| first_thread_nice(reader, *id) == Some(changed.set));
        self.autogroups.retain(|id, group| {
            let now = reader.autogroup(group.process.pid);
            // a group whose process has ended or left it is looked up by its number
            now.is_none_or(|now| now.id != *id || group.set.is_none_or(|set| set == now.nice))
        });
        let originals = self.originals();
        self.processes.clear();
        self.autogroups.clear();
        shorten(originals.restore_below(&self.planner.reader))
    }
}

/// Sets the weight of a cgroup that divvy made, relative to its siblings.
fn set_cgroup(folder: &Path, nice: i32) -> Result<(), String> {
    let nice = nice.clamp(MIN_NICE, MAX_NICE);
    let shares = folder.join("cpu.shares");
    let (path, value) = if shares.is_file() {
        // The kernel's table of weights has 1024 for nice 0, and a factor of 1.25 per step
        // (`sched_prio_to_weight` in kernel/sched/core.c).
        (shares, (1024.0 * 1.25_f64.powi(-nice)).round() as i64)
    } else {
        (folder.join("cpu.weight.nice"), i64::from(nice))
    };
    std::fs::write(&path, value.to_string())
        .map_err(|error| format!("{} could not be set to {value}: {error}", path.display()))
}

/// Limits the number of messages.
fn shorten(mut messages: Vec<String>) -> Vec<String> {
    if messages.len() > MOST_MESSAGES {
        let rest = messages.len() - MOST_MESSAGES;
        messages.truncate(MOST_MESSAGES);
        messages.push(format!("{rest} more threads have another nice value"));
    }
    messages
}

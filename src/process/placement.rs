//! The masks of one row's threads: which ones divvy has set, and which ones were there before.
//!
//! A thread whose mask fits the row's cores keeps it: its program limited itself. divvy undoes only what is
//! still as it set it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::originals::{FoundProcess, Originals};
use super::target::PlacementTarget;
use crate::machine::{CpuSet, ForeignError, ForeignProcess, ProcessFiles, ProcessId};

/// Time over which repairs are counted.
const REPAIR_WINDOW: Duration = Duration::from_mins(1);

/// The most repairs of one process within that time.
const MOST_REPAIRS: usize = 3;

/// The most masks of which threads that start later are known to have inherited them.
const MOST_MASKS: usize = 16;

/// A thread and its mask, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadMask {
    pub(super) tid: i32,
    pub(super) mask: CpuSet,
}

/// Returns the threads of a process with their masks.
pub(super) fn read_masks(
    files: &ProcessFiles,
    process: ForeignProcess,
    pid: i32,
) -> Vec<ThreadMask> {
    let read = |tid: i32| Some(ThreadMask { tid, mask: process.affinity(tid).ok()? });
    files.threads(pid).into_iter().filter_map(read).collect()
}

/// The masks of one row's threads.
#[derive(Default)]
pub(super) struct Placement {
    target: PlacementTarget,
    /// Raised by each new target, so that readings from before are not taken for drift.
    epoch: u64,
    processes: HashMap<ProcessId, PlacedProcess>,
    /// The masks that divvy has set, newest last.
    masks: Vec<CpuSet>,
    /// The usual mask of the row's first process.
    usual: Option<CpuSet>,
    /// True once the row has ended.
    is_closed: bool,
}

struct PlacedProcess {
    /// The mask of its main thread before divvy changed it; new threads would have it.
    usual: CpuSet,
    threads: HashMap<i32, PlacedThread>,
    repairs: Vec<Instant>,
    /// True after too many repairs, until the row's cores change.
    is_left_alone: bool,
    /// The difference between the masks that are wanted and those in the kernel.
    problem: Option<String>,
}

#[derive(Clone, Copy)]
struct PlacedThread {
    /// The mask that its program or another one has chosen.
    own: CpuSet,
    /// The mask that divvy has set; `None` if the thread has its own.
    set: Option<CpuSet>,
}

/// A thread whose mask is to change.
struct MaskChange {
    tid: i32,
    own: CpuSet,
    wanted: CpuSet,
}

/// The result of placing one process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placed {
    /// True if this user may not change it.
    pub(super) is_denied: bool,
    /// The number of threads whose masks have been set.
    pub(super) changed: usize,
    /// The number of those that others had moved.
    pub(super) repaired: usize,
}

/// The surroundings of a call that places threads.
pub(super) struct PlacementContext<'a> {
    pub(super) row: &'a str,
    pub(super) files: &'a ProcessFiles,
    pub(super) originals: &'a Originals,
}

impl Placement {
    /// Returns the target.
    pub(super) fn target(&self) -> &PlacementTarget {
        &self.target
    }

    /// Returns the number of the present target.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Sets the target. Processes that divvy has left alone are placed again if it is another one.
    pub(super) fn set_target(&mut self, target: &PlacementTarget) {
        self.epoch += 1;
        if self.target == *target {
            return;
        }
        self.target = *target;
        for process in self.processes.values_mut() {
            process.is_left_alone = false;
            process.repairs.clear();
        }
    }

    /// Notes the mask with which processes start that divvy starts itself. `usual` is the mask that they
    /// would have without the row.
    pub(super) fn note_start(&mut self, mask: CpuSet, usual: CpuSet) {
        note_mask(&mut self.masks, mask);
        self.usual.get_or_insert(usual);
    }

    /// Adds a process. `found` are its masks from an earlier run of divvy that ended without restoring
    /// them.
    pub(super) fn add(
        &mut self,
        id: ProcessId,
        parent: Option<ProcessId>,
        threads: &[ThreadMask],
        found: Option<&FoundProcess>,
    ) {
        let main = threads.iter().find(|thread| thread.tid == id.pid).or(threads.first());
        let Some(main) = main.map(|thread| thread.mask).filter(|_| !self.is_closed) else { return };
        let inherited = parent.filter(|_| self.masks.contains(&main));
        let parent = inherited.and_then(|parent| self.processes.get(&parent));
        let usual = match (found, parent) {
            (Some(found), _) => found.mask,
            (None, Some(parent)) => parent.usual,
            (None, None) if inherited.is_some() => self.usual.unwrap_or(main),
            (None, None) => main,
        };
        self.usual.get_or_insert(usual);
        let mut process = PlacedProcess {
            usual,
            threads: HashMap::new(),
            repairs: Vec::new(),
            is_left_alone: false,
            problem: None,
        };
        for thread in threads {
            let own = found.map(|found| found.own(thread.tid));
            if let Some(own) = own.filter(|own| *own != thread.mask) {
                let placed = PlacedThread { own, set: Some(thread.mask) };
                process.threads.insert(thread.tid, placed);
                note_mask(&mut self.masks, thread.mask);
            }
        }
        self.processes.insert(id, process);
    }

    /// Removes processes that have ended.
    pub(super) fn retain(&mut self, is_member: impl Fn(&ProcessId) -> bool) {
        self.processes.retain(|id, _| is_member(id));
    }

    /// Returns a message per process whose masks differ from those that are wanted.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<_> = self.processes.iter().collect();
        problems.sort_by_key(|(id, _)| **id);
        problems.into_iter().filter_map(|(_, process)| process.problem.clone()).collect()
    }

    /// Returns the masks of a process before divvy changed them, as far as they are known.
    pub(super) fn found(&self, id: ProcessId, threads: &[ThreadMask]) -> Option<FoundProcess> {
        let process = self.processes.get(&id)?;
        let mut found = FoundProcess::new(id, process.usual);
        for thread in threads {
            let own = process.own(thread, &self.masks);
            found.add(thread.tid, own);
        }
        Some(found)
    }

    /// Sets the masks of a process's threads that cannot keep theirs, given the present ones.
    pub(super) fn place(
        &mut self,
        context: &PlacementContext<'_>,
        id: ProcessId,
        threads: &[ThreadMask],
    ) -> Placed {
        let Self { target, masks, processes, .. } = self;
        let Some(placed) = processes.get_mut(&id) else { return Placed::default() };
        // A process has a thread: without any, they could not be read.
        if placed.is_left_alone || threads.is_empty() {
            return Placed::default();
        }
        let (changes, moved) = placed.changes(target, masks, threads);
        if moved > 0 && !placed.may_repair() {
            placed.is_left_alone = true;
            placed.problem = Some(left_alone(context.files, id, threads, &target.mask));
            return Placed::default();
        }
        if changes.is_empty() {
            placed.problem = None;
            return Placed::default();
        }
        // The masks were read a while ago: the number can belong to another process now.
        let Some(process) = ForeignProcess::find(context.files, id) else {
            return Placed::default();
        };
        let found = changes.iter().map(|change| (change.tid, change.own));
        context.originals.note(context.row, FoundProcess::with(id, placed.usual, found));
        let mut outcome = Placed { repaired: moved, ..Placed::default() };
        let mut problems: Vec<String> = Vec::new();
        for change in &changes {
            match set(process, change) {
                Ok(actual) => {
                    outcome.changed += 1;
                    note_mask(masks, actual);
                    let set = (actual != change.own).then_some(actual);
                    placed.threads.insert(change.tid, PlacedThread { own: change.own, set });
                    if actual != change.wanted {
                        problems.push(format!(
                            "is allowed on {actual}, not on {}: the cpuset of its cgroup has no more",
                            change.wanted
                        ));
                    }
                }
                Err(ForeignError::Ended) => {}
                Err(ForeignError::Denied) => outcome.is_denied = true,
                Err(error) => {
                    problems.push(format!("cannot be moved to {}: {error}", change.wanted));
                }
            }
        }
        placed.problem = problem(context.files, id, &problems);
        outcome
    }

    /// Restores the own masks of a process's threads, where divvy's are still in force. Returns a
    /// message for each that keeps another one.
    fn restore_process(
        &self,
        process: ForeignProcess,
        id: ProcessId,
        threads: &[ThreadMask],
    ) -> Vec<String> {
        let Some(placed) = self.processes.get(&id) else { return Vec::new() };
        let mut errors = Vec::new();
        for thread in threads {
            let own = placed.own(thread, &self.masks);
            if own == thread.mask {
                continue;
            }
            let change = MaskChange { tid: thread.tid, own, wanted: own };
            match set(process, &change) {
                Err(ForeignError::Ended) => {}
                Err(error) => errors.push(format!(
                    "thread {} of process {id} stays on {}, not on {own}: {error}",
                    thread.tid, thread.mask
                )),
                Ok(actual) if actual != own => errors.push(format!(
                    "thread {} of process {id} is allowed on {actual}, not on {own} as before",
                    thread.tid
                )),
                Ok(_) => {}
            }
        }
        errors
    }

    /// Restores the own masks of all threads, and places none from now on. Returns a message per thread
    /// that keeps another one.
    pub(super) fn restore(&mut self, files: &ProcessFiles) -> Vec<String> {
        let mut errors = Vec::new();
        // Again for threads that began meanwhile, with the mask of the thread that started them.
        for _ in 0..2 {
            errors.clear();
            for id in self.processes.keys().copied() {
                let Some(process) = ForeignProcess::find(files, id) else { continue };
                let threads = read_masks(files, process, id.pid);
                errors.extend(self.restore_process(process, id, &threads));
            }
        }
        self.close();
        errors
    }

    /// Places no process from now on. The masks stay as they are.
    pub(super) fn close(&mut self) {
        self.processes.clear();
        self.is_closed = true;
    }
}

impl PlacedProcess {
    /// Returns the mask that a thread had or would have without divvy.
    fn own(&self, thread: &ThreadMask, masks: &[CpuSet]) -> CpuSet {
        match self.threads.get(&thread.tid) {
            Some(PlacedThread { own, set: Some(set) }) if *set == thread.mask => *own,
            None if masks.contains(&thread.mask) => self.usual,
            // Changed since, or never by divvy: that is its own mask.
            Some(_) | None => thread.mask,
        }
    }

    /// Returns the threads whose masks are to change, and how many of them others have moved.
    fn changes(
        &mut self,
        target: &PlacementTarget,
        masks: &[CpuSet],
        threads: &[ThreadMask],
    ) -> (Vec<MaskChange>, usize) {
        let (mut changes, mut moved) = (Vec::new(), 0);
        let mut known = HashMap::with_capacity(threads.len());
        for thread in threads {
            let own = self.own(thread, masks);
            let is_set = own != thread.mask;
            let before = self.threads.get(&thread.tid).and_then(|thread| thread.set);
            let was_moved = !is_set && before.is_some_and(|set| set != thread.mask);
            let keeps = !is_set && target.allows(&thread.mask);
            let wanted = target.wanted(&own, &self.usual);
            let set = if is_set { Some(thread.mask) } else { before.filter(|_| !keeps) };
            // What others have moved is not what the thread had before.
            let own = match self.threads.get(&thread.tid) {
                Some(placed) if was_moved && !keeps => placed.own,
                _ => own,
            };
            known.insert(thread.tid, PlacedThread { own, set });
            if keeps || wanted == thread.mask {
                continue;
            }
            moved += usize::from(was_moved);
            changes.push(MaskChange { tid: thread.tid, own, wanted });
        }
        self.threads = known;
        (changes, moved)
    }

    /// Notes a repair. Returns false if there were too many.
    fn may_repair(&mut self) -> bool {
        let now = Instant::now();
        self.repairs.retain(|at| now.duration_since(*at) < REPAIR_WINDOW);
        if self.repairs.len() >= MOST_REPAIRS {
            return false;
        }
        self.repairs.push(now);
        true
    }
}

fn note_mask(masks: &mut Vec<CpuSet>, mask: CpuSet) {
    if masks.last() != Some(&mask) {
        masks.retain(|known| *known != mask);
        masks.push(mask);
        let surplus = masks.len().saturating_sub(MOST_MASKS);
        masks.drain(..surplus);
    }
}

/// Sets a mask and reads it back.
fn set(process: ForeignProcess, change: &MaskChange) -> Result<CpuSet, ForeignError> {
    process.set_affinity(change.tid, &change.wanted)?;
    process.affinity(change.tid)
}

/// Returns the message about a process whose masks differ.
fn problem(files: &ProcessFiles, id: ProcessId, problems: &[String]) -> Option<String> {
    let first = problems.first()?;
    let name = files.stat(id.pid).map(|process| process.name).unwrap_or_default();
    let rest = match problems.len() - 1 {
        0 => String::new(),
        count => format!(" (and {count} more of its threads)"),
    };
    Some(format!("process {id} ({name}) {first}{rest}"))
}

/// Returns the message about a process that another program moves again and again.
fn left_alone(
    files: &ProcessFiles,
    id: ProcessId,
    threads: &[ThreadMask],
    mask: &CpuSet,
) -> String {
    let all = threads.iter().fold(CpuSet::EMPTY, |all, thread| all.union(&thread.mask));
    let groups = files.cgroups(id.pid);
    let unit = groups.iter().find_map(|path| path.rsplit('/').find(|part| is_unit(part)));
    let manager = unit.map_or_else(String::new, |unit| {
        format!(" (systemd unit {unit}: see its AllowedCPUs and CPUAffinity)")
    });
    format!(
        "another manager sets the CPUs of process {id}{manager}: it is allowed on {all}, not on {mask}; \
         divvy leaves it alone until the row's cores change"
    )
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".slice"].iter().any(|suffix| part.ends_with(suffix))
}

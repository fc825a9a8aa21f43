//! The real Linux machine: sysfs for what it is, cgroups for what a container leaves of it, the
//! kernel's own masks for where threads may run, `/proc` for what they did.
//!
//! **Which CPUs this process may use.** The intersection of
//! - the CPUs that are online and the cpuset in force: read afresh by each `describe`, so a CPU that
//!   is (un)plugged and a cpuset that shrinks or widens is followed;
//! - the mask that the process was started with (`taskset`): read once, since the program pins its
//!   own threads later. A mask that held all usable CPUs at the start was no restriction, and does
//!   not keep out CPUs that a cpuset or a plug adds later. When the cpuset moves away from the mask
//!   altogether, the kernel drops the mask, and so does this;
//! - the operator's `--cores`. It holds even when none of its CPUs is left.
//!
//! Placing a thread is checked by the kernel only, that is against online CPUs and the cpuset: the
//! layout keeps to the allowed set, the program's own threads may need to step out of its way.

mod affinity;
mod cgroup;
mod proc;
mod scheduling;
mod sysfs;
#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) use self::proc::process_threads;
pub(super) use self::scheduling::{request_realtime, request_short_slice};

use self::affinity::Affinity;
use self::cgroup::MemoryLimit;
use self::proc::Sensors;
use self::sysfs::{CpuPresence, TopologyReading};
use super::{
    AffinityError, CoreId, CoreTimes, CpuSet, Description, Limits, Machine, MemoryUse, ThreadId,
    ThreadTimes,
};

/// This machine, by way of Linux.
pub struct LinuxMachine {
    root: PathBuf,
    /// The mask of the start.
    startup: CpuSet,
    /// Whether that mask kept usable CPUs out.
    bound: bool,
    cores: Option<CpuSet>,
    affinity: Affinity,
    /// The nice value of the start.
    nice: i32,
    sensors: Sensors,
    state: Mutex<State>,
}

/// The kernel's lowest standing.
const LOWEST_NICE: i32 = 19;

/// What is kept between calls.
struct State {
    /// The topology and the plugged CPUs for which it holds; reading it takes a dozen files a CPU.
    topology: Option<(CpuPresence, TopologyReading)>,
    memory_limit: Option<MemoryLimit>,
    /// `None` where sysinfo cannot start; memory of the machine is then unknown, 0.
    system: Option<sysinfo::System>,
}

impl LinuxMachine {
    /// Opens the sensors and reads the mask that the process was started with from its main thread.
    pub fn detect() -> Self {
        Self::at(Path::new("/"))
    }

    /// The machine whose `sys` and `proc` are under `root`. Affinity calls, times and this process's
    /// memory are the running kernel's in any case.
    fn at(root: &Path) -> Self {
        // The list of the calling thread stands in where /proc is hidden.
        let mask = proc::main_thread_mask(root).unwrap_or_else(usable);
        let online = sysfs::plugged(root, &mask).online;
        let limits = cgroup::limits(root);
        let open = limits.cpuset.map_or(online, |cpuset| online.intersection(&cpuset));
        Self {
            root: root.to_owned(),
            startup: mask,
            bound: !open.is_subset(&mask),
            cores: None,
            affinity: Affinity::open(),
            // a thread that a raised one makes is a usual one, so none can be asked to stand higher
            nice: rustix::process::getpriority_process(None).unwrap_or(0).max(0),
            sensors: Sensors::open(),
            state: Mutex::new(State {
                topology: None,
                memory_limit: limits.memory,
                system: sysinfo::System::new().ok(),
            }),
        }
    }

    /// The same machine, of which only `cores` may be used.
    #[must_use]
    pub fn restricted(self, cores: CpuSet) -> Self {
        Self { cores: Some(cores), ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is kept is a cache: a panic elsewhere cannot leave it half made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allowed(&self, online: &CpuSet, cpuset: Option<CpuSet>, notes: &mut Vec<String>) -> CpuSet {
        let mut allowed = cpuset.map_or(*online, |cpuset| online.intersection(&cpuset));
        if self.bound {
            let both = allowed.intersection(&self.startup);
            if both.is_empty() {
                let startup = &self.startup;
                notes.push(format!(
                    "the CPUs {startup} that this process was started with are gone: the kernel \
                     uses {allowed} instead"
                ));
            } else {
                allowed = both;
            }
        }
        if let Some(cores) = &self.cores {
            let both = allowed.intersection(cores);
            if both.is_empty() {
                notes.push(format!(
                    "none of the CPUs {cores} of --cores is usable now; usable are {allowed}"
                ));
            }
            allowed = both;
        }
        allowed
    }
}

/// The CPUs on which the calling thread may run.
fn usable() -> CpuSet {
    core_affinity::get_core_ids()
        .unwrap_or_default()
        .iter()
        .filter_map(|core| u16::try_from(core.id).ok())
        .map(CoreId)
        .collect()
}

/// Memory of the machine in bytes.
fn installed(root: &Path) -> Option<u64> {
    let text = sysfs::text(&root.join("proc/meminfo"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

impl Machine for LinuxMachine {
    fn describe(&self) -> Description {
        let plugged = sysfs::plugged(&self.root, &self.startup);
        let limits = cgroup::limits(&self.root);
        let mut state = self.state();
        state.memory_limit.clone_from(&limits.memory);
        if state.topology.as_ref().is_none_or(|(known, _)| *known != plugged) {
            let reading = sysfs::topology(&self.root, &plugged);
            state.topology = Some((plugged.clone(), reading));
        }
        let (topology, mut notes) = state
            .topology
            .as_ref()
            .map(|(_, reading)| (reading.topology.clone(), reading.notes.clone()))
            .unwrap_or_default();
        drop(state);
        let allowed = self.allowed(&plugged.online, limits.cpuset, &mut notes);
        let limits = Limits {
            allowed,
            quota: limits.quota,
            memory: limits.memory.map(|memory| memory.limit),
            installed: installed(&self.root),
        };
        Description { topology, limits, simulated: false, notes, ..Description::default() }
    }

    fn set_affinity(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError> {
        self.affinity.set(thread, cores)
    }

    fn affinity(&self, thread: ThreadId) -> Result<CpuSet, AffinityError> {
        self.affinity.get(thread)
    }

    fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError> {
        self.affinity.set_nice(thread, (self.nice + nice).min(LOWEST_NICE))
    }

    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        Ok(self.affinity.nice(thread)? - self.nice)
    }

    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes> {
        self.sensors.thread(self.affinity.tasks()?, thread)
    }

    fn core_times(&self) -> Vec<CoreTimes> {
        self.sensors.cores()
    }

    fn memory(&self) -> MemoryUse {
        let mut state = self.state();
        let (total, used) = state.system.as_mut().map_or((0, 0), |system| {
            system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
            (system.total_memory(), system.used_memory())
        });
        let binds = |memory: &MemoryLimit| total == 0 || memory.limit < total;
        let limit = state.memory_limit.clone().filter(binds);
        drop(state);
        let process = self.sensors.resident().unwrap_or(0);
        match limit {
            Some(memory) => {
                MemoryUse { total: memory.limit, used: memory.used().unwrap_or(process), process }
            }
            None => MemoryUse { total, used, process },
        }
    }
}

//! The real Linux machine: topology from sysfs, limits from cgroups, thread placement by system calls,
//! times and memory from `/proc`.
//!
//! **Which CPUs this process may use.** The intersection of
//! - the online CPUs and the effective cpuset. Each `describe` reads them again, so CPUs that go
//!   offline or online and changes of the cpuset are followed;
//! - the mask that the process was started with (`taskset`): read once, since the program pins its
//!   own threads later. A mask that included all usable CPUs at startup is no restriction, and does
//!   not exclude CPUs that are added later. If the cpuset no longer overlaps the mask, the kernel
//!   drops the mask, and so does this code;
//! - the option `--cores`. It applies even if none of its CPUs is left.
//!
//! `set_affinity` accepts any CPU that the kernel accepts (online and in the cpuset): layouts only use
//! the allowed set, but the program's own threads may have to move off it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::affinity::Affinity;
use super::cgroup::CgroupMemory;
use super::proc::ProcSensors;
use super::sysfs::{CpuPresence, TopologyReading};
use super::{cgroup, proc, sysfs};
use crate::machine::{
    AffinityError, CoreId, CoreTimes, CpuSet, Description, Limits, Machine, MemoryUse, ThreadId,
    ThreadTimes,
};

/// This machine, using the calls and files of Linux.
pub struct LinuxMachine {
    root: PathBuf,
    /// The mask at startup.
    startup: CpuSet,
    /// True if that mask excluded usable CPUs.
    is_bound: bool,
    cores: Option<CpuSet>,
    affinity: Affinity,
    /// The nice value at startup.
    nice: i32,
    sensors: ProcSensors,
    state: Mutex<CachedReadings>,
}

/// The kernel's highest nice value.
const MAX_NICE: i32 = 19;

/// Values cached between calls.
struct CachedReadings {
    /// The topology, valid for these online and present CPUs; reading it takes a dozen files per CPU.
    topology: Option<(CpuPresence, TopologyReading)>,
    memory_limit: Option<CgroupMemory>,
    /// `None` if sysinfo cannot start; the machine's memory is then reported as 0.
    system: Option<sysinfo::System>,
}

impl LinuxMachine {
    /// Opens the sensors and reads the mask of the main thread, which the process was started with.
    pub fn detect() -> Self {
        Self::at(Path::new("/"))
    }

    /// Returns the machine whose `sys` and `proc` are below `root`. Affinity calls, times and this
    /// process's memory still come from the running kernel.
    pub(super) fn at(root: &Path) -> Self {
        // If /proc is hidden, use the mask of the calling thread.
        let mask = proc::main_thread_mask(root).unwrap_or_else(calling_thread_mask);
        let online = sysfs::cpu_presence(root, &mask).online;
        let limits = cgroup::limits(root);
        let usable = limits.cpuset.map_or(online, |cpuset| online.intersection(&cpuset));
        Self {
            root: root.to_owned(),
            startup: mask,
            is_bound: !usable.is_subset(&mask),
            cores: None,
            affinity: Affinity::open(),
            // Threads of a parent with a negative nice value start at 0, so 0 is the lowest base.
            nice: rustix::process::getpriority_process(None).unwrap_or(0).max(0),
            sensors: ProcSensors::open(),
            state: Mutex::new(CachedReadings {
                topology: None,
                memory_limit: limits.memory,
                system: sysinfo::System::new().ok(),
            }),
        }
    }

    /// Restricts the machine to `cores`.
    #[must_use]
    pub fn restricted(self, cores: CpuSet) -> Self {
        Self { cores: Some(cores), ..self }
    }

    fn state(&self) -> MutexGuard<'_, CachedReadings> {
        // The state is a cache: a poisoned lock cannot leave it inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allowed(&self, online: &CpuSet, cpuset: Option<CpuSet>, notes: &mut Vec<String>) -> CpuSet {
        let mut allowed = cpuset.map_or(*online, |cpuset| online.intersection(&cpuset));
        if self.is_bound {
            let both = allowed.intersection(&self.startup);
            if both.is_empty() {
                let startup = &self.startup;
                notes.push(format!(
                    "this process was started on CPUs {startup}, which are no longer usable: the \
                     kernel uses {allowed} instead"
                ));
            } else {
                allowed = both;
            }
        }
        if let Some(cores) = &self.cores {
            let both = allowed.intersection(cores);
            if both.is_empty() {
                notes.push(format!(
                    "--cores: none of the CPUs {cores} is usable now; usable CPUs: {allowed}"
                ));
            }
            allowed = both;
        }
        allowed
    }
}

/// Returns the CPUs on which the calling thread may run.
fn calling_thread_mask() -> CpuSet {
    core_affinity::get_core_ids()
        .unwrap_or_default()
        .iter()
        .filter_map(|core| u16::try_from(core.id).ok())
        .map(CoreId)
        .collect()
}

/// Returns the memory of the machine in bytes.
fn installed(root: &Path) -> Option<u64> {
    let text = sysfs::text(&root.join("proc/meminfo"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

impl Machine for LinuxMachine {
    fn describe(&self) -> Description {
        let presence = sysfs::cpu_presence(&self.root, &self.startup);
        let limits = cgroup::limits(&self.root);
        let mut state = self.state();
        state.memory_limit.clone_from(&limits.memory);
        if state.topology.as_ref().is_none_or(|(known, _)| *known != presence) {
            let reading = sysfs::topology(&self.root, &presence);
            state.topology = Some((presence.clone(), reading));
        }
        let (topology, mut notes) = state
            .topology
            .as_ref()
            .map(|(_, reading)| (reading.topology.clone(), reading.notes.clone()))
            .unwrap_or_default();
        drop(state);
        let allowed = self.allowed(&presence.online, limits.cpuset, &mut notes);
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
        self.affinity.set_nice(thread, (self.nice + nice).min(MAX_NICE))
    }

    fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        Ok(self.affinity.nice(thread)? - self.nice)
    }

    fn thread_times(&self, thread: ThreadId) -> Option<ThreadTimes> {
        self.sensors.thread(self.affinity.tasks()?, thread)
    }

    fn has_ended(&self, thread: ThreadId) -> bool {
        self.affinity.has_ended(thread)
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
        let binds = |memory: &CgroupMemory| total == 0 || memory.limit < total;
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

//! Machines with other operating systems than Linux: CPU count and memory are known, threads cannot
//! be placed.

use std::sync::{Mutex, PoisonError};

use super::{
    AffinityError, CoreId, CoreTimes, CpuSet, Description, Limits, Machine, MemoryUse, ThreadId,
    ThreadTimes, Topology,
};

/// This machine, using calls that every operating system has.
pub(super) struct PortableMachine {
    startup: CpuSet,
    cores: Option<CpuSet>,
    /// `None` if sysinfo does not support the system.
    system: Mutex<Option<sysinfo::System>>,
}

impl PortableMachine {
    /// Detects the machine and the CPUs that the process may use.
    pub(super) fn detect() -> Self {
        let listed: CpuSet = core_affinity::get_core_ids()
            .unwrap_or_default()
            .iter()
            .filter_map(|core| u16::try_from(core.id).ok())
            .map(CoreId)
            .collect();
        let startup = if listed.is_empty() {
            CpuSet::first(std::thread::available_parallelism().map_or(1, usize::from))
        } else {
            listed
        };
        Self { startup, cores: None, system: Mutex::new(sysinfo::System::new().ok()) }
    }

    /// Restricts the machine to `cores`.
    #[must_use]
    pub(super) fn restricted(self, cores: CpuSet) -> Self {
        Self { cores: Some(cores), ..self }
    }
}

impl Machine for PortableMachine {
    fn describe(&self) -> Description {
        let count = self.startup.iter().last().map_or(1, |core| usize::from(core.0) + 1);
        let mut topology = Topology::uniform(count);
        for core in &mut topology.cores {
            // The caches are unknown, and an invented group would mislead placement.
            core.l2 = None;
            core.l3 = None;
        }
        let allowed = self.cores.map_or(self.startup, |cores| self.startup.intersection(&cores));
        Description {
            topology,
            limits: Limits { allowed, quota: None, memory: None, installed: None },
            simulated: false,
            notes: vec![
                format!(
                    "on {}, sockets, caches, SMT siblings and core kinds are unknown: each CPU \
                     counts as a physical core",
                    std::env::consts::OS
                ),
                "threads cannot be pinned to cores on this system: cores only limit the number of \
                 threads"
                    .to_owned(),
                "CPU time and waiting time of threads are not measured on this system".to_owned(),
            ],
            ..Description::default()
        }
    }

    fn set_affinity(&self, _: ThreadId, _: &CpuSet) -> Result<(), AffinityError> {
        Err(AffinityError::Unsupported)
    }

    fn affinity(&self, _: ThreadId) -> Result<CpuSet, AffinityError> {
        Err(AffinityError::Unsupported)
    }

    fn set_nice(&self, _: ThreadId, _: i32) -> Result<(), AffinityError> {
        Err(AffinityError::Unsupported)
    }

    fn nice(&self, _: ThreadId) -> Result<i32, AffinityError> {
        Err(AffinityError::Unsupported)
    }

    fn thread_times(&self, _: ThreadId) -> Option<ThreadTimes> {
        None
    }

    fn has_ended(&self, _: ThreadId) -> bool {
        false
    }

    fn core_times(&self) -> Vec<CoreTimes> {
        Vec::new()
    }

    fn memory(&self) -> MemoryUse {
        use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate};
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(system) = system.as_mut() else {
            return MemoryUse::default();
        };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let own = Pid::from_u32(std::process::id());
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[own]),
            false,
            ProcessRefreshKind::nothing().with_memory(),
        );
        MemoryUse {
            total: system.total_memory(),
            used: system.used_memory(),
            process: system.process(own).map_or(0, sysinfo::Process::memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::current_thread;

    #[test]
    fn notes_name_missing_features() {
        let machine = PortableMachine::detect();
        let description = machine.describe();
        assert!(!description.limits.allowed.is_empty());
        assert!(description.limits.allowed.is_subset(&description.topology.online()));
        assert!(description.notes.iter().any(|note| note.contains("cannot be pinned")));
        assert!(machine.memory().process > 0);
        let thread = current_thread();
        let all = description.limits.allowed;
        assert_eq!(machine.set_affinity(thread, &all), Err(AffinityError::Unsupported));
        assert_eq!(machine.affinity(thread), Err(AffinityError::Unsupported));
        assert_eq!(machine.thread_times(thread), None);
        assert!(machine.core_times().is_empty());
    }

    #[test]
    fn restriction_limits_allowed_cpus() {
        let machine = PortableMachine::detect();
        let lowest = machine.describe().limits.allowed.lowest().unwrap();
        let one = CpuSet::single(lowest);
        assert_eq!(machine.restricted(one).describe().limits.allowed, one);
    }
}

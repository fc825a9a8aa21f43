//! The plain description of a machine: cores, caches, nodes and limits. Pure data, no system calls.

use serde::{Deserialize, Serialize};

use super::{CoreId, CpuSet, Gpus};

/// What sort of core a logical CPU belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreKind {
    /// All cores of the machine are alike.
    #[default]
    Uniform,
    /// The faster kind of a hybrid machine.
    Performance,
    /// The slower kind of a hybrid machine.
    Efficiency,
}

/// One logical CPU and where it sits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// The kernel's number.
    pub id: CoreId,
    /// The physical core; SMT siblings share it. Unique over the machine.
    pub physical: u32,
    /// The socket.
    pub package: u16,
    /// The NUMA node.
    pub node: u16,
    /// The group that shares a level 2 cache, where known. Unique over the machine.
    pub l2: Option<u32>,
    /// The group that shares a last-level (3) cache, where known. Unique over the machine.
    pub l3: Option<u32>,
    /// Fast or slow core of a hybrid machine.
    pub kind: CoreKind,
    /// The kernel's relative capacity, 1 to 1024, where it publishes one.
    pub capacity: Option<u16>,
    /// Whether it is plugged in now.
    pub online: bool,
}

/// All logical CPUs of a machine, in rising order of id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The logical CPUs.
    pub cores: Vec<Core>,
}

/// What of the machine this process may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// CPUs that are online, in the cgroup's cpuset and in the process's own mask.
    pub allowed: CpuSet,
    /// CPU time per wall time, in CPUs (cgroup `cpu.max`), where one is set.
    pub quota: Option<f64>,
    /// Memory limit in bytes (cgroup), where one is set.
    pub memory: Option<u64>,
    /// Memory of the machine in bytes, where it is known.
    #[serde(default)]
    pub installed: Option<u64>,
}

impl Limits {
    /// Memory that this process may use at most, in bytes: the machine's, or the cgroup's limit
    /// where that is lower.
    pub fn usable_memory(&self) -> Option<u64> {
        match (self.memory, self.installed) {
            (Some(limit), Some(installed)) => Some(limit.min(installed)),
            (limit, installed) => limit.or(installed),
        }
    }
}

/// A machine as it is now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Cores, caches and nodes.
    pub topology: Topology,
    /// What this process may use of it.
    pub limits: Limits,
    /// Whether this is a simulated machine of the tests.
    pub simulated: bool,
    /// What could not be read or what the system lacks, in sentences.
    pub notes: Vec<String>,
    /// The GPUs, once somebody has looked. A machine says nothing of them by itself.
    #[serde(skip)]
    pub gpus: Gpus,
}

impl Topology {
    /// The entry of a logical CPU.
    pub fn core(&self, id: CoreId) -> Option<&Core> {
        self.cores.binary_search_by_key(&id, |core| core.id).ok().and_then(|at| self.cores.get(at))
    }

    /// All logical CPUs that are plugged in.
    pub fn online(&self) -> CpuSet {
        self.cores.iter().filter(|core| core.online).map(|core| core.id).collect()
    }

    /// The logical CPUs of the same physical core, itself included.
    pub fn siblings(&self, id: CoreId) -> CpuSet {
        let Some(own) = self.core(id) else {
            return CpuSet::EMPTY;
        };
        self.cores.iter().filter(|core| core.physical == own.physical).map(|core| core.id).collect()
    }

    /// `count` uniform cores in one package, one node and one last-level cache, without SMT.
    pub fn uniform(count: usize) -> Self {
        let cores = (0..count as u16)
            .map(|id| Core {
                id: CoreId(id),
                physical: u32::from(id),
                l2: Some(u32::from(id)),
                l3: Some(0),
                online: true,
                ..Core::default()
            })
            .collect();
        Self { cores }
    }
}

impl Description {
    /// A simulated machine of `count` uniform cores, all allowed, without quota or limit.
    pub fn uniform(count: usize) -> Self {
        Self {
            topology: Topology::uniform(count),
            limits: Limits {
                allowed: CpuSet::first(count),
                quota: None,
                memory: None,
                installed: None,
            },
            simulated: true,
            notes: Vec::new(),
            gpus: Gpus::default(),
        }
    }
}

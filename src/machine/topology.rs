//! The description of a machine: cores, caches, nodes and limits. Plain data, no system calls.

use serde::{Deserialize, Serialize};

use super::{CoreId, CpuSet, Gpus};

/// The kind of core to which a logical CPU belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// One logical CPU and its place in the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Core {
    /// The kernel's number.
    pub id: CoreId,
    /// The physical core, shared by SMT siblings. Unique in the machine.
    pub physical: u32,
    /// The socket.
    pub package: u16,
    /// The NUMA node.
    pub node: u16,
    /// The group of CPUs that share a level 2 cache, if known. Unique in the machine.
    pub l2: Option<u32>,
    /// The group of CPUs that share a level 3 cache, if known. Unique in the machine.
    pub l3: Option<u32>,
    /// Fast or slow, in a hybrid machine.
    pub kind: CoreKind,
    /// The kernel's relative capacity, 1 to 1024, if it publishes one.
    pub capacity: Option<u16>,
    /// True if it is online.
    pub online: bool,
}

/// All logical CPUs of a machine, in ascending order of id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Topology {
    /// The logical CPUs.
    pub cores: Vec<Core>,
}

/// The part of the machine that this process may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// CPUs that are online, in the cgroup's cpuset and in the process's own mask.
    pub allowed: CpuSet,
    /// CPU time per wall time, in CPUs (cgroup `cpu.max`), if limited.
    pub quota: Option<f64>,
    /// Memory limit in bytes (cgroup), if any.
    pub memory: Option<u64>,
    /// Memory of the machine in bytes, if known.
    #[serde(default)]
    pub installed: Option<u64>,
}

impl Limits {
    /// Returns the memory available to this process, in bytes: the machine's, or the cgroup's limit if
    /// lower.
    pub fn usable_memory(&self) -> Option<u64> {
        match (self.memory, self.installed) {
            (Some(limit), Some(installed)) => Some(limit.min(installed)),
            (limit, installed) => limit.or(installed),
        }
    }
}

/// The current state of a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Description {
    /// Cores, caches and nodes.
    pub topology: Topology,
    /// The part that this process may use.
    pub limits: Limits,
    /// True if the machine is simulated.
    pub simulated: bool,
    /// Messages about properties that could not be read or that the system lacks.
    pub notes: Vec<String>,
    /// The GPUs. Empty until the GPU sensors fill it in: a machine does not detect them itself.
    #[serde(skip)]
    pub gpus: Gpus,
}

impl Topology {
    /// Returns the entry of a logical CPU.
    pub fn core(&self, id: CoreId) -> Option<&Core> {
        self.cores.binary_search_by_key(&id, |core| core.id).ok().and_then(|at| self.cores.get(at))
    }

    /// Returns all logical CPUs that are online.
    pub fn online(&self) -> CpuSet {
        self.cores.iter().filter(|core| core.online).map(|core| core.id).collect()
    }

    /// Returns the logical CPUs of the same physical core, including itself.
    pub fn siblings(&self, id: CoreId) -> CpuSet {
        let Some(own) = self.core(id) else {
            return CpuSet::EMPTY;
        };
        self.cores.iter().filter(|core| core.physical == own.physical).map(|core| core.id).collect()
    }

    /// Returns `count` uniform cores in one package, one node and one level 3 cache, without SMT.
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
    /// Returns a simulated machine of `count` uniform cores, all allowed, without quota or limit.
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

//! The reasons why there are no figures of memory bandwidth and cache, each with a remedy.

use std::io;

/// The reason why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum ResctrlMissing {
    /// The kernel offers the file system, but it is not mounted.
    #[error(
        "resctrl is not mounted: mount -t resctrl resctrl /sys/fs/resctrl (as root), and start divvy \
         again"
    )]
    NotMounted,
    /// The CPU can count, but the kernel does not offer the file system.
    #[error(
        "this CPU counts memory bandwidth or cache, but the kernel offers no resctrl: it needs \
         CONFIG_X86_CPU_RESCTRL"
    )]
    NoKernelSupport,
    /// The CPU does not report that it can count.
    #[error(
        "this CPU does not count memory bandwidth and cache: that needs Intel RDT, AMD QoS or Arm MPAM"
    )]
    NoCpuSupport,
    /// The virtual machine's CPU does not report that it can count.
    #[error(
        "this virtual machine's CPU does not count memory bandwidth and cache: hypervisors hide \
         Intel RDT, AMD QoS and Arm MPAM"
    )]
    VirtualMachine,
    /// The file system is mounted, but can only allocate.
    #[error(
        "this CPU counts no memory bandwidth and cache: /sys/fs/resctrl/info has no L3_MON, only the \
         control of shares"
    )]
    NoMonitoring,
    /// The CPU's monitoring ids are all in use.
    #[error(
        "all {num_rmids} monitoring ids of the CPU are in use: remove groups that nobody needs from \
         /sys/fs/resctrl/mon_groups"
    )]
    NoFreeIds {
        /// The number of ids, from `info/L3_MON/num_rmids`.
        num_rmids: u32,
    },
    /// Monitoring ids are free, but the cache still holds data of their last users.
    #[error("the CPU's free monitoring ids still belong to cached data; divvy tries again in 10 s")]
    IdsInLimbo,
    /// divvy may not create a group or move threads to it.
    #[error("no permission for /sys/fs/resctrl: run divvy as root, or let its user write there")]
    NoPermission,
    /// All threads of the row belong to another program's group.
    #[error(
        "its threads belong to the resctrl group {0:?} of another program; divvy moves none out of it"
    )]
    Foreign(String),
    /// The counters have no values at the moment.
    #[error(
        "the CPU has no counter for the row at the moment ({0}): it has fewer counters than groups"
    )]
    NoCounter(String),
    /// Another error of the file system.
    #[error("{place}: {error}; see /sys/fs/resctrl/info/last_cmd_status")]
    Failed {
        /// The file or folder.
        place: String,
        /// The system's error.
        error: io::Error,
    },
}

//! The monitoring abilities of the CPU, as `info/` describes them.

use std::fs;
use std::path::Path;

use super::missing::ResctrlMissing;

/// Flags of `/proc/cpuinfo` of a CPU that can monitor or allocate.
const FLAGS: [&str; 6] = ["cqm_llc", "cqm_mbm_total", "cqm_mbm_local", "rdt_a", "cat_l3", "mba"];

/// The monitoring abilities of the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MonitoringInfo {
    /// The number of groups that can be monitored at the same time.
    pub(super) num_rmids: u32,
    /// The counter of memory bandwidth; the total one if there is a choice.
    pub(super) bandwidth: Option<&'static str>,
    /// True if the occupancy of the cache is counted.
    pub(super) has_occupancy: bool,
}

impl MonitoringInfo {
    /// Reads the abilities below the root of a file system, `/` outside of tests.
    ///
    /// # Errors
    /// The reason why nothing can be monitored.
    pub(super) fn read(root: &Path) -> Result<Self, ResctrlMissing> {
        let info = root.join("sys/fs/resctrl/info");
        if !info.is_dir() {
            return Err(not_mounted(root));
        }
        let monitoring = info.join("L3_MON");
        let features = fs::read_to_string(monitoring.join("mon_features")).unwrap_or_default();
        let has = |name: &str| features.lines().any(|line| line.trim() == name);
        let bandwidth = ["mbm_total_bytes", "mbm_local_bytes"].into_iter().find(|name| has(name));
        let has_occupancy = has("llc_occupancy");
        if bandwidth.is_none() && !has_occupancy {
            return Err(ResctrlMissing::NoMonitoring);
        }
        let ids = fs::read_to_string(monitoring.join("num_rmids")).unwrap_or_default();
        Ok(Self { num_rmids: ids.trim().parse().unwrap_or_default(), bandwidth, has_occupancy })
    }
}

/// Returns the reason why the file system is not there.
fn not_mounted(root: &Path) -> ResctrlMissing {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let kernel = read("proc/filesystems");
    if kernel.lines().any(|line| line.split_ascii_whitespace().next_back() == Some("resctrl")) {
        return ResctrlMissing::NotMounted;
    }
    let cpu = read("proc/cpuinfo");
    let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_ascii_whitespace().any(|one| one == flag);
    if FLAGS.iter().any(|flag| has(flag)) {
        ResctrlMissing::NoKernelSupport
    } else if has("hypervisor") {
        ResctrlMissing::VirtualMachine
    } else {
        ResctrlMissing::NoCpuSupport
    }
}

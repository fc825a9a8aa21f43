//! The monitor of all rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::group::RowMonitor;
use super::info::MonitoringInfo;
use super::missing::ResctrlMissing;

/// The characters of a row's name that its group shows.
const MOST_NAME: usize = 64;

/// The monitor of memory bandwidth and cache of all rows.
pub struct ResctrlMonitor {
    root: PathBuf,
    info: MonitoringInfo,
    /// The number of the next group, which makes its name unique.
    next: AtomicU64,
}

impl ResctrlMonitor {
    /// Opens `sys/fs/resctrl` below the root of a file system, `/` outside of tests. Removes the groups
    /// that an earlier divvy left when it was killed.
    ///
    /// # Errors
    /// The reason why nothing can be monitored, with a remedy.
    pub fn open(root: &Path) -> Result<Self, ResctrlMissing> {
        let info = MonitoringInfo::read(root)?;
        let monitor = Self { root: root.to_owned(), info, next: AtomicU64::new(0) };
        monitor.remove_leftovers();
        Ok(monitor)
    }

    /// Returns the monitor of a row. Its group is made once threads are assigned to it, and removed when
    /// it is dropped.
    pub fn row(&self, name: &str) -> RowMonitor {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let plain = |one: char| if one.is_ascii_alphanumeric() { one } else { '_' };
        let name: String = name.chars().map(plain).take(MOST_NAME).collect();
        let group = format!("divvy-{}-{number}-{name}", std::process::id());
        RowMonitor::new(&self.root, self.groups().join(group), self.info.clone())
    }

    fn groups(&self) -> PathBuf {
        self.root.join("sys/fs/resctrl/mon_groups")
    }

    fn remove_leftovers(&self) {
        let Ok(groups) = fs::read_dir(self.groups()) else { return };
        for group in groups.flatten() {
            let name = group.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix("divvy-"));
            let owner = owner.and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
            let Some(owner) = owner else { continue };
            if !self.root.join("proc").join(owner.to_string()).exists()
                && let Err(error) = fs::remove_dir(group.path())
            {
                tracing::warn!("cannot remove {}: {error}", group.path().display());
            }
        }
    }
}

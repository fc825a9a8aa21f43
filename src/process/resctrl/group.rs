//! The monitoring group of one row.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::info::MonitoringInfo;
use super::missing::ResctrlMissing;
use crate::telemetry::BandwidthView;

/// Time between two attempts to make a group.
const RETRY: Duration = Duration::from_secs(10);

/// Linux' `ESRCH`.
const NO_SUCH_PROCESS: i32 = 3;

/// The monitoring group of one row. Dropping it removes the group: its threads count for their former
/// parent again.
pub struct RowMonitor {
    root: PathBuf,
    group: PathBuf,
    info: MonitoringInfo,
    exists: bool,
    /// Threads that have been assigned, or that belong to another program's group.
    known: HashSet<i32>,
    counters: BTreeMap<String, CounterValue>,
    missing: Option<ResctrlMissing>,
    /// When the group may be made again after a fault.
    retry_at: Option<Instant>,
}

/// A counter of bytes of one domain.
#[derive(Clone, Copy)]
struct CounterValue {
    bytes: u64,
    at: Instant,
}

/// The reading of a file of `mon_data`.
enum Reading {
    Value(u64),
    /// A word in place of the value, such as "Unavailable".
    Word(String),
}

impl RowMonitor {
    pub(super) fn new(root: &Path, group: PathBuf, info: MonitoringInfo) -> Self {
        Self {
            root: root.to_owned(),
            group,
            info,
            exists: false,
            known: HashSet::new(),
            counters: BTreeMap::new(),
            missing: None,
            retry_at: None,
        }
    }

    /// Counts these threads, by their numbers, for the row. Threads that they start later are counted
    /// without a call, since they inherit the group. Threads in another program's group stay there.
    pub fn assign(&mut self, threads: &[i32], now: Instant) {
        let present: HashSet<i32> = threads.iter().copied().collect();
        self.known.retain(|thread| present.contains(thread));
        let mut new: Vec<i32> = present.difference(&self.known).copied().collect();
        if new.is_empty() || self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        new.sort_unstable();
        self.missing = None;
        self.retry_at = None;
        if let Err(missing) = self.add(&new) {
            self.missing = Some(missing);
            self.retry_at = Some(now + RETRY);
        }
    }

    fn add(&mut self, new: &[i32]) -> Result<(), ResctrlMissing> {
        let mut foreign = None;
        let mut added = 0;
        for thread in new {
            if let Some(group) = self.foreign_group(*thread) {
                foreign = Some(group);
                self.known.insert(*thread);
                continue;
            }
            self.make_group()?;
            match self.write_thread(*thread) {
                Ok(()) => added += 1,
                // it has ended
                Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => continue,
                Err(error) => return Err(self.fault("tasks", error)),
            }
            self.known.insert(*thread);
        }
        match foreign {
            Some(group) if added == 0 && !self.exists => Err(ResctrlMissing::Foreign(group)),
            _ => Ok(()),
        }
    }

    fn make_group(&mut self) -> Result<(), ResctrlMissing> {
        if self.exists {
            return Ok(());
        }
        match fs::create_dir(&self.group) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(match error.kind() {
                    io::ErrorKind::StorageFull => {
                        ResctrlMissing::NoFreeIds { num_rmids: self.info.num_rmids }
                    }
                    io::ErrorKind::ResourceBusy => ResctrlMissing::IdsInLimbo,
                    _ => self.fault("", error),
                });
            }
        }
        self.exists = true;
        Ok(())
    }

    /// Writes the number of one thread. The kernel takes one per call or stops at the first fault.
    fn write_thread(&self, thread: i32) -> io::Result<()> {
        let mut tasks =
            OpenOptions::new().append(true).create(true).open(self.group.join("tasks"))?;
        tasks.write_all(format!("{thread}\n").as_bytes())
    }

    fn fault(&self, file: &str, error: io::Error) -> ResctrlMissing {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ResctrlMissing::NoPermission
            }
            _ => {
                ResctrlMissing::Failed { place: self.group.join(file).display().to_string(), error }
            }
        }
    }

    /// Returns the group of another program to which a thread belongs: a control group, or a monitoring
    /// group of the root. The kernel writes `res:` and `mon:` lines (`CONFIG_PROC_CPU_RESCTRL`).
    fn foreign_group(&self, thread: i32) -> Option<String> {
        let path = self.root.join(format!("proc/{thread}/cpu_resctrl_groups"));
        let text = fs::read_to_string(path).ok()?;
        let line = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key));
        let control = line("res:").filter(|name| !name.is_empty() && *name != "/");
        let monitoring = line("mon:").filter(|name| {
            let own = self.group.file_name().and_then(|name| name.to_str());
            !name.is_empty() && Some(*name) != own
        });
        control.or(monitoring).map(str::to_owned)
    }

    /// Returns the figures. A rate needs two readings.
    pub fn read(&mut self, now: Instant) -> BandwidthView {
        if let Some(missing) = &self.missing {
            return BandwidthView {
                missing: Some(missing.to_string()),
                ..BandwidthView::default()
            };
        }
        if !self.exists {
            return BandwidthView::default();
        }
        let domains = match self.domains() {
            Ok(domains) => domains,
            Err(error) => {
                let missing = Some(self.fault("mon_data", error).to_string());
                return BandwidthView { missing, ..BandwidthView::default() };
            }
        };
        let (mut rate, mut cache, mut word) = (None, None, None);
        for domain in domains {
            if self.info.has_occupancy {
                match reading(&domain.join("llc_occupancy")) {
                    Some(Reading::Value(bytes)) => cache = Some(cache.unwrap_or(0) + bytes),
                    Some(Reading::Word(text)) => word = Some(text),
                    None => {}
                }
            }
            let Some(counter) = self.info.bandwidth else { continue };
            match reading(&domain.join(counter)) {
                Some(Reading::Value(bytes)) => {
                    if let Some(more) = self.rate(&domain, CounterValue { bytes, at: now }) {
                        rate = Some(rate.unwrap_or(0.0) + more);
                    }
                }
                Some(Reading::Word(text)) => {
                    // the counter may start again from zero
                    self.counters.remove(&key(&domain));
                    word = Some(text);
                }
                None => {}
            }
        }
        let is_empty = rate.is_none() && cache.is_none();
        let missing =
            word.filter(|_| is_empty).map(|word| ResctrlMissing::NoCounter(word).to_string());
        BandwidthView { bytes_per_s: rate, cache_bytes: cache, missing }
    }

    /// Returns the folders of the cache's domains. Those of parts of a domain are inside and not listed.
    fn domains(&self) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.group.join("mon_data"))?.flatten();
        let is_l3 = |path: &PathBuf| key(path).starts_with("mon_L3_");
        Ok(entries.map(|entry| entry.path()).filter(is_l3).collect())
    }

    /// Returns the bytes per second since the last reading of a domain. A counter that fell has started
    /// again, so that its reading gives no rate: the kernel extends the hardware's counters to 64 bits.
    fn rate(&mut self, domain: &Path, new: CounterValue) -> Option<f64> {
        let old = self.counters.insert(key(domain), new)?;
        let seconds = new.at.saturating_duration_since(old.at).as_secs_f64();
        let bytes = new.bytes.checked_sub(old.bytes)?;
        (seconds > 0.0).then(|| bytes as f64 / seconds)
    }
}

impl Drop for RowMonitor {
    fn drop(&mut self) {
        if self.exists
            && let Err(error) = fs::remove_dir(&self.group)
        {
            tracing::warn!("cannot remove {}: {error}", self.group.display());
        }
    }
}

fn key(domain: &Path) -> String {
    domain.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a counter; `None` if its file is not there.
fn reading(path: &Path) -> Option<Reading> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    Some(text.parse().map_or_else(|_| Reading::Word(text.to_owned()), Reading::Value))
}

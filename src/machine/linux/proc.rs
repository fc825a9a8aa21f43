//! The sensors in `/proc`: times of threads and CPUs, and this process's resident memory.
//!
//! They are read many times per second, so they keep files open and reuse buffers.

use std::fmt::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

use super::sysfs;
use crate::machine::{CoreId, CoreTimes, CpuSet, NamedThread, ThreadId, ThreadTimes};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The open files of `/proc`.
#[derive(Debug)]
pub(super) struct ProcSensors {
    stat: Option<OwnedFd>,
    statm: Option<OwnedFd>,
    /// Buffer for `/proc/stat`, reused so that it keeps its size.
    buffer: Mutex<Vec<u8>>,
    tick_ns: u64,
    page_bytes: u64,
}

impl ProcSensors {
    pub(super) fn open() -> Self {
        let open = |path: &str| {
            rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        Self {
            stat: open("/proc/stat"),
            statm: open("/proc/self/statm"),
            buffer: Mutex::new(vec![0; 16 * 1024]),
            tick_ns: NANOS_PER_SECOND / rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
        }
    }

    /// Returns the times of a thread; `tasks` is `/proc/self/task`.
    pub(super) fn thread(&self, tasks: &OwnedFd, thread: ThreadId) -> Option<ThreadTimes> {
        let mut bytes = [0_u8; 1024];
        let stat = read_at(tasks.as_fd(), thread, "stat", &mut bytes).and_then(thread_stat)?;
        if thread.is_reused_by(stat.start_ticks) {
            return None;
        }
        let mut bytes = [0_u8; 128];
        let sched = read_at(tasks.as_fd(), thread, "schedstat", &mut bytes).and_then(schedstat);
        Some(thread_times(&stat, sched, self.tick_ns))
    }

    /// Returns the times of the online CPUs.
    pub(super) fn cores(&self) -> Vec<CoreTimes> {
        let Some(stat) = &self.stat else {
            return Vec::new();
        };
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Ok(length) = rustix::io::pread(stat, buffer.as_mut_slice(), 0) else {
                return Vec::new();
            };
            let text = buffer.get(..length).map(String::from_utf8_lossy).unwrap_or_default();
            // The lines of the CPUs come first; the rest can be long and is not needed.
            let ends = text.lines().any(|line| !line.starts_with("cpu"));
            if ends || length < buffer.len() {
                return text.lines().filter_map(|line| core_line(line, self.tick_ns)).collect();
            }
            drop(text);
            let doubled = buffer.len() * 2;
            buffer.resize(doubled, 0);
        }
    }

    /// Returns the resident set size of this process in bytes.
    pub(super) fn resident(&self) -> Option<u64> {
        let mut bytes = [0_u8; 128];
        let length = rustix::io::pread(self.statm.as_ref()?, &mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
        let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(pages * self.page_bytes)
    }
}

/// Returns the mask of the process's main thread, including offline CPUs.
pub(super) fn main_thread_mask(root: &Path) -> Option<CpuSet> {
    let status = sysfs::text(&root.join("proc/self/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    sysfs::parse_list(line.trim())
}

/// Returns the start of the thread that has a number now, in clock ticks since boot; `tasks` is
/// `/proc/self/task`.
pub(super) fn thread_start(tasks: &OwnedFd, thread: ThreadId) -> Option<u64> {
    let mut bytes = [0_u8; 1024];
    read_at(tasks.as_fd(), thread, "stat", &mut bytes).and_then(thread_stat)?.start_ticks
}

/// Returns the calling thread's id.
pub(crate) fn current_thread() -> ThreadId {
    let tid = rustix::thread::gettid().as_raw_pid();
    let stat = std::fs::read("/proc/thread-self/stat").unwrap_or_default();
    let stat = thread_stat(&String::from_utf8_lossy(&stat));
    ThreadId { tid, start_ticks: stat.and_then(|stat| stat.start_ticks) }
}

/// Returns this process's threads with their names. Omits threads that end during the call.
pub(crate) fn process_threads() -> Vec<NamedThread> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let thread = |task: std::fs::DirEntry| {
        let tid = task.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read(task.path().join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let start_ticks = thread_stat(&stat)?.start_ticks;
        let (name, _) = stat.split_once('(')?.1.rsplit_once(") ")?;
        Some(NamedThread { id: ThreadId { tid, start_ticks }, name: name.to_owned() })
    };
    tasks.filter_map(|task| thread(task.ok()?)).collect()
}

/// The needed fields of a thread's `stat`.
struct ThreadStat {
    ticks: u64,
    start_ticks: Option<u64>,
    last_core: Option<CoreId>,
}

fn thread_stat(text: &str) -> Option<ThreadStat> {
    // The name in parentheses may contain spaces and parentheses; field 3 follows the last one.
    let (_, fields) = text.rsplit_once(") ")?;
    let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3);
    let user: u64 = field(14)?.parse().ok()?;
    let system: u64 = field(15)?.parse().ok()?;
    Some(ThreadStat {
        ticks: user + system,
        start_ticks: field(22).and_then(|start| start.parse().ok()),
        last_core: field(39).and_then(|core| core.parse().ok()).map(CoreId),
    })
}

/// Parses `schedstat`: nanoseconds on a CPU, and nanoseconds waiting for one.
fn schedstat(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace();
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Combines the two files. A kernel without scheduler statistics has no `schedstat`, or one with
/// zeros; clock ticks are used then, and the waiting time is unknown.
fn thread_times(stat: &ThreadStat, sched: Option<(u64, u64)>, tick_ns: u64) -> ThreadTimes {
    let last_core = stat.last_core;
    match sched {
        Some((cpu_ns, wait_ns)) if cpu_ns > 0 || wait_ns > 0 || stat.ticks == 0 => {
            ThreadTimes { cpu_ns, wait_ns: Some(wait_ns), last_core }
        }
        _ => ThreadTimes { cpu_ns: stat.ticks * tick_ns, wait_ns: None, last_core },
    }
}

/// Parses a line `cpuN user nice system idle iowait irq softirq steal ...`. Time stolen by a hypervisor
/// counts as busy: the CPU was not available.
fn core_line(line: &str, tick_ns: u64) -> Option<CoreTimes> {
    let (id, times) = line.strip_prefix("cpu")?.split_once(' ')?;
    let core = CoreId(id.parse().ok()?);
    let mut ticks = times.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
    let mut next = || ticks.next().unwrap_or(0);
    let (user, nice, system, idle, iowait) = (next(), next(), next(), next(), next());
    let (irq, softirq, steal) = (next(), next(), next());
    Some(CoreTimes {
        core,
        busy_ns: (user + nice + system + irq + softirq + steal) * tick_ns,
        idle_ns: (idle + iowait) * tick_ns,
    })
}

fn read_at<'a>(
    tasks: BorrowedFd<'_>,
    thread: ThreadId,
    file: &str,
    bytes: &'a mut [u8],
) -> Option<&'a str> {
    let mut path = String::with_capacity(24);
    write!(path, "{thread}/{file}").ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let open = rustix::fs::openat(tasks, path.as_str(), flags, Mode::empty()).ok()?;
    let length = rustix::io::read(&open, &mut *bytes).ok()?;
    std::str::from_utf8(bytes.get(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 10_000_000;

    #[test]
    fn thread_name_may_contain_parentheses() {
        let tail: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let text = format!("77 (odd) name) R {}", tail.join(" "));
        let stat = thread_stat(&text).unwrap();
        assert_eq!(stat.ticks, 14 + 15);
        assert_eq!(stat.start_ticks, Some(22));
        assert_eq!(stat.last_core, Some(CoreId(39)));
    }

    #[test]
    fn uses_clock_ticks_without_schedstat() {
        let stat = ThreadStat { ticks: 3, start_ticks: None, last_core: None };
        for hidden in [None, Some((0, 0))] {
            let times = thread_times(&stat, hidden, TICK);
            assert_eq!((times.cpu_ns, times.wait_ns), (3 * TICK, None));
        }
        let times = thread_times(&stat, Some((31_000_000, 5)), TICK);
        assert_eq!((times.cpu_ns, times.wait_ns), (31_000_000, Some(5)));
        // Zeros of a thread that has not run yet are real.
        let fresh = ThreadStat { ticks: 0, start_ticks: None, last_core: None };
        assert_eq!(thread_times(&fresh, Some((0, 0)), TICK).wait_ns, Some(0));
    }

    #[test]
    fn splits_cpu_line_into_busy_or_idle() {
        let times = core_line("cpu12 1 2 3 40 50 6 7 8 9 9", TICK).unwrap();
        assert_eq!(times.core, CoreId(12));
        assert_eq!(times.busy_ns, (1 + 2 + 3 + 6 + 7 + 8) * TICK);
        assert_eq!(times.idle_ns, 90 * TICK);
        assert_eq!(core_line("cpu  1 2 3 4", TICK), None);
        assert_eq!(core_line("intr 1 2 3", TICK), None);
    }
}

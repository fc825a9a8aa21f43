//! The files of `/proc` about other processes, below a root folder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::permission::{self, CallerRights, ProcessUsers};
use super::process_id::ProcessId;
use super::stat::ProcessStat;
use super::thread_file::ThreadFile;

/// The suffix of the link to an executable that was removed or replaced.
const DELETED: &str = " (deleted)";

/// Most bytes that are read of a command line.
const LONGEST_COMMAND_LINE: u64 = 64 * 1024;

/// The files of `/proc` about other processes. A value is `None` if the process has ended, or if this user
/// may not read it.
#[derive(Clone, Debug)]
pub struct ProcessFiles {
    root: PathBuf,
    proc: PathBuf,
}

impl ProcessFiles {
    /// The files below `root` (`/` on the real machine).
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), proc: root.join("proc") }
    }

    /// Returns the root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, pid: i32, file: &str) -> PathBuf {
        let mut path = self.proc.join(pid.to_string());
        path.push(file);
        path
    }

    /// Returns the numbers of all processes, in no order. Empty if `/proc` is hidden.
    pub fn pids(&self) -> Vec<i32> {
        numbers(&self.proc)
    }

    /// Returns the numbers of a process's threads.
    pub fn threads(&self, pid: i32) -> Vec<i32> {
        numbers(&self.path(pid, "task"))
    }

    /// Returns the values of a process's `stat`.
    pub fn stat(&self, pid: i32) -> Option<ProcessStat> {
        self.read_stat(pid).ok().flatten()
    }

    /// Returns the values of a process's `stat`; `None` if the file has another form.
    ///
    /// # Errors
    /// The system's error; a process that has ended is one of its reasons.
    pub fn read_stat(&self, pid: i32) -> io::Result<Option<ProcessStat>> {
        Ok(ProcessStat::parse(pid, &text(&self.path(pid, "stat"), &mut [0; 1024])?))
    }

    /// Returns the values of a thread's `stat`.
    pub fn thread_stat(&self, pid: i32, tid: i32) -> Option<ProcessStat> {
        let path = self.path(pid, "task").join(tid.to_string()).join("stat");
        ProcessStat::parse(tid, &text(&path, &mut [0; 1024]).ok()?)
    }

    /// Opens a thread's `schedstat`.
    pub fn thread_schedstat(&self, pid: i32, tid: i32) -> Option<ThreadFile> {
        let path = self.path(pid, "task").join(tid.to_string()).join("schedstat");
        File::open(path).ok().map(ThreadFile::new)
    }

    /// Returns the path of the executable, also if it was removed or replaced since.
    pub fn exe(&self, pid: i32) -> Option<PathBuf> {
        let exe = fs::read_link(self.path(pid, "exe")).ok()?;
        let shortened = exe.to_str().and_then(|text| text.strip_suffix(DELETED)).map(PathBuf::from);
        Some(shortened.unwrap_or(exe))
    }

    /// Returns the working folder.
    pub fn cwd(&self, pid: i32) -> Option<PathBuf> {
        fs::read_link(self.path(pid, "cwd")).ok()
    }

    /// Returns the command line, its arguments joined by spaces; empty for a zombie and a kernel thread.
    pub fn command_line(&self, pid: i32) -> Option<String> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(pid, "cmdline")).ok()?;
        file.take(LONGEST_COMMAND_LINE).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\0').replace('\0', " ");
        Some(text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect())
    }

    /// Returns the users of a process.
    pub fn users(&self, pid: i32) -> Option<ProcessUsers> {
        ProcessUsers::parse(&fs::read_to_string(self.path(pid, "status")).ok()?)
    }

    /// Returns true if a process is in a PID namespace below divvy's.
    pub fn is_in_inner_namespace(&self, pid: i32) -> bool {
        let status = fs::read_to_string(self.path(pid, "status")).unwrap_or_default();
        permission::line(&status, "NSpid:")
            .is_some_and(|numbers| numbers.split_ascii_whitespace().count() > 1)
    }

    /// Returns the rights of the calling thread.
    pub fn own_rights(&self) -> CallerRights {
        let status = fs::read_to_string(self.proc.join("thread-self/status"));
        CallerRights::parse(&status.unwrap_or_default())
    }

    /// Returns the cgroups of a process: its path in each hierarchy.
    pub fn cgroups(&self, pid: i32) -> Vec<String> {
        let text = fs::read_to_string(self.path(pid, "cgroup")).unwrap_or_default();
        // hierarchy:controllers:path
        let path = |line: &str| Some(line.splitn(3, ':').nth(2)?.to_owned());
        text.lines().filter_map(path).collect()
    }

    /// Returns the proportional set size of a process in bytes: shared pages are divided among their
    /// users. Takes the kernel about 15 ms per GiB.
    pub fn proportional_memory(&self, pid: i32) -> Option<u64> {
        let text = fs::read_to_string(self.path(pid, "smaps_rollup")).ok()?;
        let kibibytes = permission::line(&text, "Pss:")?.split_ascii_whitespace().next()?;
        Some(kibibytes.parse::<u64>().ok()? * 1024)
    }

    /// Returns the names of users by their numbers, from `/etc/passwd`.
    pub fn user_names(&self) -> BTreeMap<u32, String> {
        let text = fs::read(self.root.join("etc/passwd")).unwrap_or_default();
        let user = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some((fields.nth(1)?.parse().ok()?, name))
        };
        // the first line of a number counts
        String::from_utf8_lossy(&text).lines().rev().filter_map(user).collect()
    }

    /// Returns when the machine started; `None` if `/proc` is hidden.
    pub fn boot_time(&self) -> Option<SystemTime> {
        let text = fs::read_to_string(self.proc.join("uptime")).ok()?;
        let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
        SystemTime::now().checked_sub(Duration::try_from_secs_f64(seconds).ok()?)
    }

    /// Returns when a process started, in milliseconds since 1970 in UTC, given the start of the machine.
    pub fn started_unix_ms(boot: SystemTime, id: ProcessId) -> Option<u64> {
        let start = boot.checked_add(Duration::from_nanos(id.start_ticks * Self::tick_ns()))?;
        Some(start.duration_since(UNIX_EPOCH).ok()?.as_millis() as u64)
    }

    /// Returns the length of a clock tick in nanoseconds.
    pub fn tick_ns() -> u64 {
        #[cfg(unix)]
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        #[cfg(not(unix))]
        let per_second = 100;
        1_000_000_000 / per_second
    }

    /// Returns the size of a page in bytes.
    pub fn page_bytes() -> u64 {
        #[cfg(unix)]
        let bytes = rustix::param::page_size() as u64;
        #[cfg(not(unix))]
        let bytes = 4096;
        bytes
    }
}

/// Returns the entries of a folder that are numbers.
fn numbers(folder: &Path) -> Vec<i32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Reads a short file.
fn text<'a>(path: &Path, bytes: &'a mut [u8]) -> io::Result<Cow<'a, str>> {
    let length = File::open(path).and_then(|mut file| file.read(bytes))?;
    // The kernel cuts the name of a process after 15 bytes, also within a character.
    Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()))
}

/// Returns true if a file of a process could not be read for want of descriptors or memory: the process may
/// run all the same.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let scarce = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
        Errno::from_io_error(error).is_some_and(|errno| scarce.contains(&errno))
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::OutOfMemory
    }
}

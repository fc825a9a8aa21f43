//! Processes that divvy starts: their first CPUs, their relatives, signals, and the zombies that they leave.

use std::io::{self, PipeWriter};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions};

use crate::machine::process::first_open_file_limit;
use crate::machine::{CpuSet, EndSignal, ProcessId, ProcessRelation};

/// Makes orphans among the descendants of this process its children, so that their numbers stay known.
///
/// # Errors
/// The system's error.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Pins the calling thread and starts a process in a new process group. A process inherits the CPUs
/// of the thread that starts it, so it runs on no other CPU at any time. It gets the limit of open files with
/// which divvy started: programs that use `select(2)` fail with descriptors from 1024 on.
///
/// The calling thread must not end before the process: a process that asked to be signalled at the end of
/// its parent is signalled when the thread ends that started it.
///
/// # Errors
/// The system's error.
pub(crate) fn start_process(
    command: &mut Command,
    cores: &CpuSet,
) -> io::Result<(Child, ProcessId)> {
    let mut mask = rustix::thread::CpuSet::new();
    for core in cores.iter() {
        mask.set(usize::from(core.0));
    }
    rustix::thread::sched_setaffinity(None, &mask).map_err(|error| {
        io::Error::other(format!(
            "cores {cores}: {}; none of them may be used",
            io::Error::from(error)
        ))
    })?;
    let child = command.process_group(0).spawn()?;
    let pid = child.id() as i32;
    limit_open_files(pid, first_open_file_limit());
    // It is not reaped yet, so it has its entry in /proc.
    let start_ticks = process_relation(pid).map_or(0, |process| process.id.start_ticks);
    Ok((child, ProcessId { pid, start_ticks }))
}

/// Sets a process's own limit of open files; `None` for no limit.
fn limit_open_files(pid: i32, limit: Option<u64>) {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    // If it has ended, or has become another user, it keeps the limit that it has.
    let _ = rustix::process::prlimit(
        Pid::from_raw(pid),
        Resource::Nofile,
        Rlimit { current: limit, maximum },
    );
}

/// Returns the relation of a process to others; `None` if there is no such process.
pub(crate) fn process_relation(pid: i32) -> Option<ProcessRelation> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&stat))
}

/// Returns the relations of all processes.
pub(crate) fn process_relations() -> Vec<ProcessRelation> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process_relation).collect()
}

fn parse_stat(stat: &str) -> Option<ProcessRelation> {
    // The name in parentheses can contain anything.
    let (head, rest) = stat.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X" | "x");
    let mut number = || fields.next()?.parse::<i32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // proc_pid_stat(5): the start time is the 22nd field, and the session the sixth.
    let start_ticks = fields.nth(15)?.parse().ok()?;
    Some(ProcessRelation { id: ProcessId { pid, start_ticks }, parent, group, session, is_zombie })
}

/// Returns the children of this process's main thread: the orphans that it adopted, and no process that
/// another living thread started. Empty if the kernel doesn't list them.
pub(crate) fn adopted_children() -> Vec<ProcessRelation> {
    let own = std::process::id();
    let list = std::fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let list = list.unwrap_or_default();
    let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(process_relation).collect()
}

/// Reaps a child of this process if it has ended.
pub(crate) fn reap_child(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // An error means that it has been reaped.
        let _ = rustix::process::waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
    }
}

/// Sends a signal to a process; nothing if it has ended.
///
/// # Errors
/// The system's error, as [`io::ErrorKind::PermissionDenied`].
pub(crate) fn signal_process(process: ProcessId, signal: EndSignal) -> io::Result<()> {
    let signal = match signal {
        EndSignal::Terminate => Signal::TERM,
        EndSignal::Continue => Signal::CONT,
        EndSignal::Kill => Signal::KILL,
    };
    let Some(pid) = Pid::from_raw(process.pid).filter(|pid| *pid != Pid::INIT) else {
        return Ok(());
    };
    // The descriptor keeps naming the same process, so no other one with that number gets the signal.
    let result = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) if has_started_at(process) => {
            rustix::process::pidfd_send_signal(descriptor, signal)
        }
        Ok(_) => Ok(()),
        // Linux before 5.3.
        Err(Errno::NOSYS) if has_started_at(process) => rustix::process::kill_process(pid, signal),
        Err(errno) => Err(errno),
    };
    match result {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn has_started_at(process: ProcessId) -> bool {
    process_relation(process.pid).is_some_and(|now| now.id == process)
}

/// Returns the value of a variable in the environment with which a process was started; `None` if this
/// process may not read it.
pub(crate) fn start_environment(pid: i32, variable: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let entry = std::str::from_utf8(entry).ok()?;
        let (name, value) = entry.split_once('=')?;
        (name == variable).then(|| value.to_owned())
    })
}

/// Returns the inode of a pipe.
pub(crate) fn pipe_inode(pipe: &PipeWriter) -> Option<u64> {
    rustix::fs::fstat(pipe).ok().map(|stat| stat.st_ino)
}

/// Returns a path by which another process's pipe can be opened, if one of its standard outputs is the pipe
/// with this inode.
pub(crate) fn output_pipe(pid: i32, inode: u64) -> Option<PathBuf> {
    let wanted = format!("pipe:[{inode}]");
    let paths = [1, 2].map(|number| PathBuf::from(format!("/proc/{pid}/fd/{number}")));
    paths.into_iter().find(|path| {
        std::fs::read_link(path).is_ok_and(|target| target.as_os_str() == wanted.as_str())
    })
}

/// Returns the number of this boot: process numbers and start times of another boot mean nothing.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

/// Returns a description of an exit status: "exit code 1", "signal 9 (SIGKILL)".
pub(crate) fn exit_description(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("exit code {}", status.code().unwrap_or_default());
    };
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_parentheses_is_skipped() {
        let stat = "42 (a) (b c) S 7 40 39 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5678 0 0";
        let expected = ProcessRelation {
            id: ProcessId { pid: 42, start_ticks: 5678 },
            parent: 7,
            group: 40,
            session: 39,
            is_zombie: false,
        };
        assert_eq!(parse_stat(stat), Some(expected));
        assert_eq!(parse_stat("42 (cut) S 7"), None);
    }

    #[test]
    fn process_starts_on_given_cpus() {
        let first = crate::machine::this_machine(None).unwrap().describe().limits.allowed;
        let first = CpuSet::single(first.lowest().unwrap());
        let output = std::thread::spawn(move || {
            let mut command = Command::new("sh");
            command.args(["-c", "grep Cpus_allowed_list /proc/self/status"]);
            command.stdout(std::process::Stdio::piped());
            let (child, id) = start_process(&mut command, &first).unwrap();
            assert_eq!(child.id() as i32, id.pid);
            child.wait_with_output().unwrap().stdout
        });
        let output = String::from_utf8(output.join().unwrap()).unwrap();
        assert_eq!(output.split_ascii_whitespace().last(), Some(first.to_string().as_str()));
    }

    #[test]
    fn open_files_of_a_child_are_limited() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        limit_open_files(pid, Some(77));
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(line.split_ascii_whitespace().nth(3), Some("77"), "{line}");
    }

    #[test]
    fn reused_number_gets_no_signal() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = process_relation(child.id() as i32).unwrap().id;
        let other = ProcessId { start_ticks: process.start_ticks + 1, ..process };
        signal_process(other, EndSignal::Kill).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        signal_process(process, EndSignal::Kill).unwrap();
        assert_eq!(exit_description(child.wait().unwrap()), "signal 9 (SIGKILL)");
        signal_process(process, EndSignal::Kill).unwrap();
    }

    #[test]
    fn start_environment_is_read() {
        let mut child = Command::new("sleep").arg("60").env("A_MARK", "x=1").spawn().unwrap();
        let pid = child.id() as i32;
        let start = std::time::Instant::now();
        // The child may not have become the program yet.
        while start_environment(pid, "A_MARK").is_none() {
            assert!(start.elapsed() < std::time::Duration::from_mins(1));
            std::thread::yield_now();
        }
        assert_eq!(start_environment(pid, "A_MARK").as_deref(), Some("x=1"));
        assert_eq!(start_environment(pid, "A_MAR"), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

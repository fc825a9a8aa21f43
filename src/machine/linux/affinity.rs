//! Affinity and nice values of this process's threads.

#![allow(unsafe_code)]

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::Pid;

use super::proc;
use crate::machine::{AffinityError, CoreId, CpuSet, MAX_CORES, ThreadId};

/// Sets and reads affinity and nice values, only for threads of this process: the id of a thread that
/// has ended may be reused by another process, which the kernel would let root pin.
#[derive(Debug)]
pub(super) struct Affinity {
    /// `/proc/self/task`, to list the threads; `None` if `/proc` is hidden.
    tasks: Option<OwnedFd>,
    /// The id of this process.
    process: Pid,
}

impl Affinity {
    pub(super) fn open() -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self {
            tasks: rustix::fs::open("/proc/self/task", flags, Mode::empty()).ok(),
            process: rustix::process::getpid(),
        }
    }

    /// Returns the folder of this process's threads.
    pub(super) fn tasks(&self) -> Option<&OwnedFd> {
        self.tasks.as_ref()
    }

    pub(super) fn set(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError> {
        let pid = self.own_thread(thread)?;
        let mut mask = rustix::thread::CpuSet::new();
        for core in cores.iter() {
            mask.set(usize::from(core.0));
        }
        rustix::thread::sched_setaffinity(Some(pid), &mask).map_err(|errno| match errno {
            Errno::INVAL => AffinityError::NotAllowed { asked: *cores },
            other => refusal(thread, other),
        })
    }

    pub(super) fn get(&self, thread: ThreadId) -> Result<CpuSet, AffinityError> {
        let pid = self.own_thread(thread)?;
        let mask = rustix::thread::sched_getaffinity(Some(pid)).map_err(|errno| match errno {
            // The only cause of EINVAL here: the kernel's masks are longer than ours.
            Errno::INVAL => AffinityError::Refused {
                thread,
                reason: format!("this kernel is built for more than {MAX_CORES} CPUs"),
            },
            other => refusal(thread, other),
        })?;
        Ok((0..MAX_CORES).filter(|id| mask.is_set(*id)).map(|id| CoreId(id as u16)).collect())
    }

    /// Sets a nice value and reads it back. Despite its name, the system call takes a thread's id.
    pub(super) fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError> {
        if self.nice(thread)? == nice {
            return Ok(());
        }
        let pid = self.own_thread(thread)?;
        match rustix::process::setpriority_process(Some(pid), nice) {
            Ok(()) | Err(Errno::ACCESS | Errno::PERM) => {}
            Err(errno) => return Err(refusal(thread, errno)),
        }
        let current = self.nice(thread)?;
        if current == nice {
            return Ok(());
        }
        Err(AffinityError::NiceNotRaised { thread, current, asked: nice })
    }

    pub(super) fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        let pid = self.own_thread(thread)?;
        rustix::process::getpriority_process(Some(pid)).map_err(|errno| refusal(thread, errno))
    }

    /// Returns true if a thread has ended.
    pub(super) fn has_ended(&self, thread: ThreadId) -> bool {
        let is_missing = self.own_thread(thread).is_err();
        is_missing
            || self
                .tasks
                .as_ref()
                .is_some_and(|tasks| thread.is_reused_by(proc::thread_start(tasks, thread)))
    }

    /// Returns the kernel's id of a thread, if it belongs to this process.
    fn own_thread(&self, thread: ThreadId) -> Result<Pid, AffinityError> {
        let ended = AffinityError::NoSuchThread(thread);
        // The kernel takes zero for the calling thread; negative ids are invalid.
        let Some(pid) = Some(thread.tid).filter(|raw| *raw > 0).and_then(Pid::from_raw) else {
            return Err(ended);
        };
        // Signal 0 only checks the thread. Looking it up in `/proc` instead would take most of the
        // time of a change.
        // SAFETY: the call takes three integers and sends no signal.
        let result = unsafe {
            libc::syscall(libc::SYS_tgkill, self.process.as_raw_pid(), pid.as_raw_pid(), 0)
        };
        let is_missing =
            result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if is_missing { Err(ended) } else { Ok(pid) }
    }
}

fn refusal(thread: ThreadId, errno: Errno) -> AffinityError {
    if errno == Errno::SRCH {
        return AffinityError::NoSuchThread(thread);
    }
    AffinityError::Refused { thread, reason: std::io::Error::from(errno).to_string() }
}

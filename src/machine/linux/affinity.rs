//! Pins a thread of this process by its id, sets its nice value, and reads both back.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::Pid;

use super::super::{AffinityError, CoreId, CpuSet, MAX_CORES, ThreadId};

/// The gate through which threads are placed: it lets only this process's own threads pass, since
/// the kernel would let root pin a stranger that got the id of a thread of ours that has ended.
#[derive(Debug)]
pub(super) struct Affinity {
    /// `/proc/self/task`; `None` where `/proc` is hidden, and then the kernel's word must do.
    tasks: Option<OwnedFd>,
}

impl Affinity {
    pub(super) fn open() -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self { tasks: rustix::fs::open("/proc/self/task", flags, Mode::empty()).ok() }
    }

    /// The folder of this process's threads.
    pub(super) fn tasks(&self) -> Option<&OwnedFd> {
        self.tasks.as_ref()
    }

    pub(super) fn set(&self, thread: ThreadId, cores: &CpuSet) -> Result<(), AffinityError> {
        let pid = self.own(thread)?;
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
        let pid = self.own(thread)?;
        let mask = rustix::thread::sched_getaffinity(Some(pid)).map_err(|errno| match errno {
            // The only reading of EINVAL here: the kernel's own masks are longer than ours.
            Errno::INVAL => AffinityError::Refused {
                thread,
                reason: format!("this kernel is built for more than {MAX_CORES} CPUs"),
            },
            other => refusal(thread, other),
        })?;
        Ok((0..MAX_CORES).filter(|id| mask.is_set(*id)).map(|id| CoreId(id as u16)).collect())
    }

    /// Sets a nice value and reads it back. The kernel's call takes a thread's id where it says
    /// "process".
    pub(super) fn set_nice(&self, thread: ThreadId, nice: i32) -> Result<(), AffinityError> {
        if self.nice(thread)? == nice {
            return Ok(());
        }
        let pid = self.own(thread)?;
        match rustix::process::setpriority_process(Some(pid), nice) {
            Ok(()) | Err(Errno::ACCESS | Errno::PERM) => {}
            Err(errno) => return Err(refusal(thread, errno)),
        }
        let held = self.nice(thread)?;
        let is_so = held == nice;
        if is_so { Ok(()) } else { Err(AffinityError::NiceNotRaised { thread, held, asked: nice }) }
    }

    pub(super) fn nice(&self, thread: ThreadId) -> Result<i32, AffinityError> {
        let pid = self.own(thread)?;
        rustix::process::getpriority_process(Some(pid)).map_err(|errno| refusal(thread, errno))
    }

    fn own(&self, thread: ThreadId) -> Result<Pid, AffinityError> {
        let gone = AffinityError::NoSuchThread(thread);
        // Zero would mean the calling thread, and a negative number nothing at all.
        let Some(pid) = Some(thread.0).filter(|raw| *raw > 0).and_then(Pid::from_raw) else {
            return Err(gone);
        };
        if let Some(tasks) = &self.tasks {
            let name = thread.0.to_string();
            rustix::fs::accessat(tasks.as_fd(), name, Access::EXISTS, AtFlags::empty())
                .map_err(|_| gone)?;
        }
        Ok(pid)
    }
}

fn refusal(thread: ThreadId, errno: Errno) -> AffinityError {
    if errno == Errno::SRCH {
        return AffinityError::NoSuchThread(thread);
    }
    AffinityError::Refused { thread, reason: std::io::Error::from(errno).to_string() }
}

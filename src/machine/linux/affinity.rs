//! Affinity and nice values of this process's threads.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::Pid;

use super::super::{AffinityError, CoreId, CpuSet, MAX_CORES, ThreadId};

/// Sets and reads affinity and nice values, only for threads of this process: the id of a thread that
/// has ended may be reused by another process, which the kernel would let root pin.
#[derive(Debug)]
pub(super) struct Affinity {
    /// `/proc/self/task`; `None` if `/proc` is hidden, which leaves thread ids unchecked.
    tasks: Option<OwnedFd>,
}

impl Affinity {
    pub(super) fn open() -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self { tasks: rustix::fs::open("/proc/self/task", flags, Mode::empty()).ok() }
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

    /// Returns the kernel's id of a thread, if it belongs to this process.
    fn own_thread(&self, thread: ThreadId) -> Result<Pid, AffinityError> {
        let ended = AffinityError::NoSuchThread(thread);
        // The kernel takes zero for the calling thread; negative ids are invalid.
        let Some(pid) = Some(thread.0).filter(|raw| *raw > 0).and_then(Pid::from_raw) else {
            return Err(ended);
        };
        if let Some(tasks) = &self.tasks {
            let name = thread.0.to_string();
            rustix::fs::accessat(tasks.as_fd(), name, Access::EXISTS, AtFlags::empty())
                .map_err(|_| ended)?;
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

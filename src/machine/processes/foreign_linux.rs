//! Calls on threads of other processes.

#![allow(unsafe_code)]

use rustix::io::Errno;
use rustix::thread::Pid;

use super::files::ProcessFiles;
use super::foreign_error::ForeignError;
use super::process_id::ProcessId;
use crate::machine::{CoreId, CpuSet, MAX_CORES};

/// A process whose start time has been compared just now. Do not keep it: its number belongs to another
/// process once it has ended.
///
/// Each call checks that the thread belongs to the process. A thread number that the process itself has
/// used again is still one of its threads.
#[derive(Clone, Copy, Debug)]
pub struct ForeignProcess {
    process: Pid,
}

impl ForeignProcess {
    /// Returns the process, if it runs.
    pub fn find(files: &ProcessFiles, id: ProcessId) -> Option<Self> {
        let process = Some(id.pid).filter(|pid| *pid > 0).and_then(Pid::from_raw)?;
        (files.stat(id.pid)?.id == id).then_some(Self { process })
    }

    /// Sets the CPU mask of a thread.
    ///
    /// # Errors
    /// [`ForeignError`]; the mask is then unchanged.
    pub fn set_affinity(self, tid: i32, cores: &CpuSet) -> Result<(), ForeignError> {
        let thread = self.thread(tid)?;
        let mut mask = rustix::thread::CpuSet::new();
        for core in cores.iter() {
            mask.set(usize::from(core.0));
        }
        rustix::thread::sched_setaffinity(Some(thread), &mask).map_err(|errno| match errno {
            Errno::INVAL => ForeignError::NoSuchCpus,
            other => error(other),
        })
    }

    /// Returns the CPU mask of a thread: the CPUs on which it may run.
    ///
    /// # Errors
    /// [`ForeignError`]
    pub fn affinity(self, tid: i32) -> Result<CpuSet, ForeignError> {
        let mask = rustix::thread::sched_getaffinity(Some(self.thread(tid)?)).map_err(error)?;
        Ok((0..MAX_CORES).filter(|id| mask.is_set(*id)).map(|id| CoreId(id as u16)).collect())
    }

    /// Sets the nice value of a thread, -20 to 19.
    ///
    /// # Errors
    /// [`ForeignError`]; the nice value is then unchanged.
    pub fn set_nice(self, tid: i32, nice: i32) -> Result<(), ForeignError> {
        // Despite its name, the system call takes a thread's id.
        rustix::process::setpriority_process(Some(self.thread(tid)?), nice).map_err(error)
    }

    /// Returns the nice value of a thread.
    ///
    /// # Errors
    /// [`ForeignError`]
    pub fn nice(self, tid: i32) -> Result<i32, ForeignError> {
        rustix::process::getpriority_process(Some(self.thread(tid)?)).map_err(error)
    }

    /// Returns the kernel's id of a thread, if it belongs to the process.
    fn thread(self, tid: i32) -> Result<Pid, ForeignError> {
        // The kernel takes zero for the calling thread; negative ids are invalid.
        let thread = Some(tid).filter(|tid| *tid > 0).and_then(Pid::from_raw);
        let thread = thread.ok_or(ForeignError::Ended)?;
        // Signal 0 only checks the thread; without permission to send signals, the error is another one.
        // SAFETY: the call takes three integers and sends no signal.
        let result = unsafe {
            libc::syscall(libc::SYS_tgkill, self.process.as_raw_pid(), thread.as_raw_pid(), 0)
        };
        let is_missing =
            result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if is_missing { Err(ForeignError::Ended) } else { Ok(thread) }
    }
}

fn error(errno: Errno) -> ForeignError {
    match errno {
        Errno::SRCH => ForeignError::Ended,
        Errno::PERM | Errno::ACCESS => ForeignError::Denied,
        other => ForeignError::Refused(std::io::Error::from(other).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Child, Command};

    use super::*;

    /// A process that sleeps until it is dropped.
    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            Self(Command::new("sleep").arg("600").spawn().unwrap())
        }

        fn pid(&self) -> i32 {
            self.0.id() as i32
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn places_a_thread_of_another_process() {
        let (files, sleeper) = (ProcessFiles::new(Path::new("/")), Sleeper::start());
        let id = files.stat(sleeper.pid()).unwrap().id;
        let process = ForeignProcess::find(&files, id).unwrap();
        let before = process.affinity(id.pid).unwrap();
        let one = CpuSet::single(before.lowest().unwrap());
        process.set_affinity(id.pid, &one).unwrap();
        assert_eq!(process.affinity(id.pid), Ok(one));
        process.set_nice(id.pid, 7).unwrap();
        assert_eq!(process.nice(id.pid), Ok(7));
    }

    #[test]
    fn reused_number_is_not_found() {
        let (files, sleeper) = (ProcessFiles::new(Path::new("/")), Sleeper::start());
        let id = files.stat(sleeper.pid()).unwrap().id;
        let earlier = ProcessId { start_ticks: id.start_ticks - 1, ..id };
        assert!(ForeignProcess::find(&files, earlier).is_none());
        let none = ProcessId { pid: 0, start_ticks: 0 };
        assert!(ForeignProcess::find(&files, none).is_none());
    }

    #[test]
    fn thread_of_another_process_is_refused() {
        let (files, sleeper) = (ProcessFiles::new(Path::new("/")), Sleeper::start());
        let id = files.stat(sleeper.pid()).unwrap().id;
        let process = ForeignProcess::find(&files, id).unwrap();
        let own = rustix::thread::gettid().as_raw_pid();
        assert_eq!(process.affinity(own), Err(ForeignError::Ended));
        assert_eq!(process.set_nice(0, 3), Err(ForeignError::Ended));
    }

    #[test]
    fn cpus_that_do_not_exist_are_refused() {
        let (files, sleeper) = (ProcessFiles::new(Path::new("/")), Sleeper::start());
        let id = files.stat(sleeper.pid()).unwrap().id;
        let process = ForeignProcess::find(&files, id).unwrap();
        let missing = CpuSet::single(CoreId((MAX_CORES - 1) as u16));
        assert_eq!(process.set_affinity(id.pid, &missing), Err(ForeignError::NoSuchCpus));
    }

    #[test]
    fn another_user_is_denied() {
        let (files, sleeper) = (ProcessFiles::new(Path::new("/")), Sleeper::start());
        let id = files.stat(sleeper.pid()).unwrap().id;
        let process = ForeignProcess::find(&files, id).unwrap();
        let before = process.affinity(id.pid).unwrap();
        let as_nobody = move || {
            // The kernel keeps users per thread; this thread ends with the closure.
            let nobody = rustix::thread::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).ok()?;
            Some(process.set_affinity(id.pid, &before))
        };
        // Without the privilege to become another user there is nothing to try.
        if let Some(result) = std::thread::spawn(as_nobody).join().unwrap() {
            assert_eq!(result, Err(ForeignError::Denied));
        }
    }
}

//! The host of all process rows of a run.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::host_shared::HostShared;
use super::host_thread::HostThread;
use super::leftovers::{self, Leftover};
use super::options::{ProcessEnd, ProcessOptions};
use super::proportional_memory;
use super::row::ProcessRow;
use crate::layout::ProcessSource;
use crate::machine::{CpuSet, ProcessFiles};
use crate::telemetry::OtherProcesses;

/// Time that started processes have to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time that the threads have to end. Reading `/proc` can take long: a large process's memory, or a command
/// line while the kernel holds the process's memory map.
const THREAD_PATIENCE: Duration = Duration::from_secs(5);

/// Time between two looks at a thread that is to end.
const POLL: Duration = Duration::from_millis(2);

/// The host of all process rows of a run. Dropping it ends it.
pub struct ProcessHost {
    shared: Arc<HostShared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ProcessHost {
    /// Starts the host.
    ///
    /// # Errors
    /// The system's error if its threads cannot be started.
    pub fn start(options: ProcessOptions) -> io::Result<Self> {
        let files = ProcessFiles::new(Path::new("/"));
        let shared = Arc::new(HostShared::new(options, files));
        let host = Self { shared: shared.clone(), threads: Mutex::default() };
        let thread = HostThread::new(shared.clone());
        host.spawn("divvy-processes", move || thread.run())?;
        host.spawn("divvy-pss", move || proportional_memory::run(&shared))?;
        Ok(host)
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Returns the handle of a new row and begins to look for its processes.
    pub fn row(&self, name: &str, source: &ProcessSource) -> Arc<ProcessRow> {
        let row = Arc::new(ProcessRow::new(name, source, self.shared.clone()));
        self.shared.add_row(row.clone());
        row
    }

    /// Sets the cores that rows have reserved. Rows without a budget of cores leave them.
    pub fn set_reserved(&self, reserved: CpuSet) {
        self.shared.set_reserved(reserved);
    }

    /// Returns the processes that belong to no row.
    pub fn others(&self) -> Arc<OtherProcesses> {
        self.shared.others()
    }

    /// Stops the threads, and restores what divvy found, unless the options say to keep everything. The
    /// rows have ended afterwards.
    pub fn end(&self) {
        self.shared.end();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let due = Instant::now() + THREAD_PATIENCE;
        for thread in threads {
            if !join_until(thread, due) {
                tracing::warn!("a thread that reads /proc does not end; it is left behind");
            }
        }
        for row in self.shared.rows() {
            row.begin_shut_down(PATIENCE);
        }
        for row in self.shared.rows() {
            row.shut_down(PATIENCE);
        }
        if self.shared.options.end == ProcessEnd::Restore {
            self.shared.memory.remove();
        }
    }

    /// Returns the processes that a run has changed which has ended without restoring them, as after
    /// `kill -9`. `state` is the state folder.
    pub fn leftovers(state: &Path) -> Vec<Leftover> {
        leftovers::find(state, &ProcessFiles::new(Path::new("/")))
    }

    /// Restores what [`ProcessHost::leftovers`] returns. Returns a message per thread that keeps another
    /// setting.
    pub fn restore_leftovers(state: &Path) -> Vec<String> {
        leftovers::restore(state, &ProcessFiles::new(Path::new("/")))
    }
}

/// Waits for a thread. Returns false if it has not ended at `due`.
fn join_until(thread: JoinHandle<()>, due: Instant) -> bool {
    while !thread.is_finished() {
        if Instant::now() >= due {
            return false;
        }
        sleep(POLL);
    }
    // A panic was logged by the panic hook.
    let _ = thread.join();
    true
}

impl Drop for ProcessHost {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn hung_thread_is_left_behind() {
        let (release, released) = channel::<()>();
        let hung = std::thread::spawn(move || {
            let _ = released.recv();
        });
        assert!(!join_until(hung, Instant::now() + POLL));
        drop(release);
        let ended = std::thread::spawn(|| {});
        assert!(join_until(ended, Instant::now() + Duration::from_mins(1)));
    }
}

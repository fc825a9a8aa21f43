//! The handle of a command that divvy starts.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::output::{OutputLog, RowName};
use super::records::CommandRecords;
use super::supervisor::{Event, Supervisor};
use crate::layout::ProcessCommand;
use crate::machine::{Clock, CpuSet, ProcessId, SystemClock, child_processes};
use crate::process::ProcessEnd;
use crate::telemetry::ProcessState;

/// The longest time between SIGTERM and SIGKILL.
pub(super) const LONGEST_GRACE: Duration = Duration::from_secs(10);

/// Time that the end of a command may take beyond the time until SIGKILL.
const END_MARGIN: Duration = Duration::from_secs(4);

/// Time in which the supervisor records that its processes stay.
const KEEP_PATIENCE: Duration = Duration::from_secs(2);

/// The state that the commands of a host share.
#[derive(Clone, Debug)]
pub(in crate::process) struct CommandContext {
    /// The record of started processes.
    pub records: CommandRecords,
    /// The treatment of processes at the end.
    pub end: ProcessEnd,
    /// The clock of the pauses between restarts.
    pub clock: Arc<dyn Clock>,
    /// The receiver of the output.
    pub log: OutputLog,
}

impl CommandContext {
    /// The context of the commands of a host.
    pub(in crate::process) fn new(records: CommandRecords, end: ProcessEnd) -> Self {
        Self { records, end, clock: Arc::new(SystemClock), log: OutputLog::default() }
    }
}

/// A command that divvy starts, restarts and ends. All calls but [`StartedCommand::end`] are quick.
///
/// Its process starts when its cores are known ([`StartedCommand::set_mask`]). Dropping it without
/// [`StartedCommand::end`] ends its processes in the background.
#[derive(Debug)]
pub(in crate::process) struct StartedCommand {
    shared: Arc<Shared>,
    events: Sender<Event>,
}

/// The state that the supervisor and the handle share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) row: RowName,
    values: Mutex<Values>,
    has_ended: Condvar,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
pub(super) struct Values {
    /// The CPUs for the next start; empty until they are known.
    pub(super) mask: CpuSet,
    /// Processes that the host found to belong to the command.
    pub(super) members: Vec<ProcessId>,
    /// The processes that live, as far as the supervisor knows them.
    pub(super) living: Vec<ProcessId>,
    /// The process that divvy started, while it lives.
    pub(super) root: Option<ProcessId>,
    pub(super) state: ProcessState,
    /// When a [`ProcessState::Restarting`] is over.
    pub(super) restart_at: Option<Instant>,
    /// When processes that have not ended get SIGKILL, if the command is to end.
    pub(super) kill_at: Option<Instant>,
    /// True once the supervisor has ended: whether all processes have.
    pub(super) end: Option<bool>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the name of the row.
    pub(super) fn row(&self) -> String {
        self.row.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reports the end of the supervisor, and whether all processes have ended.
    pub(super) fn finish(&self, all_ended: bool) {
        self.lock().end = Some(all_ended);
        self.has_ended.notify_all();
    }
}

impl StartedCommand {
    /// Starts to supervise a command, or the processes of it that an earlier run left.
    pub(in crate::process) fn new(
        row: &str,
        command: &ProcessCommand,
        context: &CommandContext,
    ) -> Self {
        static ADOPT: Once = Once::new();
        ADOPT.call_once(|| {
            if let Err(error) = child_processes::adopt_orphans() {
                tracing::warn!("orphans of started processes cannot be followed: {error}");
            }
        });
        let shared = Arc::new(Shared {
            row: Arc::new(Mutex::new(row.to_owned())),
            values: Mutex::default(),
            has_ended: Condvar::new(),
            clock: context.clock.clone(),
        });
        let (events, receiver) = channel();
        let supervisor = Supervisor::new(command, context.clone(), shared.clone());
        let run = {
            let events = events.clone();
            move || supervisor.run(&receiver, &events)
        };
        let spawned = thread::Builder::new().name("divvy-command".to_owned()).spawn(run);
        if let Err(error) = spawned {
            let reason = format!("cannot start a thread for it: {error}");
            shared.lock().state = ProcessState::Failed { reason };
            shared.finish(true);
        }
        Self { shared, events }
    }

    /// Sets the CPUs on which the next process starts. The first call lets it start.
    pub(in crate::process) fn set_mask(&self, mask: CpuSet) {
        self.shared.lock().mask = mask;
        self.send(Event::Placed);
    }

    /// Sets the processes that are known to belong to the command; they end with it.
    pub(in crate::process) fn set_members(&self, members: Vec<ProcessId>) {
        self.shared.lock().members = members;
    }

    /// Sets the name of the row.
    pub(in crate::process) fn rename(&self, row: &str) {
        row.clone_into(&mut self.shared.row.lock().unwrap_or_else(PoisonError::into_inner));
        self.send(Event::Renamed);
    }

    /// Returns the process that divvy started, while it lives.
    #[cfg(test)]
    pub(in crate::process) fn root(&self) -> Option<ProcessId> {
        self.shared.lock().root
    }

    /// Returns the processes from which the row's members descend: the one that divvy started, and those that
    /// it left behind. Some may have ended.
    pub(in crate::process) fn roots(&self) -> Vec<ProcessId> {
        self.shared.lock().living.clone()
    }

    /// Returns whether it runs.
    pub(in crate::process) fn state(&self) -> ProcessState {
        let values = self.shared.lock();
        match (&values.state, values.restart_at) {
            (ProcessState::Restarting { ended, .. }, Some(due)) => {
                let wait = due.saturating_duration_since(self.shared.clock.now());
                let wait_ms = wait.as_millis() as u64;
                ProcessState::Restarting { ended: ended.clone(), wait_ms }
            }
            (state, _) => state.clone(),
        }
    }

    /// Begins to end all processes: SIGTERM, and SIGKILL after `grace`, at most 10 s. A second call can
    /// only shorten the time.
    pub(in crate::process) fn begin_end(&self, grace: Duration) {
        let kill_at = Instant::now() + grace.min(LONGEST_GRACE);
        let mut values = self.shared.lock();
        values.kill_at = Some(values.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
        drop(values);
        self.send(Event::End);
    }

    /// Leaves the processes running, for the next run of this name to adopt. Returns true if that is
    /// recorded.
    pub(in crate::process) fn keep(&self) -> bool {
        self.send(Event::Keep);
        self.wait(KEEP_PATIENCE)
    }

    /// Returns true if the supervisor has ended, and with it all processes that it did not leave running and
    /// that can be ended.
    pub(in crate::process) fn has_ended(&self) -> bool {
        self.shared.lock().end.is_some()
    }

    /// Ends all processes as [`StartedCommand::begin_end`] and waits. Returns true if they have ended.
    pub(in crate::process) fn end(&self, grace: Duration) -> bool {
        self.begin_end(grace);
        self.wait(grace.min(LONGEST_GRACE) + END_MARGIN)
    }

    /// Waits until [`StartedCommand::has_ended`], at most that long. Returns true if all processes have
    /// ended or were left running.
    fn wait(&self, patience: Duration) -> bool {
        let values = self.shared.lock();
        let waited =
            self.shared.has_ended.wait_timeout_while(values, patience, |one| one.end.is_none());
        let (values, _) = waited.unwrap_or_else(PoisonError::into_inner);
        values.end == Some(true)
    }

    fn send(&self, event: Event) {
        // The supervisor may have ended.
        let _ = self.events.send(event);
    }
}

impl Drop for StartedCommand {
    fn drop(&mut self) {
        if self.shared.lock().kill_at.is_none() {
            self.begin_end(LONGEST_GRACE);
        }
    }
}

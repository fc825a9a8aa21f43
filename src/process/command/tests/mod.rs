//! Tests of started commands, with real processes.

mod adoption;
mod ends;
mod outputs;
mod starts;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::output::OutputLog;
use super::records::lives;
use super::{CommandContext, CommandRecords, StartedCommand};
use crate::layout::{ProcessCommand, RestartPolicy};
use crate::machine::{CpuSet, ProcessId, SimulatedClock, child_processes, this_machine};
use crate::process::ProcessEnd;
use crate::telemetry::ProcessState;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// A started command whose pauses follow a simulated clock.
struct TestCommand {
    command: StartedCommand,
    clock: Arc<SimulatedClock>,
    lines: Arc<Mutex<Vec<String>>>,
}

fn shell(script: &str, restart: RestartPolicy) -> ProcessCommand {
    let args = ["sh", "-c", script].map(str::to_owned).to_vec();
    ProcessCommand { args, dir: None, env: BTreeMap::new(), restart }
}

fn python(script: &str) -> ProcessCommand {
    let args = ["python3", "-c", script].map(str::to_owned).to_vec();
    ProcessCommand { args, dir: None, env: BTreeMap::new(), restart: RestartPolicy::Never }
}

fn allowed() -> CpuSet {
    this_machine(None).unwrap().describe().limits.allowed
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let due = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < due, "not so in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl TestCommand {
    /// Supervises a command named x, which does not start yet.
    fn unplaced(command: &ProcessCommand, records: CommandRecords, end: ProcessEnd) -> Self {
        let clock = Arc::new(SimulatedClock::new(0));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = {
            let lines = lines.clone();
            OutputLog(Arc::new(move |row, line| {
                lines.lock().unwrap().push(format!("{row}: {line}"));
            }))
        };
        let context =
            CommandContext { clock: clock.clone(), log, ..CommandContext::new(records, end) };
        Self { command: StartedCommand::new("x", command, &context), clock, lines }
    }

    fn start(command: &ProcessCommand) -> Self {
        let records = CommandRecords::open(None, "test");
        let started = Self::unplaced(command, records, ProcessEnd::Restore);
        started.command.set_mask(allowed());
        started
    }

    fn wait_for_root(&self) -> ProcessId {
        wait_until("the process runs", || self.command.root().is_some());
        self.command.root().unwrap()
    }

    fn wait_for_line(&self, line: &str) {
        wait_until(line, || self.lines.lock().unwrap().iter().any(|found| found == line));
    }

    /// Waits for a line that begins so; returns the number that follows.
    fn wait_for_pid(&self, start: &str) -> ProcessId {
        let find = || {
            let lines = self.lines.lock().unwrap();
            let number = lines.iter().find_map(|line| line.strip_prefix(start))?;
            Some(number.trim().parse::<i32>().unwrap())
        };
        wait_until(start, || find().is_some());
        child_processes::process_relation(find().unwrap()).expect("it lives").id
    }

    fn wait_for_end(&self) -> String {
        let ended = || match self.command.state() {
            ProcessState::Ended { ended } => Some(ended),
            _ => None,
        };
        wait_until("it has ended", || ended().is_some());
        ended().unwrap()
    }

    fn wait_for_restart(&self) -> (String, u64) {
        let pause = || match self.command.state() {
            ProcessState::Restarting { ended, wait_ms } => Some((ended, wait_ms)),
            _ => None,
        };
        wait_until("it is to be started again", || pause().is_some());
        pause().unwrap()
    }
}

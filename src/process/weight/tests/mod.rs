//! Tests of weights on real processes.

mod groups;
mod spinners;
mod threads;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::{Weight, WeightPlanner};
use crate::machine::{ForeignProcess, ProcessFiles, ProcessId, in_new_session};

/// A process that is killed when it is dropped.
struct TestProcess {
    child: Child,
    /// The first line of its output.
    line: String,
}

/// The session in which a process starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Session {
    Own,
    OfTheTest,
}

impl TestProcess {
    /// Starts a program and waits for the first line of its output.
    fn start(session: Session, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdout(Stdio::piped()).stdin(Stdio::null());
        if session == Session::Own {
            in_new_session(&mut command);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, line: line.trim().to_owned() }
    }

    /// A shell that keeps one CPU busy.
    fn spinner(session: Session) -> Self {
        Self::start(session, "sh", &["-c", "echo up; exec >/dev/null; while :; do :; done"])
    }

    fn id(&self) -> ProcessId {
        files().stat(self.child.id() as i32).unwrap().id
    }

    fn foreign(&self) -> ForeignProcess {
        ForeignProcess::find(&files(), self.id()).unwrap()
    }

    fn cpu_ticks(&self) -> u64 {
        files().stat(self.child.id() as i32).unwrap().cpu_ticks
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn files() -> ProcessFiles {
    ProcessFiles::new(Path::new("/"))
}

/// The weight of a row with these processes.
fn weight(members: &[ProcessId]) -> Weight {
    let mut weight = Weight::new(planner());
    plan(&mut weight, members);
    weight
}

fn planner() -> Arc<WeightPlanner> {
    Arc::new(WeightPlanner::new(Path::new("/"), None))
}

/// Plans the weight of these processes.
fn plan(weight: &mut Weight, members: &[ProcessId]) {
    weight.set_plan(members, planner().plan(members));
}

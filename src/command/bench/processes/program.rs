//! The programs that the bench divides: this executable, with threads that sleep or work.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::command::CommandError;
use crate::layout::{ProcessSelector, ProcessSource};

/// The work of a program's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ThreadWork {
    /// They sleep.
    Sleep,
    /// Each works for 100 us every 20 ms, so that some run while they are moved.
    Short,
}

/// A program: its number of threads and their work.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ProgramCase {
    pub(super) threads: usize,
    pub(super) work: ThreadWork,
}

/// A running program. Dropping it ends it.
pub(super) struct Program(Child);

impl Program {
    /// Starts one and waits until its threads run.
    ///
    /// # Errors
    /// [`CommandError::Failed`] if it cannot be started.
    pub(super) fn start(case: ProgramCase) -> Result<Self, CommandError> {
        let failed = |reason: &str| CommandError::Failed(format!("the program: {reason}"));
        let json = serde_json::to_string(&case).map_err(|error| failed(&error.to_string()))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", "processes", "--case", &json])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let program = Self(child);
        let mut line = String::new();
        output.map(BufReader::new).map(|mut output| output.read_line(&mut line)).transpose()?;
        if line.is_empty() { Err(failed("it ended at once")) } else { Ok(program) }
    }

    /// Returns the source of its row.
    pub(super) fn source(&self) -> ProcessSource {
        ProcessSource::new(ProcessSelector::Pid(self.0.id() as i32))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the program of a case until its input ends.
///
/// # Errors
/// [`CommandError::BadInput`] for a case that is none, [`CommandError::Failed`] if a thread cannot be
/// started.
pub(super) fn run(case: &str) -> Result<(), CommandError> {
    let case: ProgramCase = serde_json::from_str(case)
        .map_err(|error| CommandError::BadInput(format!("--case: {error}")))?;
    // One of them is the main thread.
    for _ in 1..case.threads {
        std::thread::Builder::new().stack_size(64 << 10).spawn(move || work(case.work))?;
    }
    crate::command::stdout::print_text("ready\n")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn work(work: ThreadWork) {
    loop {
        match work {
            ThreadWork::Sleep => std::thread::park(),
            ThreadWork::Short => {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(100) {
                    black_box(start);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

//! Real processes, and a host to place them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::layout::{ProcessSelector, ProcessSource};
use crate::machine::{CpuSet, ForeignProcess, ProcessFiles, ProcessId};
use crate::process::{ProcessHost, ProcessOptions, ProcessRow};

/// The longest wait for what another thread does.
const PATIENCE: Duration = Duration::from_mins(1);

/// A Python program that runs each line of its input and answers with a line.
const SHELL: &str = "
import os, sys, threading, time, subprocess
kept = []
def thread(count=1):
    for _ in range(count):
        started = threading.Thread(target=lambda: threading.Event().wait(), daemon=True)
        started.start()
        kept.append(started)
for line in sys.stdin:
    exec(line)
    print('done', flush=True)
";

/// A Python process that runs what it is sent. Dropping it ends it.
pub(super) struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts one.
    pub(super) fn start() -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-c", SHELL])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut program = Self { child, input, output };
        program.run("pass");
        program
    }

    /// Runs a line of Python and waits for it.
    pub(super) fn run(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "{line}");
    }

    /// Returns its number.
    pub(super) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Returns the process.
    pub(super) fn id(&self) -> ProcessId {
        files().stat(self.pid()).unwrap().id
    }

    /// Returns the masks of its threads, in the order of their numbers.
    pub(super) fn masks(&self) -> Vec<CpuSet> {
        masks(self.pid())
    }

    /// Sets the mask of all its threads, as another program would.
    pub(super) fn move_to(&self, mask: CpuSet) {
        let process = ForeignProcess::find(&files(), self.id()).unwrap();
        for tid in files().threads(self.pid()) {
            process.set_affinity(tid, &mask).unwrap();
        }
    }

    /// Returns the source that means it.
    pub(super) fn source(&self) -> ProcessSource {
        ProcessSource::new(ProcessSelector::Pid(self.pid()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the files of the real machine.
pub(super) fn files() -> ProcessFiles {
    ProcessFiles::new(std::path::Path::new("/"))
}

/// Returns the masks of a process's threads, in the order of their numbers.
pub(super) fn masks(pid: i32) -> Vec<CpuSet> {
    let Some(stat) = files().stat(pid) else { return Vec::new() };
    let process = ForeignProcess::find(&files(), stat.id).unwrap();
    let mut threads = files().threads(pid);
    threads.sort_unstable();
    threads.into_iter().filter_map(|tid| process.affinity(tid).ok()).collect()
}

/// The CPUs of this machine, of which a test needs two.
pub(super) struct Cpus {
    /// All that this process may use.
    pub(super) all: CpuSet,
    pub(super) first: CpuSet,
    pub(super) second: CpuSet,
}

impl Cpus {
    /// Returns them; `None` on a machine with one CPU, where nothing can be moved.
    pub(super) fn find() -> Option<Self> {
        let own = files().stat(std::process::id() as i32).unwrap().id;
        let process = ForeignProcess::find(&files(), own).unwrap();
        let all = process.affinity(own.pid).unwrap();
        let mut cores = all.iter();
        let (first, second) = (cores.next()?, cores.next()?);
        Some(Self { all, first: CpuSet::single(first), second: CpuSet::single(second) })
    }
}

/// Returns options with short intervals.
pub(super) fn options() -> ProcessOptions {
    ProcessOptions { interval: Duration::from_millis(20), ..ProcessOptions::default() }
}

/// Starts a host.
pub(super) fn host(options: ProcessOptions) -> ProcessHost {
    ProcessHost::start(options).unwrap()
}

/// Returns a row of a host that has taken in `count` processes.
pub(super) fn row(host: &ProcessHost, source: &ProcessSource, count: usize) -> Arc<ProcessRow> {
    let row = host.row("row", source);
    wait_for("its processes", || row.sample().view.process_count == count);
    row
}

/// Waits until a condition holds.
pub(super) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

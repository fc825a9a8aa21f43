//! Passes the output of a command to the log.
//!
//! One thread reads and another one logs, so that a log that is slow, such as a terminal that is stopped,
//! never blocks the command: lines that it cannot take are counted and left out.

use std::fmt;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::line_limit::LineLimit;
use super::line_splitter::LineSplitter;
use super::output_source::{self, OutputSource, OutputTarget};
use super::records::StartedRecord;
use crate::machine::{ProcessId, child_processes};

/// Bytes that are read at a time; as much as a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// The pause after a full read, which limits the time that divvy spends on a flood of output.
const FLOOD_PAUSE: Duration = Duration::from_millis(10);

/// The pause between two looks at a file.
const FILE_POLL: Duration = Duration::from_millis(100);

/// Lines that wait for the log at most.
const WAITING_LINES: usize = 256;

/// The most full reads at the end of a command.
const LAST_READS: u32 = 16;

/// Time that the log gets for the last lines at the end of a command.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Takes the name of a row, and a line.
type LineReceiver = dyn Fn(&str, &str) + Send + Sync;

/// The receiver of lines.
#[derive(Clone)]
pub(in crate::process) struct OutputLog(pub Arc<LineReceiver>);

impl Default for OutputLog {
    fn default() -> Self {
        Self(Arc::new(|row, line| tracing::info!(target: "divvy::output", "{row}: {line}")))
    }
}

impl fmt::Debug for OutputLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutputLog")
    }
}

/// The name of a row, which can change.
pub(super) type RowName = Arc<Mutex<String>>;

#[derive(Debug, Default)]
struct Flow {
    is_ending: AtomicBool,
    /// Lines that found no room on their way to the log.
    left_out: AtomicU64,
}

/// The output of one command.
#[derive(Debug)]
pub(super) struct CommandOutput {
    target: OutputTarget,
    flow: Arc<Flow>,
    /// Disconnected when the last line is logged.
    logged: Receiver<()>,
}

impl CommandOutput {
    /// Begins to read the output of a new process: from this file, or from a pipe.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn start(file: Option<&Path>, row: &RowName, log: &OutputLog) -> io::Result<Self> {
        let (source, target) = match file {
            Some(path) => output_source::file(path)?,
            None => output_source::pipe()?,
        };
        Self::read(source, target, (row.clone(), log.clone()))
    }

    /// Begins to read the output of processes that an earlier divvy started; `None` if that is not
    /// possible.
    pub(super) fn adopt(
        record: &StartedRecord,
        processes: &[ProcessId],
        (row, log): (&RowName, &OutputLog),
    ) -> Option<Self> {
        let (source, target) = match (&record.output, record.pipe) {
            (Some(path), _) => output_source::file(path).ok()?,
            (None, Some(inode)) => output_source::adopted_pipe(processes, inode)?,
            (None, None) => return None,
        };
        Self::read(source, target, (row.clone(), log.clone())).ok()
    }

    fn read(
        source: OutputSource,
        target: OutputTarget,
        receiver: (RowName, OutputLog),
    ) -> io::Result<Self> {
        let flow = Arc::new(Flow::default());
        let (sender, lines) = sync_channel(WAITING_LINES);
        let (end, logged) = channel();
        let reading = flow.clone();
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        spawn("divvy-output", Box::new(move || read_lines(source, &reading, &sender)))?;
        let counting = flow.clone();
        let log = Box::new(move || log_lines(&lines, &counting, &receiver, end));
        spawn("divvy-lines", log)?;
        Ok(Self { target, flow, logged })
    }

    /// Returns the standard output and standard error for a new process; `None` if it needs another
    /// [`CommandOutput`].
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn stdio(&self) -> io::Result<Option<[Stdio; 2]>> {
        match &self.target {
            OutputTarget::Adopted(_) => Ok(None),
            target => target.stdio().map(Some),
        }
    }

    /// Returns the file of the output, if it goes into one.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.target {
            OutputTarget::File(_, path) => Some(path),
            OutputTarget::Pipe(_) | OutputTarget::Adopted(_) => None,
        }
    }

    /// Returns the inode of the pipe of the output, if it goes through one.
    pub(super) fn pipe(&self) -> Option<u64> {
        match &self.target {
            OutputTarget::Pipe(writer) => child_processes::pipe_inode(writer),
            OutputTarget::File(..) | OutputTarget::Adopted(_) => None,
        }
    }

    /// Logs what has been written, and stops reading.
    pub(super) fn end(mut self) {
        self.flow.is_ending.store(true, Ordering::Release);
        self.target.wake_reader();
        drop(self.target);
        // Nothing is sent: it is disconnected at the end.
        let _ = self.logged.recv_timeout(END_PATIENCE);
    }
}

fn read_lines(mut source: OutputSource, flow: &Flow, lines: &SyncSender<String>) {
    let mut splitter = LineSplitter::default();
    let mut pass = |line: String| {
        if lines.try_send(line).is_err() {
            flow.left_out.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut buffer = vec![0; READ_BYTES];
    let mut last_reads = 0;
    loop {
        let is_ending = flow.is_ending.load(Ordering::Acquire);
        let count = match source.read(&mut buffer) {
            Ok(0) if is_ending || !source.goes_on() => break,
            Ok(0) => {
                if let Err(error) = source.limit_file() {
                    tracing::warn!("a file of output can grow without limit: {error}");
                }
                thread::sleep(FILE_POLL);
                continue;
            }
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!("cannot read the output of a command: {error}");
                break;
            }
        };
        splitter.push(buffer.get(..count).unwrap_or_default(), &mut pass);
        let is_full = count == buffer.len();
        if is_ending {
            last_reads += 1;
            if !is_full || last_reads >= LAST_READS {
                break;
            }
        } else if is_full {
            thread::sleep(FLOOD_PAUSE);
        }
    }
    splitter.flush(&mut pass);
}

fn log_lines(
    lines: &Receiver<String>,
    flow: &Flow,
    (row, log): &(RowName, OutputLog),
    end: Sender<()>,
) {
    let name = || row.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let report = |count: u64| match count {
        0 => {}
        1 => (log.0)(&name(), "1 line left out"),
        _ => (log.0)(&name(), &format!("{count} lines left out")),
    };
    let mut limit = LineLimit::new(Instant::now());
    loop {
        let line = if limit.has_left_out() {
            lines.recv_timeout(LineLimit::WINDOW)
        } else {
            lines.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let now = Instant::now();
        limit.add_left_out(flow.left_out.swap(0, Ordering::Relaxed));
        report(limit.take_left_out(now));
        match line {
            Ok(line) if limit.allows(now) => (log.0)(&name(), &line),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    report(limit.take_left_out(Instant::now() + LineLimit::WINDOW));
    drop(end);
}

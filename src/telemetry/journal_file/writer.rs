//! The writer thread of the journal, "divvy-journal". The scheduler sends it entries and never
//! waits for it. If the disk is full or read-only, the thread warns once, keeps the lines and
//! retries.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::append::append;
use super::record::{ROTATE_AT, Record, Run};
use crate::telemetry::{Conditions, JournalEntry, JournalReceiver};

/// Pause before a failed write is retried.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Maximum size in bytes of the unwritten lines; above it, the oldest are dropped.
const MAX_PENDING_BYTES: usize = 4 << 20;

/// Key of the condition that the journal cannot be written.
const CONDITION: &str = "journal";

/// Key of the condition that entries are missing from the journal.
const MISSING_CONDITION: &str = "journal entries";

/// Options of a [`JournalWriter`].
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// The state folder; created if missing.
    pub folder: PathBuf,
    /// Header of the run.
    pub run: Run,
    /// File size in bytes at which the journal is rotated; usually [`ROTATE_AT`].
    pub rotate_at: u64,
    /// Pause before a failed write is retried.
    pub again: Duration,
    /// Receives an alert while the journal cannot be written.
    pub conditions: Conditions,
}

impl WriterOptions {
    /// Returns options with the default size and pause.
    pub fn new(folder: PathBuf, run: Run, conditions: Conditions) -> Self {
        Self { folder, run, rotate_at: ROTATE_AT, again: RETRY_PAUSE, conditions }
    }
}

/// Handle of the writer thread. The thread ends once all senders of entries are dropped and it has
/// tried to write the remaining lines.
pub struct JournalWriter {
    ended: Receiver<()>,
}

impl JournalWriter {
    /// Starts the writer thread.
    ///
    /// # Errors
    /// Fails if the system cannot create a thread.
    pub fn start(options: WriterOptions, entries: JournalReceiver) -> io::Result<Self> {
        let (end, ended) = channel();
        std::thread::Builder::new().name("divvy-journal".to_owned()).spawn(move || {
            WriterThread::new(options).run(&entries);
            // fails if the handle was dropped, which is allowed
            let _ = end.send(());
        })?;
        Ok(Self { ended })
    }

    /// Waits at most `patience` for the thread to write the remaining lines. All senders must be
    /// dropped first. Returns true if the thread has ended.
    pub fn finish(self, patience: Duration) -> bool {
        !matches!(self.ended.recv_timeout(patience), Err(RecvTimeoutError::Timeout))
    }
}

/// The state of the writer thread.
struct WriterThread {
    options: WriterOptions,
    header: String,
    /// Lines that are not written yet, oldest first.
    pending: VecDeque<String>,
    pending_bytes: usize,
    /// True if the last write failed.
    failing: bool,
    /// Lines dropped because too many were pending.
    dropped: usize,
    /// Entries that the scheduler dropped because this thread was too slow, as last reported.
    missing: u64,
}

impl WriterThread {
    fn new(options: WriterOptions) -> Self {
        let header = Record::Run(options.run.clone()).line().unwrap_or_default();
        let mut writer = Self {
            options,
            header: header.clone(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            failing: false,
            dropped: 0,
            missing: 0,
        };
        writer.push(header);
        writer
    }

    fn run(mut self, entries: &JournalReceiver) {
        self.write();
        loop {
            let entry = if self.pending.is_empty() {
                entries.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                entries.recv_timeout(self.options.again)
            };
            match entry {
                Ok(entry) => self.add(entry),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return;
                }
            }
            // Write a burst of entries at once.
            for entry in entries.arrived() {
                self.add(entry);
            }
            self.report_missing(entries.dropped());
            self.write();
        }
    }

    /// Reports entries that the scheduler dropped. The condition stays: they are missing from the
    /// file.
    fn report_missing(&mut self, missing: u64) {
        if missing == self.missing {
            return;
        }
        self.missing = missing;
        let message = format!(
            "{missing} changes or verdicts of this run are missing from the journal: the disk of \
             {} is too slow (--state-dir names another folder)",
            self.options.folder.display()
        );
        tracing::warn!("{message}");
        self.options.conditions.raise(MISSING_CONDITION, message);
    }

    fn add(&mut self, entry: Arc<JournalEntry>) {
        let run = self.options.run.id.clone();
        match (Record::Entry { run, entry }).line() {
            Ok(line) => self.push(line),
            Err(error) => tracing::error!("a change could not be put into the journal: {error}"),
        }
    }

    fn push(&mut self, line: String) {
        self.pending_bytes += line.len();
        self.pending.push_back(line);
        while self.pending_bytes > MAX_PENDING_BYTES
            && let Some(oldest) = self.pending.pop_front()
        {
            self.pending_bytes -= oldest.len();
            self.dropped += 1;
        }
    }

    fn write(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let lines: String = self.pending.iter().map(String::as_str).collect();
        let options = &self.options;
        match append(&options.folder, options.rotate_at, &self.header, &lines) {
            Ok(()) => {
                self.pending.clear();
                self.pending_bytes = 0;
                if std::mem::take(&mut self.failing) {
                    self.options.conditions.clear(CONDITION);
                    tracing::warn!(
                        "the journal is written again; {} lines were given up",
                        std::mem::take(&mut self.dropped)
                    );
                }
            }
            Err(error) if !self.failing => {
                self.failing = true;
                let folder = self.options.folder.display();
                let message = format!(
                    "the journal cannot be written to {folder}: {error}; changes work all the \
                     same (--state-dir names another folder)"
                );
                tracing::warn!("{message}");
                self.options.conditions.raise(CONDITION, message);
            }
            Err(_) => {}
        }
    }
}

//! The thread that writes the journal, "divvy-journal". The scheduler hands it entries and never
//! waits for it; a disk that is full or read-only costs one warning, and the lines are kept and
//! tried again.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::append::append;
use super::{ROTATE_AT, Record, Run};
use crate::telemetry::{Conditions, JournalEntry};

/// Time between two tries to write what could not be written.
const AGAIN: Duration = Duration::from_secs(5);

/// Bytes of lines that are kept while they cannot be written; the oldest go first.
const WAITING: usize = 4 << 20;

/// The name under which it raises its condition.
const PART: &str = "journal";

/// How a journal is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// The state folder; made where it is not there.
    pub folder: PathBuf,
    /// The header.
    pub run: Run,
    /// Size in bytes from which a file is rotated; usually [`ROTATE_AT`].
    pub rotate_at: u64,
    /// Time between two tries to write what could not be written.
    pub again: Duration,
    /// Where it says that it cannot write.
    pub conditions: Conditions,
}

impl WriterOptions {
    /// The usual sizes and times.
    pub fn new(folder: PathBuf, run: Run, conditions: Conditions) -> Self {
        Self { folder, run, rotate_at: ROTATE_AT, again: AGAIN, conditions }
    }
}

/// The running writer. It ends when all senders of entries are gone and the rest is written.
pub struct JournalWriter {
    ended: Receiver<()>,
}

impl JournalWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub fn start(options: WriterOptions, entries: Receiver<JournalEntry>) -> io::Result<Self> {
        let (end, ended) = channel();
        std::thread::Builder::new().name("divvy-journal".to_owned()).spawn(move || {
            Writing::new(options).run(&entries);
            // nobody may wait for it
            let _ = end.send(());
        })?;
        Ok(Self { ended })
    }

    /// Waits, at most for `patience`, until everything is written; the senders must be gone. Says
    /// whether the thread has ended.
    pub fn finish(self, patience: Duration) -> bool {
        !matches!(self.ended.recv_timeout(patience), Err(RecvTimeoutError::Timeout))
    }
}

struct Writing {
    options: WriterOptions,
    header: String,
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    failing: bool,
    dropped: usize,
}

impl Writing {
    fn new(options: WriterOptions) -> Self {
        let header = Record::Run(options.run.clone()).line().unwrap_or_default();
        let mut writing = Self {
            options,
            header: header.clone(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            failing: false,
            dropped: 0,
        };
        writing.push(header);
        writing
    }

    fn run(mut self, entries: &Receiver<JournalEntry>) {
        self.write();
        loop {
            let entry = if self.waiting.is_empty() {
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
            // A burst is one write.
            for entry in entries.try_iter() {
                self.add(entry);
            }
            self.write();
        }
    }

    fn add(&mut self, entry: JournalEntry) {
        let run = self.options.run.id.clone();
        match (Record::Entry { run, entry: Box::new(entry) }).line() {
            Ok(line) => self.push(line),
            Err(error) => tracing::error!("a change could not be put into the journal: {error}"),
        }
    }

    fn push(&mut self, line: String) {
        self.waiting_bytes += line.len();
        self.waiting.push_back(line);
        while self.waiting_bytes > WAITING
            && let Some(gone) = self.waiting.pop_front()
        {
            self.waiting_bytes -= gone.len();
            self.dropped += 1;
        }
    }

    fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let lines: String = self.waiting.iter().map(String::as_str).collect();
        let options = &self.options;
        match append(&options.folder, options.rotate_at, &self.header, &lines) {
            Ok(()) => {
                self.waiting.clear();
                self.waiting_bytes = 0;
                if std::mem::take(&mut self.failing) {
                    self.options.conditions.clear(PART);
                    tracing::warn!(
                        "the journal is written again; {} lines were given up",
                        std::mem::take(&mut self.dropped)
                    );
                }
            }
            Err(error) if !self.failing => {
                self.failing = true;
                let folder = self.options.folder.display();
                let sentence = format!(
                    "the journal cannot be written to {folder}: {error}; changes work all the \
                     same (--state-dir names another folder)"
                );
                tracing::warn!("{sentence}");
                self.options.conditions.raise(PART, sentence);
            }
            Err(_) => {}
        }
    }
}

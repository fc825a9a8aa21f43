//! What a run leaves behind in the state folder: its journal, its live layout, its log. None of them
//! is worth a failed start: what cannot be kept is told, and the run goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tokio::sync::watch;

use super::autosave::{Autosave, Begin, Kept, Origin};
use super::log;
use super::sources::Wanted;
use crate::command::{CommandError, state_folder};
use crate::machine::Description;
use crate::scheduler::Control;
use crate::telemetry::journal_file::{JournalWriter, Run, WriterOptions};
use crate::telemetry::{Conditions, Entry, LogLines};

/// The file for what is written to standard error while the console has the screen.
const STDERR: &str = "stderr.log";

/// How long the last lines of the journal may take at the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keepers of one run.
pub(super) struct Keeping {
    folder: PathBuf,
    conditions: Conditions,
    log: LogLines,
    kept: Option<Kept>,
    offer: Option<String>,
    last_words: Option<String>,
    autosave: Option<Autosave>,
    origin: watch::Sender<Origin>,
    writer: Option<JournalWriter>,
}

impl Keeping {
    /// Begins with the log; `screen` says whether the console will have the terminal.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] for a `DIVVY_LOG` that is no filter.
    pub(super) fn open(folder: PathBuf, screen: bool) -> Result<Self, CommandError> {
        let conditions = Conditions::default();
        if let Err(reason) = state_folder::make(&folder) {
            conditions.raise("state folder", reason);
        }
        let log = LogLines::default();
        match log::start(screen.then_some(folder.as_path()), &log) {
            Err(CommandError::Failed(reason)) => conditions.raise("log", reason),
            other => other?,
        }
        let kept = Kept::open(&folder).map_err(|reason| conditions.raise("autosave", reason)).ok();
        let offer = kept.as_ref().and_then(Kept::offer);
        let last_words = kept.as_ref().filter(|_| offer.is_some());
        let last_words = last_words.and_then(|kept| kept.last_words(&folder.join(STDERR)));
        let (autosave, writer, origin) = (None, None, watch::Sender::default());
        Ok(Self { folder, conditions, log, kept, offer, last_words, autosave, origin, writer })
    }

    /// The standing troubles that snapshots tell.
    pub(super) fn conditions(&self) -> Conditions {
        self.conditions.clone()
    }

    /// The newest lines of the log, while the console has the screen.
    pub(super) fn log(&self) -> LogLines {
        self.log.clone()
    }

    /// The file that takes what is written to standard error while the console has the screen.
    pub(super) fn stderr(&self) -> PathBuf {
        self.folder.join(STDERR)
    }

    /// What to say when a crash has left a layout.
    pub(super) fn offer(&self) -> Option<String> {
        self.offer.clone()
    }

    /// What to say besides, where a library may have told why.
    pub(super) fn last_words(&self) -> Option<String> {
        self.last_words.clone()
    }

    /// The layout for `--last`.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] when none is kept, or it has faults.
    pub(super) fn last(&self) -> Result<Wanted, CommandError> {
        let Some(kept) = &self.kept else {
            let told: Vec<String> =
                self.conditions.alerts().into_iter().map(|alert| alert.text).collect();
            return Err(CommandError::BadInput(format!("--last: {}", told.join("; "))));
        };
        kept.last()
    }

    /// Starts the journal; the sender is for the scheduler. `None` when no thread could be started.
    pub(super) fn journal(&mut self, machine: &Description, title: &str) -> Option<Sender<Entry>> {
        let allowed = machine.limits.allowed.len();
        let all = machine.topology.cores.len();
        let mark = if machine.simulated { " (simulated)" } else { "" };
        let run = Run::begin(format!("{allowed} of {all} cores{mark}"), title.to_owned());
        let options = WriterOptions::new(self.folder.clone(), run, self.conditions.clone());
        let (sender, entries) = channel();
        match JournalWriter::start(options, entries) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => {
                self.conditions.raise("journal", format!("no journal is written: {error}"));
                return None;
            }
        }
        Some(sender)
    }

    /// Starts to keep the live layout. `restored`: it is the one of [`Keeping::last`].
    pub(super) fn autosave(&mut self, wanted: &Wanted, restored: bool, control: Arc<dyn Control>) {
        self.origin.send_replace(Origin::new(wanted.title.clone(), wanted.path.clone()));
        let Some(kept) = self.kept.take() else { return };
        let origin = self.origin.subscribe();
        let begin = Begin { document: wanted.document.clone(), origin, restored };
        match Autosave::start(kept, begin, control, self.conditions.clone()) {
            Ok(autosave) => self.autosave = autosave,
            Err(error) => {
                self.conditions.raise("autosave", format!("the live layout is not kept: {error}"));
            }
        }
    }

    /// Where to tell which saved layout the live one is.
    pub(super) fn origin(&self) -> watch::Sender<Origin> {
        self.origin.clone()
    }

    /// Ends the run's records, after the scheduler has stopped.
    pub(super) fn finish(self, control: &dyn Control) {
        if let Some(autosave) = self.autosave {
            autosave.finish(control);
        }
        if let Some(writer) = self.writer
            && !writer.finish(PATIENCE)
        {
            tracing::warn!("the last lines of the journal are still being written");
        }
    }
}

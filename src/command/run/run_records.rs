//! The records of a run in the state folder: its journal, its live layout, its log.
//!
//! None of them is worth a failed start: a record that cannot be written becomes an alert.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::args::DisplayMode;
use super::autosave::{Autosave, AutosaveStart, SAVE_DELAY};
use super::last_session::LastSession;
use super::live_layout::{LayoutOrigin, LiveLayoutFiles};
use super::log;
use super::named_layout::NamedLayout;
use super::run_limits::RunLimits;
use super::startup_layout::StartupLayout;
use crate::command::{CommandError, restore, state_folder};
use crate::machine::Description;
use crate::process::ProcessHost;
use crate::scheduler::Control;
use crate::telemetry::journal_file::{JournalWriter, Run, WriterOptions};
use crate::telemetry::{Conditions, JournalChannel, JournalSender, LogLines};

/// The file of standard error while the console uses the terminal.
const STDERR_FILE: &str = "stderr.log";

/// Longest wait at the end of a run for the last lines of the journal to be written.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The layout of the last run: restored by `--last`, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restore {
    /// Another layout runs.
    No,
    /// The layout of the last run is restored.
    Last,
    /// The layout of the last run of the same name is restored, by `--resume`.
    Named,
}

/// The records of one run.
pub(super) struct RunRecords {
    folder: PathBuf,
    conditions: Conditions,
    log: LogLines,
    live_layout: Option<LiveLayoutFiles>,
    last_session: LastSession,
    /// Messages about state files that were set aside.
    notices: Vec<String>,
    /// The offer to restore the layout of a crashed run.
    offer: Option<String>,
    /// The message about what native libraries wrote before the crash.
    stderr_notice: Option<String>,
    /// The offer to restore processes that a run has changed which did not end cleanly.
    process_offer: Option<String>,
    autosave: Option<Autosave>,
    origin: watch::Sender<LayoutOrigin>,
    limits: Arc<RunLimits>,
    journal: Option<JournalWriter>,
}

impl RunRecords {
    /// Starts the log and reads the records of earlier runs.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] for an invalid `DIVVY_LOG`.
    pub(super) fn open(folder: PathBuf, mode: DisplayMode) -> Result<Self, CommandError> {
        let conditions = Conditions::default();
        if let Err(reason) = state_folder::create(&folder) {
            conditions.raise("state folder", reason);
        }
        let log = LogLines::default();
        let log_folder = (mode == DisplayMode::Console).then_some(folder.as_path());
        match log::start(log_folder, &log) {
            Err(CommandError::Failed(reason)) => conditions.raise("log", reason),
            other => other?,
        }
        let live_layout = LiveLayoutFiles::open(&folder)
            .map_err(|reason| conditions.raise("autosave", reason))
            .ok();
        let mut notices: Vec<String> =
            live_layout.iter().flat_map(|files| files.notices().to_vec()).collect();
        let mut last_session = LastSession::default();
        if mode == DisplayMode::Console {
            let (session, notice) = LastSession::read(&folder);
            last_session = session;
            notices.extend(notice);
        }
        let offer = live_layout.as_ref().and_then(LiveLayoutFiles::offer);
        let stderr_notice = live_layout
            .as_ref()
            .filter(|_| offer.is_some())
            .and_then(|files| files.stderr_notice(&folder.join(STDERR_FILE)));
        let process_offer = restore::offer(&ProcessHost::leftovers(&folder));
        let limits = Arc::new(RunLimits::new(conditions.clone()));
        Ok(Self {
            folder,
            conditions,
            log,
            live_layout,
            last_session,
            notices,
            offer,
            stderr_notice,
            process_offer,
            autosave: None,
            origin: watch::Sender::default(),
            limits,
            journal: None,
        })
    }

    /// Returns the state folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the standing problems, which snapshots show as alerts.
    pub(super) fn conditions(&self) -> Conditions {
        self.conditions.clone()
    }

    /// Returns the newest lines of the log.
    pub(super) fn log(&self) -> LogLines {
        self.log.clone()
    }

    /// Returns the file of standard error while the console uses the terminal.
    pub(super) fn stderr_file(&self) -> PathBuf {
        self.folder.join(STDERR_FILE)
    }

    /// Returns the last console session.
    pub(super) fn last_session(&self) -> &LastSession {
        &self.last_session
    }

    /// Returns messages for the user about earlier runs: files that were set aside and, unless the
    /// layout of a crashed run is restored, the offer to restore it.
    pub(super) fn notices(&self, restore: Restore) -> Vec<String> {
        let mut notices = self.notices.clone();
        notices.extend(self.process_offer.clone());
        if restore == Restore::No {
            notices.extend(self.offer.iter().chain(&self.stderr_notice).cloned());
        }
        notices
    }

    /// Returns the layout for `--last`.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] when there is none, or it has faults.
    pub(super) fn last_layout(&self) -> Result<StartupLayout, CommandError> {
        let Some(files) = &self.live_layout else {
            let reasons: Vec<String> =
                self.conditions.alerts().into_iter().map(|alert| alert.text).collect();
            return Err(CommandError::BadInput(format!("--last: {}", reasons.join("; "))));
        };
        files.last()
    }

    /// Starts the journal and returns the sender of its entries; `None` if it cannot be started.
    pub(super) fn start_journal(
        &mut self,
        machine: &Description,
        title: &str,
    ) -> Option<JournalSender> {
        let allowed = machine.limits.allowed.len();
        let all = machine.topology.cores.len();
        let mark = if machine.simulated { " (simulated)" } else { "" };
        let run = Run::begin(format!("{allowed} of {all} cores{mark}"), title.to_owned());
        let options = WriterOptions::new(self.folder.clone(), run, self.conditions.clone());
        let JournalChannel { sender, receiver } = JournalChannel::default();
        match JournalWriter::start(options, receiver) {
            Ok(writer) => self.journal = Some(writer),
            Err(error) => {
                self.conditions.raise("journal", format!("the journal is not written: {error}"));
                return None;
            }
        }
        Some(sender)
    }

    /// Starts to save the live layout.
    pub(super) fn start_autosave(
        &mut self,
        layout: &StartupLayout,
        (restore, name): (Restore, &str),
        control: Arc<dyn Control>,
    ) {
        let origin = LayoutOrigin::new(layout.title.clone(), layout.path.clone());
        let revision = layout.opened.as_ref().map(|opened| opened.revision.clone());
        self.origin.send_replace(origin.with_revision(revision));
        let Some(files) = self.live_layout.take() else { return };
        let start = AutosaveStart {
            document: layout.document.clone(),
            origin: self.origin.subscribe(),
            limits: self.limits.clone(),
            restored: restore == Restore::Last,
            named: Some(NamedLayout::new(&self.folder, name)),
            delay: SAVE_DELAY,
        };
        match Autosave::start(files, start, control, self.conditions.clone()) {
            Ok(autosave) => self.autosave = autosave,
            Err(error) => {
                self.conditions.raise("autosave", format!("the live layout is not saved: {error}"));
            }
        }
    }

    /// Returns the limits of the server.
    pub(super) fn limits(&self) -> Arc<RunLimits> {
        self.limits.clone()
    }

    /// Returns the sender of the saved layout from which the live one comes.
    pub(super) fn origin(&self) -> watch::Sender<LayoutOrigin> {
        self.origin.clone()
    }

    /// Ends the records, after the scheduler has stopped.
    pub(super) fn finish(self, control: &dyn Control) {
        if let Some(autosave) = self.autosave {
            autosave.finish(control);
        }
        if let Some(journal) = self.journal
            && !journal.finish(JOURNAL_TIMEOUT)
        {
            tracing::warn!("the last lines of the journal are still being written");
        }
    }
}

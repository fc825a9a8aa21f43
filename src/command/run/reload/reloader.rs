//! The state between two reloads, and one reload.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::layout_reload::{RowReload, model_file};
use super::model_files::ModelFiles;
use crate::command::model_names::{NameScope, read_model_names};
use crate::command::run::live_layout::LayoutOrigin;
use crate::command::run::run_limits::RunLimits;
use crate::command::run::run_tokens::RunTokens;
use crate::command::run::service::ServiceManager;
use crate::command::run::startup_layout::{StartupLayout, first_fault};
use crate::control::api::ReloadAnswer;
use crate::layout::{Document, Faults, FileCheck, Layout};
use crate::machine::Description;
use crate::scheduler::{Control, LayoutRevision};
use crate::telemetry::Conditions;

/// The name of the standing problem after a reload with faults.
const CONDITION: &str = "reload";

/// The parts of a run that a reload reads and changes.
pub(in crate::command::run) struct ReloadSources {
    /// The scheduler.
    pub control: Arc<dyn Control>,
    /// The machine.
    pub machine: Description,
    /// True if layouts are scaled to the machine (`--fit`).
    pub fits: bool,
    /// The limits of the server.
    pub limits: Arc<RunLimits>,
    /// The saved layout from which the live one comes.
    pub origin: watch::Sender<LayoutOrigin>,
    /// The standing problems of the run.
    pub conditions: Conditions,
    /// The service manager, which is told of reloads.
    pub service: ServiceManager,
    /// The tokens of clients.
    pub tokens: RunTokens,
}

/// Reloads a run. Each reload is one transaction: if anything has a fault, nothing changes.
pub(in crate::command::run) struct Reloader {
    sources: ReloadSources,
    state: Mutex<ReloadState>,
}

#[derive(Default)]
struct ReloadState {
    file: Option<ReadFile>,
    /// The files of the models as they were when they were loaded.
    models: BTreeMap<PathBuf, ModelFiles>,
}

/// A layout file as it was read last.
struct ReadFile {
    path: PathBuf,
    revision: Option<LayoutRevision>,
    layout: Layout,
}

impl Reloader {
    /// The reloads of a run that has opened this layout. `base` is the layout that its file had in the run that
    /// is resumed.
    pub(in crate::command::run) fn new(
        (opened, base): (&StartupLayout, Option<&Layout>),
        sources: ReloadSources,
    ) -> Self {
        let reloader = Self { sources, state: Mutex::default() };
        let live = reloader.sources.control.layout();
        let file = opened.path.as_ref().map(|path| {
            let saved = opened.opened.as_ref();
            let layout = match saved.map(|saved| &saved.layout).or(base) {
                Some(layout) => Some(reloader.fitted_layout(layout)),
                // of a restored layout whose file has changed since, the file as it is now counts as read
                None => reloader.read(path).ok().map(|(_, layout)| layout),
            };
            ReadFile {
                path: std::path::absolute(path).unwrap_or_else(|_| path.clone()),
                revision: saved.map(|saved| saved.revision.clone()),
                layout: layout.unwrap_or_else(|| live.clone()),
            }
        });
        {
            let mut state = reloader.state();
            state.file = file;
            state.note_models(&live);
        }
        reloader
    }

    fn state(&self) -> MutexGuard<'_, ReloadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the layout file that is watched.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.state().file.as_ref().map(|file| file.path.clone())
    }

    /// Returns true if the layout file has another text than the one that was read or saved last.
    pub(in crate::command::run) fn has_new_text(&self) -> bool {
        let state = self.state();
        let Some(file) = &state.file else { return false };
        let text = std::fs::read_to_string(&file.path);
        // a file that cannot be read has a fault to report
        text.map_or(true, |text| file.revision != Some(LayoutRevision::of(&text)))
    }

    /// Takes note of the files of models that are new.
    pub(super) fn note_models(&self) {
        let live = self.sources.control.layout();
        self.state().note_models(&live);
    }

    /// Takes note of the layout that divvy has saved or opened since.
    pub(super) fn note_origin(&self) {
        let origin = self.sources.origin.borrow().clone();
        let mut state = self.state();
        let Some(path) = origin.file() else {
            // a layout that has not been saved yet
            if state.file.is_some() {
                state.file = None;
            }
            return;
        };
        let is_known = state
            .file
            .as_ref()
            .is_some_and(|file| file.path == path && file.revision.as_ref() == origin.revision());
        if is_known || origin.revision().is_none() {
            return;
        }
        let read = self.read(path).ok();
        let is_same = |read: &(Document, Layout)| {
            Some(&LayoutRevision::of(read.0.text())) == origin.revision()
        };
        // if another program has changed it since, the live layout is what divvy has saved or opened
        let layout = match read.filter(is_same) {
            Some((_, layout)) => layout,
            None => self.sources.control.layout(),
        };
        let revision = origin.revision().cloned();
        state.file = Some(ReadFile { path: path.to_owned(), revision, layout });
    }

    /// Reloads. Reports the result to the log and, if something is wrong, as an alert.
    ///
    /// # Errors
    /// The faults; nothing has changed then.
    pub(in crate::command::run) fn reload(&self) -> Result<ReloadAnswer, String> {
        let service = &self.sources.service;
        service.reloading();
        self.note_origin();
        let result = self.reload_all();
        service.ready();
        let conditions = &self.sources.conditions;
        match &result {
            Ok(answer) => {
                for line in answer.lines() {
                    tracing::info!("reload: {line}");
                }
                if answer.kept.is_empty() {
                    conditions.clear(CONDITION);
                } else {
                    let kept = answer.kept.join("; ");
                    let text = format!("reload: changed in the file and here, and kept: {kept}");
                    tracing::warn!("{text}");
                    conditions.raise(CONDITION, text);
                }
            }
            Err(ReloadFault { report, summary }) => {
                tracing::error!("nothing was reloaded: {report}");
                conditions.raise(CONDITION, format!("nothing was reloaded: {summary}"));
            }
        }
        result.map_err(|fault| fault.report)
    }

    fn reload_all(&self) -> Result<ReloadAnswer, ReloadFault> {
        let ReloadSources { control, limits, origin, tokens, .. } = &self.sources;
        let new_tokens = tokens.reread()?;
        let mut state = self.state();
        let path = state.file.as_ref().map(|file| file.path.clone());
        let read = path.map(|path| self.read(&path)).transpose()?;
        let live = control.layout();
        let replaced = state.replaced_models(&live);
        let base = state.file.as_ref().map_or(&live, |file| &file.layout);
        let file = read.as_ref().map_or(&live, |(_, layout)| layout);
        let rows = RowReload { base, file, replaced: &replaced }.apply(&**control)?;
        // nothing fails from here on
        if let (Some(file), Some((document, layout))) = (&mut state.file, read) {
            let revision = LayoutRevision::of(document.text());
            file.revision = Some(revision.clone());
            file.layout = layout;
            let title = origin.borrow().title.clone();
            limits.switch(&title, document.server());
            origin.send_if_modified(|origin| {
                let is_new = origin.revision() != Some(&revision);
                *origin = std::mem::take(origin).with_revision(Some(revision));
                is_new
            });
        }
        let new_tokens = tokens.replace(new_tokens);
        state.models.clear();
        state.note_models(&control.layout());
        let applied = rows.applied;
        let replaced = if applied.is_some() { replaced } else { Vec::new() };
        Ok(ReloadAnswer {
            applied,
            kept: rows.kept,
            replaced,
            new_token: new_tokens.clients,
            new_control_token: new_tokens.control,
        })
    }

    /// Reads a layout file and checks it against the machine and the models. Returns it with the layout that
    /// is to run.
    fn read(&self, path: &Path) -> Result<(Document, Layout), ReloadFault> {
        let document = Layout::read(path, FileCheck::Skipped)?;
        let names = read_model_names(document.layout(), NameScope::ReadableRows);
        document.check_models(&names)?;
        let layout = if self.sources.fits {
            document.fit(&self.sources.machine).layout
        } else {
            document.check(&self.sources.machine)?;
            document.layout().clone()
        };
        Ok((document, layout))
    }

    fn fitted_layout(&self, layout: &Layout) -> Layout {
        let document = self.sources.fits.then(|| Document::from_layout(layout.clone()).ok());
        match document.flatten() {
            Some(document) => document.fit(&self.sources.machine).layout,
            None => layout.clone(),
        }
    }
}

/// The reason why nothing was reloaded.
struct ReloadFault {
    /// All faults with their places, for the log and the command line.
    report: String,
    /// The first one in a line, for the alert.
    summary: String,
}

impl From<String> for ReloadFault {
    fn from(reason: String) -> Self {
        Self { summary: reason.lines().next().unwrap_or_default().to_owned(), report: reason }
    }
}

impl From<Faults> for ReloadFault {
    fn from(faults: Faults) -> Self {
        Self { report: faults.to_string(), summary: first_fault(&faults) }
    }
}

impl ReloadState {
    fn note_models(&mut self, live: &Layout) {
        for path in live.models.iter().filter_map(|row| model_file(&row.source)) {
            if !self.models.contains_key(path) {
                self.models.insert(path.to_owned(), ModelFiles::read(path));
            }
        }
    }

    /// Returns the models whose files are other ones than those that were loaded.
    fn replaced_models(&self, live: &Layout) -> Vec<String> {
        let is_replaced = |path: &Path| self.models.get(path).is_some_and(ModelFiles::are_replaced);
        let rows = live.models.iter();
        let replaced = rows.filter(|row| model_file(&row.source).is_some_and(is_replaced));
        replaced.map(|row| row.name.clone()).collect()
    }
}

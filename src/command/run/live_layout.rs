//! The live layout in the state folder, from which a run is restored after a crash.
//!
//! `live.toml` is the layout of the current or last run. `live.json` records which saved layout it
//! is and whether that run ended cleanly. After a crash the pair is renamed to `crashed.*`, until
//! `--last` loads it or a later run with changes ends cleanly.
//!
//! Runs at the same time each have files of their own: the second one has `live-2.*`, and so on.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::preload::RequiredModels;
use super::saved_layout;
use super::startup_layout::StartupLayout;
use super::state_file::{self, StateFileError};
use crate::command::{CommandError, state_folder};
use crate::layout::{Document, FileCheck, Layout};
use crate::scheduler::{CurrentLayout, LayoutRevision};

/// The title of a layout that is saved nowhere.
pub(super) const UNNAMED: &str = "unnamed";

/// The saved layout from which the live layout comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LayoutOrigin {
    /// Its file, absolute, if it has one.
    from: Option<PathBuf>,
    /// Its title on the screen.
    pub title: String,
    /// The revision of the file that was opened or saved last, if the run did either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<LayoutRevision>,
}

impl LayoutOrigin {
    /// An origin of this title and file.
    pub(super) fn new(title: String, from: Option<PathBuf>) -> Self {
        // a later run may start in another folder
        let from = from.map(|path| std::path::absolute(&path).unwrap_or(path));
        Self { from, title, revision: None }
    }

    /// Returns its file.
    pub(super) fn file(&self) -> Option<&Path> {
        self.from.as_deref()
    }

    /// Returns the revision of the file that was opened or saved last.
    pub(super) fn revision(&self) -> Option<&LayoutRevision> {
        self.revision.as_ref()
    }

    /// Adds the revision of the file that was opened or saved last.
    pub(super) fn with_revision(self, revision: Option<LayoutRevision>) -> Self {
        Self { revision, ..self }
    }

    /// Returns the layout by its name in the store.
    pub(super) fn current(&self) -> CurrentLayout {
        let name = Some(self.title.clone()).filter(|title| title != UNNAMED);
        CurrentLayout { name, revision: self.revision.clone() }
    }
}

/// The content of `live.json` and `crashed.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LiveLayoutInfo {
    /// Version of this format; files of divvy 0.1.0 have none.
    #[serde(default)]
    version: u32,
    /// The saved layout.
    #[serde(flatten)]
    pub origin: LayoutOrigin,
    /// True if the user changed the layout in its run.
    pub changed: bool,
    /// True if its run ended cleanly.
    pub clean: bool,
}

impl LiveLayoutInfo {
    /// The format version that this build writes, and the newest that it reads.
    const VERSION: u32 = 1;

    /// The information about a run that has not ended, without changes.
    pub(super) fn new(origin: LayoutOrigin) -> Self {
        Self { version: Self::VERSION, origin, changed: false, clean: false }
    }

    /// The information about a layout whose JSON file was not written yet.
    fn unknown() -> Self {
        Self::new(LayoutOrigin::new(UNNAMED.to_owned(), None))
    }
}

/// The maximum number of runs that save their layouts in one state folder at the same time.
const MAX_RUNS: usize = 16;

/// The number of a run among those that use a state folder at the same time, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RunNumber(usize);

impl RunNumber {
    fn all() -> impl Iterator<Item = Self> {
        (1..=MAX_RUNS).map(Self)
    }

    /// Returns the run's file name for `live.toml` and the like.
    fn file(self, name: &str, extension: &str) -> String {
        match self.0 {
            1 => format!("{name}.{extension}"),
            number => format!("{name}-{number}.{extension}"),
        }
    }
}

/// The files of live layouts in a state folder.
pub(super) struct LiveLayoutFiles {
    folder: PathBuf,
    run: RunNumber,
    /// The lock of this run's files; `None` if too many others use the folder.
    lock: Option<File>,
    /// Messages about files that were set aside.
    notices: Vec<String>,
}

impl Drop for LiveLayoutFiles {
    fn drop(&mut self) {
        // closing is not enough: a child process that is just being started still has the file open
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

impl LiveLayoutFiles {
    /// Opens the folder, which is created if needed, and takes the first number that no other run
    /// has. Renames the layouts of crashed runs to `crashed.*`, and sets files aside that this divvy
    /// cannot read.
    ///
    /// # Errors
    /// A message when the folder cannot be created or written.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        state_folder::create(folder)?;
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        let mut files = Self::unlocked(folder);
        for run in RunNumber::all() {
            // later numbers have files only if that many runs were there at once
            let is_used = || files.folder.join(run.file("live", "toml")).exists();
            if files.lock.is_some() && !is_used() {
                continue;
            }
            let lock = File::create(folder.join(run.file("live", "lock"))).map_err(failed)?;
            if lock.try_lock().is_err() {
                continue;
            }
            for name in ["live", "crashed"] {
                files.set_aside_unreadable(run, name).map_err(failed)?;
            }
            files.keep_crashed(run).map_err(failed)?;
            if files.lock.is_none() {
                (files.run, files.lock) = (run, Some(lock));
            } else {
                lock.unlock().map_err(failed)?;
            }
        }
        files.note_other_runs();
        Ok(files)
    }

    fn unlocked(folder: &Path) -> Self {
        let notices = Vec::new();
        Self { folder: folder.to_path_buf(), run: RunNumber(1), lock: None, notices }
    }

    /// Adds a notice if this run is not the only one in the folder.
    fn note_other_runs(&mut self) {
        let file = match (&self.lock, self.run) {
            (Some(_), RunNumber(1)) => return,
            (Some(_), run) => format!("autosaved as {}", run.file("live", "toml")),
            (None, _) => "not autosaved".to_owned(),
        };
        self.notices.push(format!(
            "another divvy uses the state folder {}; the layout of this run is {file}",
            self.folder.display()
        ));
    }

    /// A view of a folder without its lock.
    #[cfg(test)]
    pub(super) fn without_lock(folder: &Path) -> Self {
        Self::unlocked(folder)
    }

    /// Returns true if this run saves its layout in the folder.
    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns messages about files that were set aside.
    pub(super) fn notices(&self) -> &[String] {
        &self.notices
    }

    fn path(&self, run: RunNumber, name: &str, extension: &str) -> PathBuf {
        self.folder.join(run.file(name, extension))
    }

    /// Reads the information about `live` or `crashed`; `None` without such a layout.
    ///
    /// # Errors
    /// [`StateFileError`] when this divvy cannot use one of the two files.
    fn read_info(
        &self,
        run: RunNumber,
        name: &str,
    ) -> Result<Option<LiveLayoutInfo>, StateFileError> {
        let layout = self.path(run, name, "toml");
        let info = state_file::read(&self.path(run, name, "json"), LiveLayoutInfo::VERSION)?;
        if !layout.is_file() {
            return Ok(None);
        }
        check_layout_file(&layout)?;
        Ok(Some(info.unwrap_or_else(LiveLayoutInfo::unknown)))
    }

    /// Returns the information about this run's usable layout.
    #[cfg(test)]
    pub(super) fn info(&self, name: &str) -> Option<LiveLayoutInfo> {
        self.info_of(self.run, name)
    }

    /// Returns the information about a usable layout.
    fn info_of(&self, run: RunNumber, name: &str) -> Option<LiveLayoutInfo> {
        self.read_info(run, name).ok().flatten()
    }

    /// Returns the runs with such a layout, the newest first.
    fn newest_first(&self, name: &str) -> Vec<RunNumber> {
        let time = |run: &RunNumber| {
            let layout = fs::metadata(self.path(*run, name, "toml"));
            layout.and_then(|found| found.modified()).ok()
        };
        let mut runs: Vec<RunNumber> = RunNumber::all().filter(|run| time(run).is_some()).collect();
        runs.sort_by_key(|run| std::cmp::Reverse(time(run)));
        runs
    }

    /// Returns the newest layout of a crashed run, and the number of all.
    fn newest_crashed(&self) -> Option<(RunNumber, LiveLayoutInfo, usize)> {
        let runs = self.newest_first("crashed");
        let infos = runs.iter().filter_map(|run| Some((*run, self.info_of(*run, "crashed")?)));
        let infos: Vec<_> = infos.collect();
        let count = infos.len();
        infos.into_iter().next().map(|(run, info)| (run, info, count))
    }

    /// Renames the files of a layout that this divvy cannot use.
    fn set_aside_unreadable(&mut self, run: RunNumber, name: &str) -> io::Result<()> {
        let Err(error) = self.read_info(run, name) else { return Ok(()) };
        let mut kept = Vec::new();
        for extension in ["toml", "json"] {
            let path = self.path(run, name, extension);
            if path.exists() {
                kept.push(state_file::set_aside(&path)?.display().to_string());
            }
        }
        let notice = format!(
            "the layout of an earlier run ({}) is not offered: {error}; it was kept as {}",
            self.path(run, name, "json").display(),
            kept.join(" and "),
        );
        tracing::warn!("{notice}");
        self.notices.push(notice);
        Ok(())
    }

    fn keep_crashed(&self, run: RunNumber) -> io::Result<()> {
        let Some(live) = self.info_of(run, "live").filter(|info| !info.clean) else {
            return Ok(());
        };
        // a run without changes does not replace a crashed layout that is still offered
        if live.changed || self.info_of(run, "crashed").is_none() {
            fs::rename(self.path(run, "live", "toml"), self.path(run, "crashed", "toml"))?;
            let info = self.path(run, "live", "json");
            if info.exists() {
                fs::rename(info, self.path(run, "crashed", "json"))?;
            }
        }
        Ok(())
    }

    /// Returns the message that offers the layout of a crashed run.
    pub(super) fn offer(&self) -> Option<String> {
        let (_, info, count) = self.newest_crashed()?;
        let title = info.origin.title;
        Some(match count {
            1 => format!(
                "the last run of {title} did not end cleanly; `divvy --last` restores its layout"
            ),
            _ => format!(
                "{count} runs did not end cleanly; `divvy --last` restores the layout of the newest, \
                 {title}, and then the others in turn"
            ),
        })
    }

    /// Returns the message that names `path`, the file of standard error, if it was written after
    /// the crashed layout.
    pub(super) fn stderr_notice(&self, path: &Path) -> Option<String> {
        let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        let has_text = fs::metadata(path).is_ok_and(|found| found.len() > 0);
        let (crashed, ..) = self.newest_crashed()?;
        let layout = self.path(crashed, "crashed", "toml");
        (has_text && modified(path)? >= modified(&layout)?).then(|| {
            format!("messages of native libraries before the crash are in {}", path.display())
        })
    }

    /// Returns the layout for `--last`: that of a crashed run, else that of the last run.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] when there is none, or it has faults.
    pub(super) fn last(&self) -> Result<StartupLayout, CommandError> {
        let runs = |name| self.newest_first(name).into_iter().map(move |run| (run, name));
        // the newest live layout may be that of another run, which still goes on
        for (run, name) in runs("crashed").chain([(self.run, "live")]).chain(runs("live")) {
            let path = self.path(run, name, "toml");
            let info = self.read_info(run, name).map_err(|error| {
                CommandError::BadInput(format!("--last: {}: {error}", path.display()))
            })?;
            let Some(info) = info else { continue };
            let document = Layout::read(&path, FileCheck::Skipped)
                .map_err(|faults| CommandError::BadInput(faults.to_string()))?;
            let LayoutOrigin { from, title, revision } = info.origin;
            let file = from.as_deref().zip(revision.as_ref());
            let opened = file.and_then(|(path, revision)| saved_layout::unchanged(path, revision));
            let required = RequiredModels::Any;
            return Ok(StartupLayout { document, path: from, title, required, opened });
        }
        let mut message =
            format!("--last: no run has left a layout in {} yet", self.folder.display());
        for notice in &self.notices {
            message.push_str("\ndivvy: ");
            message.push_str(notice);
        }
        Err(CommandError::BadInput(message))
    }

    /// Writes both files.
    ///
    /// # Errors
    /// A message when one cannot be written.
    pub(super) fn save(
        &self,
        document: &Document,
        layout: &Layout,
        info: &LiveLayoutInfo,
    ) -> Result<(), String> {
        // without models there is nothing to restore, and no valid layout: the last one with models
        // stays
        if !layout.models.is_empty() {
            let path = self.path(self.run, "live", "toml");
            document.save(layout, &path).map_err(|error| error.to_string())?;
        }
        let path = self.path(self.run, "live", "json");
        state_file::write(&path, info).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Removes the layout of the crashed run that was offered, the newest.
    pub(super) fn remove_crashed(&self) {
        let Some((run, ..)) = self.newest_crashed() else { return };
        for extension in ["json", "toml"] {
            // without its JSON file, the layout is still offered
            let _ = fs::remove_file(self.path(run, "crashed", extension));
        }
    }
}

/// Checks that a layout file is TOML of a version that this divvy reads. Other faults, such as a
/// missing model, can be repaired and don't make it unusable.
fn check_layout_file(path: &Path) -> Result<(), StateFileError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let error = error.to_string();
        StateFileError::Unreadable(error.lines().next().unwrap_or_default().to_owned())
    };
    let text = fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| unreadable(&error.message()))?;
    let version = table.get("version").and_then(toml::Value::as_integer).unwrap_or_default();
    let newest = u32::try_from(Layout::VERSION).unwrap_or(u32::MAX);
    match u64::try_from(version) {
        Ok(found) if found > u64::from(newest) => Err(StateFileError::Newer { found, newest }),
        _ => Ok(()),
    }
}

//! The saved layouts: the file that was opened, the user's folder, `layouts/` in the current folder,
//! and the demo in the executable.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etcetera::BaseStrategy;
use tokio::sync::watch;

use super::lasting_rows::lasting;
use super::live_layout::{LayoutOrigin, UNNAMED};
use super::run_limits::RunLimits;
use super::saved_layout;
use super::startup_layout::{DEMO, demo_document};
use crate::layout::{Document, Faults, FileCheck, Layout, ServerKeys};
use crate::scheduler::{
    CurrentLayout, LayoutRevision, LayoutStore, LayoutStoreError, Profile, SaveCondition,
    SaveReceipt, SavedLayout,
};

/// The name of a layout and its file.
type NamedFile = (String, PathBuf);

/// The saved layouts in folders.
pub(in crate::command) struct LayoutFolders {
    /// The layout that was opened, wherever it is.
    opened: Option<NamedFile>,
    /// The folder of new layouts.
    home: PathBuf,
    /// Further folders that are searched.
    others: Vec<PathBuf>,
    /// The layout of an earlier run; layouts of the same name in the folders hide it.
    last: Option<NamedFile>,
    /// Receives the saved layout from which the live one comes.
    origin: Option<watch::Sender<LayoutOrigin>>,
    /// Receives the limits of the live layout.
    limits: Option<Arc<RunLimits>>,
}

/// Keeps other calls of this process from writing between a check and the write that follows it.
static WRITING: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LayoutFolders {
    /// The given folder, or `divvy/layouts` in the user's configuration folder, and `layouts/` in the
    /// current folder.
    ///
    /// # Errors
    /// A message when the user has no home folder.
    pub(in crate::command) fn new(given: Option<PathBuf>) -> Result<Self, String> {
        let home = match given {
            Some(folder) => folder,
            None => etcetera::choose_base_strategy()
                .map_err(|error| {
                    format!("no folder for saved layouts: {error}; name one with --layout-dir")
                })?
                .config_dir()
                .join("divvy/layouts"),
        };
        let here = PathBuf::from("layouts");
        let others = if here.is_dir() && !is_same(&here, &home) { vec![here] } else { Vec::new() };
        Ok(Self { opened: None, home, others, last: None, origin: None, limits: None })
    }

    /// Adds the layout that this run opened, and the one of an earlier run.
    pub(super) fn with_files(self, opened: Option<NamedFile>, last: Option<NamedFile>) -> Self {
        Self { opened, last, ..self }
    }

    /// Reports to `origin` which saved layout the live one comes from.
    pub(super) fn with_origin(self, origin: watch::Sender<LayoutOrigin>) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// Gives the limits of layouts that become the live one to `limits`, and writes those of the live one to
    /// new files.
    pub(super) fn with_limits(self, limits: Arc<RunLimits>) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// Returns the document with the limits of the live layout.
    fn with_live_limits(&self, document: &Document) -> Result<Document, LayoutStoreError> {
        let limits = self.limits.as_ref().map_or(*document.server(), |limits| limits.of_layout());
        document.with_server(&limits).map_err(io)
    }

    /// Sets the limits of a layout that has become the live one. Those of before stay if its file has faults.
    fn switch_limits(&self, limits: &RunLimits, name: &str) {
        let keys = match self.find(name) {
            Some(path) => Layout::read(&path, FileCheck::Skipped).ok().map(|read| *read.server()),
            None => limits.of_start(name).or((name == DEMO).then(ServerKeys::default)),
        };
        if let Some(keys) = keys {
            limits.switch(name, &keys);
        }
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.home).chain(&self.others)
    }

    /// Returns true if a layout of this name is in a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns the file of a layout.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let is_named = |file: &&NamedFile| file.0 == name;
        if let Some((_, path)) = self.opened.as_ref().filter(is_named) {
            return Some(path.clone());
        }
        self.folders()
            .map(|folder| folder.join(format!("{name}.toml")))
            .find(|path| path.is_file())
            .or_else(|| {
                let (_, path) = self.last.as_ref().filter(is_named)?;
                Some(path.clone()).filter(|path| path.is_file())
            })
    }

    fn missing(&self, name: &str) -> LayoutStoreError {
        let place = self.home.display().to_string();
        LayoutStoreError::Missing { name: name.to_owned(), place }
    }

    /// Returns the file for a new layout of this name.
    fn new_file(&self, name: &str) -> Result<PathBuf, LayoutStoreError> {
        let is_file_name = !name.is_empty()
            && name.len() <= 100
            && !name.starts_with('.')
            && name.chars().all(|letter| !letter.is_control() && !r#"/\:*?"<>|"#.contains(letter));
        if !is_file_name {
            return Err(LayoutStoreError::BadName(name.to_owned()));
        }
        Ok(self.home.join(format!("{name}.toml")))
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    fs::canonicalize(a).ok().is_some_and(|a| fs::canonicalize(b).ok() == Some(a))
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

impl LayoutStore for LayoutFolders {
    fn list(&self) -> Result<Vec<Profile>, LayoutStoreError> {
        let opened = self.opened.iter().map(|(name, _)| name.clone());
        let last = self.last.iter().map(|(name, _)| name.clone());
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for name in opened.chain(self.folders().flat_map(|folder| names(folder))).chain(last) {
            if !found.iter().any(|(known, _)| *known == name)
                && let Some(path) = self.find(&name)
            {
                found.push((name, path));
            }
        }
        let mut profiles: Vec<Profile> = found
            .into_iter()
            .map(|(name, path)| Profile {
                description: match Layout::read(&path, FileCheck::Skipped) {
                    Ok(document) => document.layout().description.clone(),
                    Err(_) => format!("has faults: see `divvy check {}`", path.display()),
                },
                read_only: saved_layout::is_read_only(&path),
                place: path.display().to_string(),
                name,
            })
            .collect();
        if !profiles.iter().any(|profile| profile.name == DEMO) {
            profiles.push(Profile {
                name: DEMO.to_owned(),
                place: "part of divvy".to_owned(),
                description: demo()?.layout().description.clone(),
                read_only: true,
            });
        }
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(profiles)
    }

    fn read(&self, name: &str) -> Result<SavedLayout, LayoutStoreError> {
        match self.find(name) {
            Some(path) => {
                let document =
                    Layout::read(&path, FileCheck::Skipped).map_err(|faults| invalid(&faults))?;
                Ok(saved_layout::saved_in(&path, &document))
            }
            None if name == DEMO => Ok(saved_layout::built_in(&demo()?)),
            None => Err(self.missing(name)),
        }
    }

    fn save(
        &self,
        name: &str,
        layout: &Layout,
        condition: &SaveCondition,
    ) -> Result<SaveReceipt, LayoutStoreError> {
        let layout = &lasting(layout);
        let _writing = lock();
        let path = match self.find(name) {
            Some(path) => path,
            None if name == DEMO && *condition == SaveCondition::New => {
                return Err(LayoutStoreError::NameTaken(name.to_owned()));
            }
            None => self.new_file(name)?,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| {
                let folder = folder.display();
                LayoutStoreError::Io(format!("cannot create the folder {folder}: {error}"))
            })?;
        }
        // an existing file keeps its comments; a file with faults is not overwritten
        let document = if path.exists() {
            let saved =
                Layout::read(&path, FileCheck::Skipped).map_err(|faults| invalid(&faults))?;
            match condition {
                // the live layout wins, with its limits
                SaveCondition::Always => self.with_live_limits(&saved)?,
                SaveCondition::New => return Err(LayoutStoreError::NameTaken(name.to_owned())),
                SaveCondition::Unchanged(expected) if revision(&saved) == *expected => saved,
                SaveCondition::Unchanged(_) => {
                    return Err(LayoutStoreError::Changed(name.to_owned()));
                }
            }
        } else {
            self.with_live_limits(&Document::from_layout(layout.clone()).map_err(io)?)?
        };
        let saved = document.save(layout, &path).map_err(io)?;
        Ok(SaveReceipt { place: path.display().to_string(), revision: revision(&saved) })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LayoutStoreError> {
        let _writing = lock();
        let old = self.find(from).ok_or_else(|| self.missing(from))?;
        let new = self.new_file(to)?;
        if new.exists() || self.find(to).is_some() {
            return Err(LayoutStoreError::NameTaken(to.to_owned()));
        }
        fs::create_dir_all(&self.home).map_err(io)?;
        // paths in a layout are relative to its file, so they change with the folder
        let document = Layout::read(&old, FileCheck::Skipped).map_err(|faults| invalid(&faults))?;
        document.save(document.layout(), &new).map_err(io)?;
        fs::remove_file(&old).map_err(|error| file_error(&old, &error))
    }

    fn delete(&self, name: &str) -> Result<(), LayoutStoreError> {
        let _writing = lock();
        let path = self.find(name).ok_or_else(|| self.missing(name))?;
        fs::remove_file(&path).map_err(|error| file_error(&path, &error))
    }

    fn set_current(&self, name: Option<&str>, revision: Option<LayoutRevision>) {
        if let Some(origin) = &self.origin {
            let from = name.and_then(|name| self.find(name));
            let current = LayoutOrigin::new(name.unwrap_or(UNNAMED).to_owned(), from);
            origin.send_replace(current.with_revision(revision));
        }
        if let Some((limits, name)) = self.limits.as_ref().zip(name) {
            self.switch_limits(limits, name);
        }
    }

    fn current(&self) -> Option<CurrentLayout> {
        self.origin.as_ref().map(|origin| origin.borrow().current())
    }
}

fn demo() -> Result<Document, LayoutStoreError> {
    demo_document().map_err(|faults| invalid(&faults))
}

fn revision(document: &Document) -> LayoutRevision {
    LayoutRevision::of(document.text())
}

fn invalid(faults: &Faults) -> LayoutStoreError {
    LayoutStoreError::Invalid(faults.to_string())
}

fn io(error: impl Display) -> LayoutStoreError {
    LayoutStoreError::Io(error.to_string())
}

fn file_error(path: &Path, error: &std::io::Error) -> LayoutStoreError {
    LayoutStoreError::Io(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Bytes, CoreRequest, EngineChoice, Origin};
    use crate::telemetry::Conditions;

    fn folders() -> (tempfile::TempDir, LayoutFolders) {
        let folder = tempfile::tempdir().unwrap();
        let folders = LayoutFolders::new(Some(folder.path().join("layouts"))).unwrap();
        (folder, folders)
    }

    fn save(folders: &LayoutFolders, name: &str, layout: &Layout) -> String {
        folders.save(name, layout, &SaveCondition::Always).unwrap().place
    }

    fn load(folders: &LayoutFolders, name: &str) -> Result<Layout, LayoutStoreError> {
        folders.read(name).map(|saved| saved.layout)
    }

    #[test]
    fn save_refuses_a_changed_file() {
        let (_folder, folders) = folders();
        let layout = demo().unwrap().layout().clone();
        let first = folders.save("mine", &layout, &SaveCondition::New).unwrap();
        assert_eq!(folders.read("mine").unwrap().revision, first.revision);
        let text = fs::read_to_string(&first.place).unwrap();
        fs::write(&first.place, format!("{text}# by hand\n")).unwrap();
        let unchanged = SaveCondition::Unchanged(first.revision);
        let refused = |condition| folders.save("mine", &layout, condition).unwrap_err();
        assert_eq!(refused(&unchanged), LayoutStoreError::Changed("mine".to_owned()));
        assert_eq!(refused(&SaveCondition::New), LayoutStoreError::NameTaken("mine".to_owned()));
        let revision = folders.read("mine").unwrap().revision;
        folders.save("mine", &layout, &SaveCondition::Unchanged(revision)).unwrap();
        assert!(fs::read_to_string(&first.place).unwrap().contains("# by hand"));
    }

    #[test]
    fn new_save_refuses_the_name_of_the_demo() {
        let (_folder, mut folders) = folders();
        // the folder of this checkout has a file of that name
        folders.others.clear();
        let layout = demo().unwrap().layout().clone();
        let refused = folders.save(DEMO, &layout, &SaveCondition::New);
        assert_eq!(refused, Err(LayoutStoreError::NameTaken(DEMO.to_owned())));
        assert!(folders.read(DEMO).unwrap().read_only);
        save(&folders, "mine", &layout);
        assert!(!folders.read("mine").unwrap().read_only);
    }

    #[test]
    fn saved_layout_is_listed_renamed_deleted() {
        let (_folder, folders) = folders();
        let mut layout = demo().unwrap().layout().clone();
        layout.models[0].cores = CoreRequest::Count(2);
        layout.models[0].engine = EngineChoice::Rten;
        save(&folders, "mine", &layout);
        assert_eq!(load(&folders, "mine").unwrap(), layout);
        folders.rename("mine", "ours").unwrap();
        assert!(load(&folders, "mine").is_err());
        assert!(folders.list().unwrap().iter().any(|profile| profile.name == "ours"));
        folders.delete("ours").unwrap();
        assert!(!folders.list().unwrap().iter().any(|profile| profile.name == "ours"));
    }

    #[test]
    fn new_file_keeps_the_limits() {
        let (folder, folders) = folders();
        let limits = Arc::new(RunLimits::new(Conditions::default()));
        let folders = folders.with_limits(limits.clone());
        let keys = |text: &str| {
            *Document::parse(text, &Origin::Stdin, FileCheck::Skipped).unwrap().server()
        };
        let small = "version = 1\n[server]\nmax_body = \"1MiB\"\n[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\n";
        limits.open("day", &keys(small));
        let layout = demo().unwrap().layout().clone();
        let place = save(&folders, "mine", &layout);
        assert_eq!(keys(&fs::read_to_string(&place).unwrap()), keys(small));
        // another layout sets its own, and a layout without a file those of the start
        let other = folder.path().join("layouts/other.toml");
        fs::write(&other, small.replace("1MiB", "2MiB")).unwrap();
        folders.set_current(Some("other"), None);
        assert_eq!(limits.of_layout().max_body, Some(Bytes(2 << 20)));
        folders.set_current(Some("day"), None);
        assert_eq!(limits.of_layout(), keys(small));
        save(&folders, "other", &layout);
        assert_eq!(keys(&fs::read_to_string(&other).unwrap()), keys(small));
    }

    #[test]
    fn earlier_layout_hides_no_file_of_this_run() {
        let (folder, folders) = folders();
        let elsewhere = LayoutFolders::new(Some(folder.path().join("elsewhere"))).unwrap();
        let layout = demo().unwrap().layout().clone();
        let last = PathBuf::from(save(&elsewhere, "night", &layout));
        let folders = folders.with_files(None, Some(("night".to_owned(), last.clone())));
        // without another of its name, it is found
        assert_eq!(folders.find("night"), Some(last.clone()));
        let own = folders.home.join("night.toml");
        let other = Layout { description: "of this run".to_owned(), ..layout.clone() };
        fs::create_dir_all(&folders.home).unwrap();
        fs::copy(&last, &own).unwrap();
        save(&folders, "night", &other);
        assert_eq!(load(&folders, "night").unwrap(), other);
        assert_eq!(load(&elsewhere, "night").unwrap(), layout);
        let listed = folders.list().unwrap();
        let listed: Vec<_> = listed.iter().filter(|profile| profile.name == "night").collect();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].place, own.display().to_string());
        folders.delete("night").unwrap();
        assert!(last.is_file() && !own.exists());
        // the opened layout wins over the folders
        save(&folders, "night", &other);
        let folders = folders.with_files(Some(("night".to_owned(), last.clone())), None);
        assert_eq!(folders.find("night"), Some(last));
    }

    #[test]
    fn save_keeps_comments() {
        let (_folder, folders) = folders();
        let mut layout = demo().unwrap().layout().clone();
        let place = save(&folders, "mine", &layout);
        let text = fs::read_to_string(&place).unwrap();
        fs::write(&place, format!("# my comment\n{text}")).unwrap();
        layout.models[0].cores = CoreRequest::Count(3);
        save(&folders, "mine", &layout);
        assert!(fs::read_to_string(&place).unwrap().starts_with("# my comment\n"));
        assert_eq!(load(&folders, "mine").unwrap(), layout);
    }

    #[test]
    fn rejects_names_outside_the_folder() {
        let (_folder, folders) = folders();
        for name in ["../x", "", ".hidden", "a/b", "a\nb"] {
            assert!(
                folders.save(name, demo().unwrap().layout(), &SaveCondition::Always).is_err(),
                "{name:?}"
            );
        }
    }
}

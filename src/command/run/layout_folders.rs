//! The saved layouts: the file that was opened, the user's folder, `layouts/` in the current folder,
//! and the demo in the executable.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use tokio::sync::watch;

use super::live_layout::{LayoutOrigin, UNNAMED};
use super::startup_layout::{DEMO, demo_document};
use crate::console::{LayoutStore, Profile};
use crate::layout::{Document, Layout};

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
        Ok(Self { opened: None, home, others, last: None, origin: None })
    }

    /// Adds the layout that this run opened, and the one of an earlier run.
    pub(super) fn with_files(self, opened: Option<NamedFile>, last: Option<NamedFile>) -> Self {
        Self { opened, last, ..self }
    }

    /// Reports to `origin` which saved layout the live one comes from.
    pub(super) fn with_origin(self, origin: watch::Sender<LayoutOrigin>) -> Self {
        Self { origin: Some(origin), ..self }
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

    /// Returns the file for a new layout of this name.
    fn new_file(&self, name: &str) -> Result<PathBuf, String> {
        let is_file_name = !name.is_empty()
            && name.len() <= 100
            && !name.starts_with('.')
            && name.chars().all(|letter| !letter.is_control() && !r#"/\:*?"<>|"#.contains(letter));
        if !is_file_name {
            return Err(format!("`{name}` is not a file name: use letters, digits, - and _"));
        }
        Ok(self.home.join(format!("{name}.toml")))
    }
}

fn demo_layout() -> Result<Layout, String> {
    demo_document().map(|document| document.layout().clone()).map_err(|faults| faults.to_string())
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
    fn list(&self) -> Result<Vec<Profile>, String> {
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
                description: match Layout::read(&path) {
                    Ok(document) => document.layout().description.clone(),
                    Err(_) => format!("has faults: see `divvy check {}`", path.display()),
                },
                read_only: fs::metadata(&path).is_ok_and(|found| found.permissions().readonly()),
                place: path.display().to_string(),
                name,
            })
            .collect();
        if !profiles.iter().any(|profile| profile.name == DEMO) {
            profiles.push(Profile {
                name: DEMO.to_owned(),
                place: "part of divvy".to_owned(),
                description: demo_layout()?.description,
                read_only: true,
            });
        }
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(profiles)
    }

    fn load(&self, name: &str) -> Result<Layout, String> {
        let Some(path) = self.find(name) else {
            if name == DEMO {
                return demo_layout();
            }
            return Err(format!("there is no layout `{name}` in {}", self.home.display()));
        };
        let document = Layout::read(&path).map_err(|faults| faults.to_string())?;
        Ok(document.layout().clone())
    }

    fn save(&self, name: &str, layout: &Layout) -> Result<String, String> {
        let path = match self.find(name) {
            Some(path) => path,
            None => self.new_file(name)?,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| {
                format!("cannot create the folder {}: {error}", folder.display())
            })?;
        }
        // an existing file keeps its comments; a file with faults is not overwritten
        let document = if path.exists() {
            Layout::read(&path).map_err(|faults| faults.to_string())?
        } else {
            Document::from_layout(layout.clone()).map_err(|error| error.to_string())?
        };
        document.save(layout, &path).map_err(|error| error.to_string())?;
        Ok(path.display().to_string())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), String> {
        let old = self.find(from).ok_or_else(|| format!("there is no layout file `{from}`"))?;
        let new = self.new_file(to)?;
        if new.exists() || self.find(to).is_some() {
            return Err(format!("a layout `{to}` already exists"));
        }
        fs::create_dir_all(&self.home).map_err(|error| error.to_string())?;
        // paths in a layout are relative to its file, so they change with the folder
        let document = Layout::read(&old).map_err(|faults| faults.to_string())?;
        document.save(document.layout(), &new).map_err(|error| error.to_string())?;
        fs::remove_file(&old).map_err(|error| format!("{}: {error}", old.display()))
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        let path = self.find(name).ok_or_else(|| format!("there is no layout file `{name}`"))?;
        fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn set_current(&self, name: Option<&str>) {
        if let Some(origin) = &self.origin {
            let from = name.and_then(|name| self.find(name));
            origin.send_replace(LayoutOrigin::new(name.unwrap_or(UNNAMED).to_owned(), from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CoreRequest, EngineChoice};

    fn folders() -> (tempfile::TempDir, LayoutFolders) {
        let folder = tempfile::tempdir().unwrap();
        let folders = LayoutFolders::new(Some(folder.path().join("layouts"))).unwrap();
        (folder, folders)
    }

    #[test]
    fn saved_layout_is_listed_renamed_deleted() {
        let (_folder, folders) = folders();
        let mut layout = demo_layout().unwrap();
        layout.models[0].cores = CoreRequest::Count(2);
        layout.models[0].engine = EngineChoice::Rten;
        folders.save("mine", &layout).unwrap();
        assert_eq!(folders.load("mine").unwrap(), layout);
        folders.rename("mine", "ours").unwrap();
        assert!(folders.load("mine").is_err());
        assert!(folders.list().unwrap().iter().any(|profile| profile.name == "ours"));
        folders.delete("ours").unwrap();
        assert!(!folders.list().unwrap().iter().any(|profile| profile.name == "ours"));
    }

    #[test]
    fn earlier_layout_hides_no_file_of_this_run() {
        let (folder, folders) = folders();
        let elsewhere = LayoutFolders::new(Some(folder.path().join("elsewhere"))).unwrap();
        let layout = demo_layout().unwrap();
        let last = PathBuf::from(elsewhere.save("night", &layout).unwrap());
        let folders = folders.with_files(None, Some(("night".to_owned(), last.clone())));
        // without another of its name, it is found
        assert_eq!(folders.find("night"), Some(last.clone()));
        let own = folders.home.join("night.toml");
        let other = Layout { description: "of this run".to_owned(), ..layout.clone() };
        fs::create_dir_all(&folders.home).unwrap();
        fs::copy(&last, &own).unwrap();
        folders.save("night", &other).unwrap();
        assert_eq!(folders.load("night").unwrap(), other);
        assert_eq!(elsewhere.load("night").unwrap(), layout);
        let listed = folders.list().unwrap();
        let listed: Vec<_> = listed.iter().filter(|profile| profile.name == "night").collect();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].place, own.display().to_string());
        folders.delete("night").unwrap();
        assert!(last.is_file() && !own.exists());
        // the opened layout wins over the folders
        folders.save("night", &other).unwrap();
        let folders = folders.with_files(Some(("night".to_owned(), last.clone())), None);
        assert_eq!(folders.find("night"), Some(last));
    }

    #[test]
    fn save_keeps_comments() {
        let (_folder, folders) = folders();
        let mut layout = demo_layout().unwrap();
        let place = folders.save("mine", &layout).unwrap();
        let text = fs::read_to_string(&place).unwrap();
        fs::write(&place, format!("# my comment\n{text}")).unwrap();
        layout.models[0].cores = CoreRequest::Count(3);
        folders.save("mine", &layout).unwrap();
        assert!(fs::read_to_string(&place).unwrap().starts_with("# my comment\n"));
        assert_eq!(folders.load("mine").unwrap(), layout);
    }

    #[test]
    fn rejects_names_outside_the_folder() {
        let (_folder, folders) = folders();
        for name in ["../x", "", ".hidden", "a/b", "a\nb"] {
            assert!(folders.save(name, &demo_layout().unwrap()).is_err(), "{name:?}");
        }
    }
}

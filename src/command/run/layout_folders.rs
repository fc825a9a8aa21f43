//! The store of saved layouts: the file that was opened, the user's folder, `layouts/` here, and the
//! ones that are part of the executable.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use tokio::sync::watch;

use super::autosave::{Origin, UNNAMED};

use crate::console::{Profile, Profiles};
use crate::layout::{Document, Layout, demo};

/// Layout files in folders.
pub(super) struct Folders {
    /// The layout that was opened, under its own path.
    opened: Option<(String, PathBuf)>,
    /// Where new layouts go.
    home: PathBuf,
    /// Folders that are read as well.
    others: Vec<PathBuf>,
    /// The layout that an earlier run had last: behind those of the same name in this run's folders.
    last: Option<(String, PathBuf)>,
    /// Who keeps the live layout, and is told whose rows it holds.
    keeper: Option<watch::Sender<Origin>>,
}

impl Folders {
    /// The folders to use: `home` is the given one, or `divvy/layouts` in the user's configuration.
    ///
    /// # Errors
    /// When there is no home folder, in a sentence.
    pub(super) fn new(given: Option<PathBuf>) -> Result<Self, String> {
        let home = match given {
            Some(folder) => folder,
            None => etcetera::choose_base_strategy()
                .map_err(|error| {
                    format!("no place for layouts: {error}; give one with --layout-dir")
                })?
                .config_dir()
                .join("divvy/layouts"),
        };
        let here = PathBuf::from("layouts");
        let others = if here.is_dir() && !same(&here, &home) { vec![here] } else { Vec::new() };
        Ok(Self { opened: None, home, others, last: None, keeper: None })
    }

    /// With layouts by their own paths: the one that this run opened, and the one that an earlier run
    /// had last.
    pub(super) fn with(
        self,
        opened: Option<(String, PathBuf)>,
        last: Option<(String, PathBuf)>,
    ) -> Self {
        Self { opened, last, ..self }
    }

    /// With who keeps the live layout.
    pub(super) fn told_to(self, keeper: watch::Sender<Origin>) -> Self {
        Self { keeper: Some(keeper), ..self }
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.home).chain(&self.others)
    }

    /// Whether a layout of this name is in a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Where a layout of this name is.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let is = |named: &&(String, PathBuf)| named.0 == name;
        let own = |named: &(String, PathBuf)| named.1.clone();
        if let Some(opened) = self.opened.as_ref().filter(is) {
            return Some(own(opened));
        }
        self.folders()
            .map(|folder| folder.join(format!("{name}.toml")))
            .find(|path| path.is_file())
            .or_else(|| self.last.as_ref().filter(is).map(own).filter(|path| path.is_file()))
    }

    fn target(&self, name: &str) -> Result<PathBuf, String> {
        let plain = !name.is_empty()
            && name.len() <= 100
            && !name.starts_with('.')
            && name.chars().all(|letter| !letter.is_control() && !r#"/\:*?"<>|"#.contains(letter));
        if !plain {
            return Err(format!("`{name}` cannot be a file's name: use letters, digits, - and _"));
        }
        Ok(self.home.join(format!("{name}.toml")))
    }
}

fn demo_layout() -> Result<Layout, String> {
    demo().map(|document| document.layout().clone()).map_err(|faults| faults.to_string())
}

fn same(a: &Path, b: &Path) -> bool {
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

impl Profiles for Folders {
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
                    Err(_) => "has faults: see divvy check".to_owned(),
                },
                read_only: fs::metadata(&path).is_ok_and(|found| found.permissions().readonly()),
                place: path.display().to_string(),
                name,
            })
            .collect();
        if !profiles.iter().any(|profile| profile.name == "demo") {
            profiles.push(Profile {
                name: "demo".to_owned(),
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
            if name == "demo" {
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
            None => self.target(name)?,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        }
        // The file that is there keeps its comments; one with faults is not overwritten.
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
        let new = self.target(to)?;
        if new.exists() || self.find(to).is_some() {
            return Err(format!("there is a layout `{to}` already"));
        }
        fs::create_dir_all(&self.home).map_err(|error| error.to_string())?;
        // Paths in a layout are relative to its file: another folder needs them written anew.
        let document = Layout::read(&old).map_err(|faults| faults.to_string())?;
        document.save(document.layout(), &new).map_err(|error| error.to_string())?;
        fs::remove_file(&old).map_err(|error| format!("{}: {error}", old.display()))
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        let path = self.find(name).ok_or_else(|| format!("there is no layout file `{name}`"))?;
        fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn in_force(&self, name: Option<&str>) {
        if let Some(keeper) = &self.keeper {
            let from = name.and_then(|name| self.find(name));
            keeper.send_replace(Origin::new(name.unwrap_or(UNNAMED).to_owned(), from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CoreRequest, EngineChoice};

    fn folders() -> (tempfile::TempDir, Folders) {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::new(Some(folder.path().join("layouts"))).unwrap();
        (folder, folders)
    }

    #[test]
    fn a_layout_is_saved_listed_loaded_renamed_and_deleted() {
        let (_kept, folders) = folders();
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
    fn a_layout_of_an_earlier_run_hides_none_of_this_runs_folders() {
        let (kept, folders) = folders();
        let elsewhere = Folders::new(Some(kept.path().join("elsewhere"))).unwrap();
        let layout = demo_layout().unwrap();
        let last = PathBuf::from(elsewhere.save("night", &layout).unwrap());
        let folders = folders.with(None, Some(("night".to_owned(), last.clone())));
        // alone, it is found where it was
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
        // the one that this run opened is its own, wherever it is
        folders.save("night", &other).unwrap();
        let folders = folders.with(Some(("night".to_owned(), last.clone())), None);
        assert_eq!(folders.find("night"), Some(last));
    }

    #[test]
    fn saving_again_keeps_comments() {
        let (_kept, folders) = folders();
        let mut layout = demo_layout().unwrap();
        let place = folders.save("mine", &layout).unwrap();
        let text = fs::read_to_string(&place).unwrap();
        fs::write(&place, format!("# mine alone\n{text}")).unwrap();
        layout.models[0].cores = CoreRequest::Count(3);
        folders.save("mine", &layout).unwrap();
        assert!(fs::read_to_string(&place).unwrap().starts_with("# mine alone\n"));
        assert_eq!(folders.load("mine").unwrap(), layout);
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let (_kept, folders) = folders();
        for name in ["../x", "", ".hidden", "a/b", "a\nb"] {
            assert!(folders.save(name, &demo_layout().unwrap()).is_err(), "{name:?}");
        }
    }
}

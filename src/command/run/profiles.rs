//! The store of saved layouts: the file that was opened, the user's folder, `layouts/` here, and the
//! ones that are part of the executable.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::console::{Profile, Profiles};
use crate::layout::{Document, Layout, demo};

/// Layout files in folders.
pub struct Folders {
    /// Layouts under their own paths: the one that was opened, the one in use last.
    named: Vec<(String, PathBuf)>,
    /// Where new layouts go.
    home: PathBuf,
    /// Folders that are read as well.
    others: Vec<PathBuf>,
}

impl Folders {
    /// The folders to use: `home` is the given one, or `divvy/layouts` in the user's configuration.
    /// `named`: layouts by their own paths; the first of a name counts.
    ///
    /// # Errors
    /// When there is no home folder, in a sentence.
    pub fn new(given: Option<PathBuf>, named: Vec<(String, PathBuf)>) -> Result<Self, String> {
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
        Ok(Self { named, home, others })
    }

    /// Whether a layout of this name is in a file.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Where a layout of this name is.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        if let Some((_, path)) = self.named.iter().find(|(other, _)| other == name) {
            return Some(path.clone());
        }
        let folders = std::iter::once(&self.home).chain(&self.others);
        folders.map(|folder| folder.join(format!("{name}.toml"))).find(|path| path.is_file())
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
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for (name, path) in &self.named {
            if !found.iter().any(|(known, _)| known == name) {
                found.push((name.clone(), path.clone()));
            }
        }
        for folder in std::iter::once(&self.home).chain(&self.others) {
            for name in names(folder) {
                if !found.iter().any(|(known, _)| *known == name) {
                    let path = folder.join(format!("{name}.toml"));
                    found.push((name, path));
                }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CoreRequest, EngineChoice};

    fn folders() -> (tempfile::TempDir, Folders) {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::new(Some(folder.path().join("layouts")), Vec::new()).unwrap();
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

//! What comes back at the next start: the screen, and which saved layout was in use last. A
//! convenience: what cannot be read is as good as nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sources::DEMO;
use crate::command::state_folder;
use crate::console::state::Screen;

/// The file in the state folder.
const NAME: &str = "console.json";

/// What a console left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Remembered {
    /// The screen that was open.
    pub screen: Screen,
    /// The saved layout that was in use last; neither the demo nor models without a layout.
    pub layout: Option<String>,
    /// The file of that layout, absolute.
    pub place: Option<PathBuf>,
}

impl Remembered {
    /// Reads what the last console left in the state folder.
    pub(super) fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join(NAME)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// A sentence, when the folder cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        state_folder::make(folder)?;
        let place = folder.join(NAME);
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", place.display());
        let text = serde_json::to_string(self).map_err(|error| told(&error))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| told(&error))?;
        file.write_all(text.as_bytes()).map_err(|error| told(&error))?;
        file.persist(&place).map_err(|error| told(&error))?;
        Ok(())
    }

    /// Notes which layout is in use, by its name and, where it has one, its file. The demo is one
    /// that needs no memory; models without a layout leave the older one.
    pub(super) fn leave(&mut self, name: Option<String>, place: Option<PathBuf>) {
        match (name, place) {
            (Some(name), Some(place)) => {
                self.layout = Some(name);
                self.place = std::path::absolute(&place).ok().or(Some(place));
            }
            (Some(name), None) if name == DEMO => (self.layout, self.place) = (None, None),
            _ => {}
        }
    }

    /// What to say at the start where another layout was in use last. `key` opens the list.
    pub(super) fn greeting(&self, opened: &str, key: &str) -> Option<String> {
        let last = self.layout.as_ref().filter(|last| *last != opened)?;
        Some(format!("This is {opened}. Last time it was {last}: {key} lists the saved layouts."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        let mut left = Remembered { screen: Screen::Machine, ..Remembered::default() };
        left.leave(Some("night".into()), Some("/l/night.toml".into()));
        left.write(&folder).unwrap();
        assert_eq!(Remembered::read(&folder), left);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Remembered::read(folder.path()), Remembered::default());
        for text in ["", "{", "[]", "{\"screen\": \"attic\"}", "{\"layout\": 7}"] {
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(Remembered::read(folder.path()), Remembered::default(), "{text}");
        }
    }

    #[test]
    fn models_without_a_layout_leave_the_older_one_and_the_demo_does_not() {
        let mut left = Remembered::default();
        left.leave(Some("night".into()), Some("/l/night.toml".into()));
        let night = left.clone();
        left.leave(Some("models".into()), None);
        left.leave(None, None);
        assert_eq!(left, night);
        left.leave(Some("demo".into()), None);
        assert_eq!(left, Remembered::default());
    }

    #[test]
    fn another_layout_is_named_and_the_same_one_is_not() {
        let left = Remembered { layout: Some("night".into()), ..Remembered::default() };
        assert!(left.greeting("demo", "o").unwrap().contains("night: o lists"));
        assert_eq!(left.greeting("night", "o"), None);
        assert_eq!(Remembered::default().greeting("demo", "o"), None);
    }
}

//! The screen and the layout of the last console session, restored at the next start.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::startup_layout::DEMO;
use super::state_file;
use crate::command::state_folder;
use crate::console::state::Screen;

/// The file in the state folder.
const FILE: &str = "console.json";

/// The content of `console.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LastSession {
    /// Version of this format; files of divvy 0.1.0 have none.
    version: u32,
    /// The screen that was open.
    pub screen: Screen,
    /// The saved layout that was in use; neither the demo nor models without a layout.
    pub layout: Option<String>,
    /// The file of that layout, absolute.
    pub place: Option<PathBuf>,
}

impl Default for LastSession {
    fn default() -> Self {
        Self { version: Self::VERSION, screen: Screen::default(), layout: None, place: None }
    }
}

impl LastSession {
    /// The format version that this build writes, and the newest that it reads.
    const VERSION: u32 = 1;

    /// Reads the last session from the state folder; the default without one. A file that this divvy
    /// cannot read is set aside, with a message for the user.
    pub(super) fn read(folder: &Path) -> (Self, Option<String>) {
        let path = folder.join(FILE);
        let error = match state_file::read::<Self>(&path, Self::VERSION) {
            Ok(session) => {
                let session = session.unwrap_or_default();
                return (Self { version: Self::VERSION, ..session }, None);
            }
            Err(error) => error,
        };
        let outcome = match state_file::set_aside(&path) {
            Ok(aside) => format!("it was kept as {}", aside.display()),
            Err(reason) => format!("it cannot be renamed: {reason}"),
        };
        let notice = format!(
            "the screen and the layout of the last session are not restored from {}: {error}; \
             {outcome}",
            path.display()
        );
        (Self::default(), Some(notice))
    }

    /// Writes the session, whole or not at all.
    ///
    /// # Errors
    /// A message when the folder cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        state_folder::create(folder)?;
        let path = folder.join(FILE);
        state_file::write(&path, self).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Records the layout in use by its title and file. The demo clears the record; models without a
    /// layout leave the earlier one.
    pub(super) fn set_layout(&mut self, title: Option<String>, path: Option<PathBuf>) {
        match (title, path) {
            (Some(title), Some(path)) => {
                self.layout = Some(title);
                self.place = std::path::absolute(&path).ok().or(Some(path));
            }
            (Some(title), None) if title == DEMO => (self.layout, self.place) = (None, None),
            _ => {}
        }
    }

    /// Returns the greeting when another layout than that of the last session is opened. `key` opens
    /// the list of layouts.
    pub(super) fn greeting(&self, opened: &str, key: &str) -> Option<String> {
        let last = self.layout.as_ref().filter(|last| *last != opened)?;
        Some(format!("Opened {opened}. The last session used {last}; {key} lists saved layouts."))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn written_session_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        let mut session = LastSession { screen: Screen::Machine, ..LastSession::default() };
        session.set_layout(Some("night".into()), Some("/l/night.toml".into()));
        session.write(&folder).unwrap();
        assert_eq!(LastSession::read(&folder), (session, None));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file remains");
    }

    #[test]
    fn session_of_version_0_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let old = r#"{"screen":"machine","layout":"night","place":"/l/night.toml"}"#;
        fs::write(folder.path().join(FILE), old).unwrap();
        let (session, notice) = LastSession::read(folder.path());
        assert_eq!((session.screen, notice), (Screen::Machine, None));
        assert_eq!(session.layout.as_deref(), Some("night"));
    }

    #[test]
    fn unreadable_session_is_set_aside() {
        for text in ["", "{", "[]", "{\"screen\": \"attic\"}", "{\"version\": 2}"] {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(LastSession::read(folder.path()), (LastSession::default(), None));
            fs::write(folder.path().join(FILE), text).unwrap();
            let (session, notice) = LastSession::read(folder.path());
            assert_eq!(session, LastSession::default(), "{text}");
            let aside = folder.path().join("console.json.aside");
            assert!(notice.unwrap().contains(aside.to_str().unwrap()), "{text}");
            assert_eq!(fs::read_to_string(aside).unwrap(), text);
        }
    }

    #[test]
    fn only_the_demo_clears_the_layout() {
        let mut session = LastSession::default();
        session.set_layout(Some("night".into()), Some("/l/night.toml".into()));
        let night = session.clone();
        session.set_layout(Some("models".into()), None);
        session.set_layout(None, None);
        assert_eq!(session, night);
        session.set_layout(Some("demo".into()), None);
        assert_eq!(session, LastSession::default());
    }

    #[test]
    fn greeting_names_another_layout() {
        let session = LastSession { layout: Some("night".into()), ..LastSession::default() };
        assert!(session.greeting("demo", "o").unwrap().contains("night; o lists"));
        assert_eq!(session.greeting("night", "o"), None);
        assert_eq!(LastSession::default().greeting("demo", "o"), None);
    }
}

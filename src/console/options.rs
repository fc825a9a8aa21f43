//! What a console is given to run with, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;

use super::glyphs::GlyphSet;
use super::input::Keymap;
use super::state::{Mode, Screen};
use super::theme::ThemeName;
use crate::layout::Layout;
use crate::telemetry::LogLines;

/// One saved layout, as the list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name: the file's without the extension.
    pub name: String,
    /// Where it is, for people.
    pub place: String,
    /// Its free text.
    pub description: String,
    /// Whether it can't be changed, renamed or deleted (it shipped with divvy).
    pub read_only: bool,
}

/// The store of saved layouts. Errors are sentences for the screen. Called off the drawing thread.
pub trait LayoutStore: Send + Sync {
    /// All saved layouts, by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> Result<Vec<Profile>, String>;

    /// Reads one.
    ///
    /// # Errors
    /// When it is not there or is no valid layout.
    fn load(&self, name: &str) -> Result<Layout, String>;

    /// Writes one, over an older one of the same name; answers the place.
    ///
    /// # Errors
    /// When it cannot be written.
    fn save(&self, name: &str, layout: &Layout) -> Result<String, String>;

    /// Gives one another name.
    ///
    /// # Errors
    /// When it is not there, is read-only, or the new name is taken.
    fn rename(&self, from: &str, to: &str) -> Result<(), String>;

    /// Deletes one.
    ///
    /// # Errors
    /// When it is not there or is read-only.
    fn delete(&self, name: &str) -> Result<(), String>;

    /// From now on the live rows are those of this layout; `None`: they are saved nowhere. It is told
    /// after each load, save, renaming and undo that makes it so.
    fn in_force(&self, name: Option<&str>);
}

/// How a console is to be.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// The store of saved layouts; without one, nothing can be saved.
    pub profiles: Option<Arc<dyn LayoutStore>>,
    /// The name of the layout that was loaded, where it has one.
    pub profile: Option<String>,
    /// That layout as it is saved, where what runs at the start may be another: an empty one where it
    /// is saved nowhere. `None`: what runs is what was saved.
    pub baseline: Option<Layout>,
    /// What to say first, until the first key; `None` for nothing.
    pub greeting: Option<String>,
    /// The saved layout that was in use last: the list puts it first.
    pub last_layout: Option<String>,
    /// The newest lines of the log, where it is kept.
    pub log: LogLines,
    /// The file that takes what is written to standard error while the console has the screen;
    /// `None`: it is in the log alone.
    pub stderr: Option<PathBuf>,
    /// The screen to start with.
    pub screen: Screen,
    /// Whether nothing may be changed.
    pub readonly: bool,
    /// Whether the mouse is captured from the start.
    pub mouse: bool,
    /// The theme.
    pub theme: ThemeName,
    /// The characters.
    pub glyphs: GlyphSet,
    /// The keys.
    pub keymap: Keymap,
    /// Whether gestures act at once or add up.
    pub mode: Mode,
    /// Shortest time between two frames for new data, milliseconds (input draws at once).
    pub refresh_ms: u64,
    /// Whether as little as possible moves: figures change every two seconds at most, and nothing
    /// follows the pointer.
    pub reduced_motion: bool,
    /// The zone of the clock times in the journal.
    pub zone: jiff::tz::TimeZone,
    /// Turns true when the program is to end (SIGTERM, SIGINT, SIGHUP).
    pub stop: Option<watch::Receiver<bool>>,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self {
            profiles: None,
            profile: None,
            baseline: None,
            greeting: None,
            last_layout: None,
            log: LogLines::default(),
            stderr: None,
            screen: Screen::default(),
            readonly: false,
            mouse: true,
            theme: ThemeName::default(),
            glyphs: GlyphSet::default(),
            keymap: Keymap::default(),
            mode: Mode::Live,
            refresh_ms: 250,
            reduced_motion: false,
            zone: jiff::tz::TimeZone::system(),
            stop: None,
        }
    }
}

/// How a console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The user left.
    Quit,
    /// The stop signal came.
    Stopped,
    /// The scheduler ended its stream of snapshots.
    Ended,
    /// The terminal is gone (a lost line).
    Lost,
}

/// What a console left behind when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleResult {
    /// How it ended.
    pub exit: Exit,
    /// The screen that was open.
    pub screen: Screen,
    /// The name of the layout at the end, where it has one.
    pub profile: Option<String>,
}

/// Why a console could not run.
#[derive(Debug, Error)]
pub enum ConsoleError {
    /// The terminal refused.
    #[error("the terminal does not answer: {0}; `divvy --headless` works without one")]
    Terminal(#[from] std::io::Error),
}

//! The options and the result of a console.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;

use super::glyphs::GlyphSet;
use super::input::Keymap;
use super::state::{Mode, Screen};
use super::theme::ThemeName;
use crate::layout::Layout;
use crate::scheduler::{
    Connection, LayoutRevision, LayoutStore, RequestRecordings, RunLog, SavedLayout,
};
use crate::telemetry::LogLines;

/// The run in another process that a console is attached to.
#[derive(Clone)]
pub struct AttachedRun {
    /// Its name.
    pub name: String,
    /// The connection to it.
    pub connection: watch::Receiver<Connection>,
    /// True if leaving the console asks whether the run goes on.
    pub asks_at_quit: bool,
    /// Ends the run; returns the reason if it cannot.
    pub stop: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// The options of a console.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// The store of saved layouts; `None` if nothing can be saved.
    pub profiles: Option<Arc<dyn LayoutStore>>,
    /// The name of the loaded layout, if it has one.
    pub profile: Option<String>,
    /// The loaded layout as its file has it. `None` if it did not come from a file; the first save then
    /// asks for a name.
    pub opened: Option<SavedLayout>,
    /// The saved version of the loaded layout, if it may differ from the running one; empty if the
    /// layout is saved nowhere. `None`: both are equal.
    pub baseline: Option<Layout>,
    /// The message that is shown until the first key is pressed.
    pub greeting: Option<String>,
    /// The saved layout used last, which is listed first.
    pub last_layout: Option<String>,
    /// The newest lines of the log, if they are kept.
    pub log: Arc<dyn RunLog>,
    /// Records the live requests of models; `None` if there is no place for recordings.
    pub recordings: Option<Arc<dyn RequestRecordings>>,
    /// The file that receives stderr while the console uses the screen. `None`: only the log
    /// receives it.
    pub stderr: Option<PathBuf>,
    /// The run in another process; `None` if the models are in this process.
    pub attached: Option<AttachedRun>,
    /// The screen to start with.
    pub screen: Screen,
    /// True if nothing may be changed.
    pub readonly: bool,
    /// True if the mouse is captured at the start.
    pub mouse: bool,
    /// The theme.
    pub theme: ThemeName,
    /// The characters.
    pub glyphs: GlyphSet,
    /// The keys.
    pub keymap: Keymap,
    /// The mode: gestures are applied at once or staged.
    pub mode: Mode,
    /// Minimum time between two frames for new data, in milliseconds. Input is drawn at once.
    pub refresh_ms: u64,
    /// True for reduced motion: metrics change every two seconds at most, and nothing follows the
    /// pointer.
    pub reduced_motion: bool,
    /// The time zone of clock times.
    pub zone: jiff::tz::TimeZone,
    /// Becomes true when the program must end (SIGTERM, SIGINT, SIGHUP).
    pub stop: Option<watch::Receiver<bool>>,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self {
            profiles: None,
            profile: None,
            opened: None,
            baseline: None,
            greeting: None,
            last_layout: None,
            log: Arc::new(LogLines::default()),
            recordings: None,
            stderr: None,
            attached: None,
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

/// The reason why a console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The user quit.
    Quit,
    /// A stop signal arrived.
    Stopped,
    /// The scheduler ended its stream of snapshots.
    Ended,
    /// The terminal is gone, as after a lost connection.
    Lost,
}

/// The final state of a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleResult {
    /// The reason why it ended.
    pub exit: Exit,
    /// The open screen.
    pub screen: Screen,
    /// The name of the last layout, if it has one.
    pub profile: Option<String>,
    /// The revision of that layout that was loaded or saved last.
    pub revision: Option<LayoutRevision>,
}

/// An error of a console.
#[derive(Debug, Error)]
pub enum ConsoleError {
    /// The terminal cannot be set up.
    #[error("the terminal does not answer: {0}; `divvy --headless` works without one")]
    Terminal(#[from] std::io::Error),
}

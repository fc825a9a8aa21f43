//! What can happen to the console, and what it asks for in turn.

use std::fmt;
use std::sync::Arc;

use crossterm::event::KeyEvent;

use super::command::Command;
use super::drag::DragItem;
use super::gpus::DeviceChoice;
use super::hits::{ScrollArea, Target};
use super::{Column, Pane};
use crate::console::options::Profile;
use crate::layout::{Budget, Change, CoreOwner, Layout, Plan, Refusal};
use crate::machine::CoreId;
use crate::telemetry::{Applied, JournalEntry, LogLine, Snapshot};

/// Everything that changes the console's state.
#[derive(Clone, Debug)]
pub enum Action {
    /// A key.
    Key(KeyEvent),
    /// Text from the clipboard.
    Paste(String),
    /// A command, by key, palette or click.
    Command(Command),
    /// A digit: to this row, from 1; 0 is the row of free cores.
    Jump(usize),
    /// A click on something that is not lifted.
    Click(Target),
    /// A pane's title was clicked.
    Expand(Pane),
    /// The button went down on something that can be carried.
    Grab {
        /// What.
        token: DragItem,
        /// Where on the screen.
        at: (u16, u16),
    },
    /// The pointer carries it over a place.
    Hover {
        /// The row there.
        over: Option<CoreOwner>,
        /// Where on the screen.
        at: (u16, u16),
        /// Whether Ctrl or Alt is held: share instead of move.
        modifier: bool,
    },
    /// The button came up where it went down: it stays lifted until the next click.
    Pick,
    /// The same with a modifier held, on a core: it is selected with others.
    PickCore {
        /// The core.
        core: CoreId,
        /// Whether all cores up to it are meant.
        range: bool,
    },
    /// Let go of it over a row, or over nothing.
    Drop {
        /// The row there.
        over: Option<CoreOwner>,
        /// Whether Ctrl or Alt is held.
        modifier: bool,
    },
    /// The pointer carries a model over a card, or over none.
    Aim {
        /// The place there.
        place: Option<DeviceChoice>,
        /// Where on the screen.
        at: (u16, u16),
        /// Whether it is let go of there.
        drop: bool,
    },
    /// Put it back, and why.
    CancelDrag(&'static str),
    /// Drag this many more or fewer.
    Amount(i32),
    /// One step in a field, by the wheel.
    Step {
        /// The model.
        model: String,
        /// The column.
        column: Column,
        /// Up or down.
        by: i32,
    },
    /// The wheel over a list.
    Scroll(i32),
    /// The wheel over lines that are more than there is room for.
    Wheel {
        /// Which lines.
        what: ScrollArea,
        /// By how many, down.
        by: i32,
    },
    /// The terminal has another size.
    Resized,
    /// The terminal's window lost the keys.
    FocusLost,
    /// A newer snapshot.
    Snapshot(Arc<Snapshot>),
    /// The answer to [`Effect::Plan`].
    Planned {
        /// The question's number; older ones are ignored.
        ticket: u64,
        /// What for.
        question: PlanPurpose,
        /// The consequences or the refusal.
        result: Box<Result<Plan, Refusal>>,
    },
    /// The answer to [`Effect::Read`].
    Read {
        /// The question's number; older ones are ignored.
        ticket: u64,
        /// What it means, or what is wrong with it.
        result: Box<Result<Option<ParsedInput>, String>>,
    },
    /// The answer to [`Effect::Survey`]: the rows that cannot take what is carried.
    Surveyed {
        /// The question's number.
        ticket: u64,
        /// Row and reason.
        refusals: Vec<(CoreOwner, String)>,
    },
    /// The answer to [`Effect::Apply`], [`Effect::Undo`] and [`Effect::Redo`].
    Applied {
        /// Which of them.
        kind: AppliedKind,
        /// What it did, or why not.
        result: Box<Result<Applied, Refusal>>,
    },
    /// The saved layouts.
    Profiles(Result<Vec<Profile>, String>),
    /// The answer to [`Effect::PreviewProfile`].
    Previewed {
        /// The question's number.
        ticket: u64,
        /// What applying it would do; `None`: nothing.
        result: Box<Result<Option<Plan>, String>>,
    },
    /// A saved layout was applied.
    Loaded {
        /// Its name.
        name: String,
        /// What it did; `None`: nothing had to change.
        result: Box<Result<Option<Applied>, String>>,
    },
    /// The live layout was saved.
    Saved {
        /// Its name.
        name: String,
        /// The rows that were written and the place, or why not.
        result: Result<(Vec<Budget>, String), String>,
    },
    /// A saved layout was renamed.
    Renamed {
        /// Its old name.
        from: String,
        /// Its new name.
        to: String,
        /// Or why not.
        result: Result<(), String>,
    },
    /// A saved layout was deleted.
    Deleted {
        /// Its name.
        name: String,
        /// Or why not.
        result: Result<(), String>,
    },
    /// The live layout at the start: what later ones are compared with.
    Baseline(Layout),
    /// The whole journal.
    Journal(Vec<JournalEntry>),
    /// Newer lines of the log.
    Log(Vec<LogLine>),
    /// A picture was written to this place, or why not.
    Pictured(Result<String, String>),
}

impl Action {
    /// Whether a person did it: drawn at once, not at the pace of the data.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Snapshot(_) | Self::Log(_))
    }
}

/// What was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppliedKind {
    /// A gesture or a step.
    Change,
    /// All that was staged.
    Staged,
    /// The newest change was taken back.
    Undo,
    /// It was done again.
    Redo,
}

impl fmt::Display for AppliedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Change => "",
            Self::Staged => "applied: ",
            Self::Undo => "undone: ",
            Self::Redo => "done again: ",
        })
    }
}

/// What was typed.
#[derive(Clone, Debug, PartialEq)]
pub enum TypedInput {
    /// A value for a key of a row, as a layout file writes it.
    Key {
        /// The row as it is.
        row: Box<Budget>,
        /// The key.
        key: String,
        /// The value; empty for the default.
        text: String,
    },
    /// The path of a model to add.
    Model {
        /// The path.
        text: String,
        /// The names of the models there are.
        taken: Vec<String>,
    },
}

/// What typed text means: a change, with what it would do.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedInput {
    /// The change, without what is staged.
    pub change: Change,
    /// What it would do, after what is staged.
    pub plan: Plan,
}

/// What a plan is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanPurpose {
    /// What is carried, over the row where it is.
    Drag,
    /// All that is staged.
    Staged,
}

/// What the console asks of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// What would this do?
    Plan {
        /// The question's number.
        ticket: u64,
        /// What for.
        question: PlanPurpose,
        /// The change.
        change: Change,
    },
    /// What does this mean, and what would it do?
    Read {
        /// The question's number.
        ticket: u64,
        /// The text, and what it is for.
        typed: TypedInput,
        /// What is staged before it.
        before: Change,
    },
    /// Which of these would be refused?
    Survey {
        /// The question's number.
        ticket: u64,
        /// A change for each row.
        candidates: Vec<(CoreOwner, Change)>,
    },
    /// Do it.
    Apply {
        /// For the message.
        kind: AppliedKind,
        /// The change.
        change: Change,
    },
    /// Take the newest change back.
    Undo,
    /// Do it again.
    Redo,
    /// List the saved layouts.
    ListProfiles,
    /// What would this saved layout do?
    PreviewProfile {
        /// The question's number.
        ticket: u64,
        /// Its name.
        name: String,
    },
    /// Apply a saved layout.
    LoadProfile(String),
    /// Apply this layout, the last saved one.
    Restore(Box<Layout>),
    /// Save the live layout under this name.
    SaveProfile(String),
    /// Rename a saved layout.
    RenameProfile {
        /// Its old name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Delete a saved layout.
    DeleteProfile(String),
    /// The live rows are those of this layout from now on; `None`: they are saved nowhere.
    SetCurrentLayout(Option<String>),
    /// Read the whole journal.
    ReadJournal,
    /// Read the lines of the log with a higher number.
    ReadLog {
        /// The number.
        after: u64,
    },
    /// Capture the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Write the screen to a file.
    Picture,
    /// Draw everything again.
    Redraw,
    /// Stop the program, as the shell's job control does.
    Suspend,
    /// Leave.
    Quit,
}

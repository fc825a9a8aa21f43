//! Actions, which change the console's state, and effects, which `update` requests in return.

use std::fmt;
use std::sync::Arc;

use crossterm::event::KeyEvent;

use super::command::Command;
use super::drag::DragItem;
use super::gpus::DeviceChoice;
use super::hits::{ScrollArea, Target};
use super::save::{SaveFailure, SaveTarget, SavedRows};
use super::{Column, Pane};
use crate::layout::{Budget, Change, CoreOwner, ExcessiveRow, Layout, Plan, Refusal};
use crate::machine::CoreId;
use crate::scheduler::{Connection, Profile, SavedLayout};
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
    /// A digit key: selects this row, counted from 1; 0 selects the row of free cores.
    Jump(usize),
    /// A click on something that cannot be dragged.
    Click(Target),
    /// A click on a pane's title.
    Expand(Pane),
    /// The mouse button went down on something that can be dragged.
    Grab {
        /// The item to drag.
        item: DragItem,
        /// Column and row of the pointer on the screen.
        at: (u16, u16),
    },
    /// The pointer moved during a drag.
    Hover {
        /// The row under the pointer.
        over: Option<CoreOwner>,
        /// Column and row of the pointer on the screen.
        at: (u16, u16),
        /// True if Ctrl or Alt is held, which shares cores instead of moving them.
        modifier: bool,
    },
    /// The button came up where it went down: the drag continues until the next click.
    Pick,
    /// A click on a core with a modifier held: adds it to the selected cores.
    PickCore {
        /// The core.
        core: CoreId,
        /// True if all cores from the anchor to this one are selected.
        range: bool,
    },
    /// The item was dropped on a row, or outside all rows.
    Drop {
        /// The row under the pointer.
        over: Option<CoreOwner>,
        /// True if Ctrl or Alt is held.
        modifier: bool,
    },
    /// The pointer moved while a model is dragged to a GPU or the CPU.
    Aim {
        /// The device under the pointer.
        place: Option<DeviceChoice>,
        /// Column and row of the pointer on the screen.
        at: (u16, u16),
        /// True if the model is dropped there.
        drop: bool,
    },
    /// Cancels the drag, for the given reason.
    CancelDrag(&'static str),
    /// Drags this many more (if negative, fewer) cores or instances.
    Amount(i32),
    /// One step of the mouse wheel over a field, with a modifier held.
    Step {
        /// The model.
        model: String,
        /// The column.
        column: Column,
        /// Steps up; negative for down.
        by: i32,
    },
    /// The wheel over a list: rows to move down.
    Scroll(i32),
    /// The wheel over a scrollable area.
    Wheel {
        /// The area.
        what: ScrollArea,
        /// Lines to move down; negative for up.
        by: i32,
    },
    /// The terminal was resized.
    Resized,
    /// The terminal's window lost the focus.
    FocusLost,
    /// A new snapshot.
    Snapshot(Arc<Snapshot>),
    /// The state of the connection to the run in another process.
    Connection {
        /// The connection.
        connection: Connection,
        /// The time since it was lost, in seconds.
        lost_s: u64,
    },
    /// The answer to [`Effect::StopRun`].
    RunStopped(Result<(), String>),
    /// The answer to [`Effect::Plan`].
    Planned {
        /// The number of the request; answers to older requests are ignored.
        ticket: u64,
        /// The purpose of the plan.
        question: PlanPurpose,
        /// The consequences or the refusal.
        result: Box<Result<Plan, Refusal>>,
    },
    /// The answer to [`Effect::Read`].
    Read {
        /// The number of the request; answers to older requests are ignored.
        ticket: u64,
        /// The parsed change (`None` if nothing would change), or the error.
        result: Box<Result<Option<ParsedInput>, String>>,
    },
    /// The answer to [`Effect::Survey`]: the rows that would refuse the dragged item.
    Surveyed {
        /// The number of the request.
        ticket: u64,
        /// Rows with their reasons.
        refusals: Vec<(CoreOwner, String)>,
    },
    /// The answer to [`Effect::Apply`], [`Effect::Undo`], [`Effect::UndoChange`] and [`Effect::Redo`].
    Applied {
        /// The kind of the applied change.
        kind: AppliedKind,
        /// The applied change, or the reason for the refusal.
        result: Box<Result<Applied, Refusal>>,
    },
    /// A change was not applied yet, since rows ask for far more threads than they have cores.
    Excessive {
        /// The change.
        change: GuardedChange,
        /// These rows.
        rows: Vec<ExcessiveRow>,
    },
    /// The saved layouts.
    Profiles(Result<Vec<Profile>, String>),
    /// The answer to [`Effect::PreviewProfile`].
    Previewed {
        /// The number of the request.
        ticket: u64,
        /// The plan of applying it; `None` if nothing would change.
        result: Box<Result<Option<Plan>, String>>,
    },
    /// A saved layout was applied.
    Loaded {
        /// Its name.
        name: String,
        /// The applied change; `None` if nothing had to change.
        result: Box<Result<Option<Applied>, String>>,
    },
    /// The live layout was saved.
    Saved {
        /// Its name.
        name: String,
        /// The outcome, or the reason why it was not saved.
        result: Result<SavedRows, SaveFailure>,
    },
    /// A saved layout was renamed.
    Renamed {
        /// Its old name.
        from: String,
        /// Its new name.
        to: String,
        /// The error, if it failed.
        result: Result<(), String>,
    },
    /// A saved layout was deleted.
    Deleted {
        /// Its name.
        name: String,
        /// The error, if it failed.
        result: Result<(), String>,
    },
    /// The answer to [`Effect::ReadCurrent`]: the live rows belong to another saved layout by now, because
    /// another console has loaded or saved it.
    Current {
        /// The layout that the question named.
        known: Option<String>,
        /// The layout; `None` if the live rows are saved nowhere.
        name: Option<String>,
        /// The layout as it is saved; `None` if it cannot be read.
        saved: Option<Box<SavedLayout>>,
    },
    /// The layout to compare the live one with, until one is saved or loaded.
    Baseline(Layout),
    /// The whole journal.
    Journal(Vec<Arc<JournalEntry>>),
    /// New lines of the log.
    Log(Vec<LogLine>),
    /// A recording of requests was started or stopped, with the message; or the error.
    Recorded(Result<String, String>),
    /// A picture was written to this path, or the error.
    Pictured(Result<String, String>),
}

impl Action {
    /// Returns true if the user causes the action by a key, the mouse or a paste.
    pub(super) fn is_gesture(&self) -> bool {
        matches!(
            self,
            Self::Key(_)
                | Self::Paste(_)
                | Self::Command(_)
                | Self::Jump(_)
                | Self::Click(_)
                | Self::Expand(_)
                | Self::Grab { .. }
                | Self::Hover { .. }
                | Self::Pick
                | Self::PickCore { .. }
                | Self::Drop { .. }
                | Self::Aim { .. }
                | Self::CancelDrag(_)
                | Self::Amount(_)
                | Self::Step { .. }
                | Self::Scroll(_)
                | Self::Wheel { .. }
        )
    }

    /// Returns true if the action must be drawn at once instead of at the pace of new data.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Snapshot(_) | Self::Log(_))
    }
}

/// A change that may need a question before it is applied.
#[derive(Clone, Debug, PartialEq)]
pub enum GuardedChange {
    /// A change of the live layout.
    Change {
        /// The kind of change, for the message.
        kind: AppliedKind,
        /// The change.
        change: Change,
    },
    /// The saved layout of this name.
    Layout(String),
}

/// The kind of an applied change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppliedKind {
    /// A gesture or a step.
    Change,
    /// All staged changes.
    Staged,
    /// An undo.
    Undo,
    /// A redo.
    Redo,
}

impl fmt::Display for AppliedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Change => "",
            Self::Staged => "applied: ",
            Self::Undo => "undone: ",
            Self::Redo => "redone: ",
        })
    }
}

/// Text typed into a field that the worker parses.
#[derive(Clone, Debug, PartialEq)]
pub enum TypedInput {
    /// A value for a key of a row, as a layout file writes it.
    Key {
        /// The current row.
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
        /// The names of the existing models.
        taken: Vec<String>,
    },
}

/// The change that typed text describes, with its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedInput {
    /// The change, without the staged ones.
    pub change: Change,
    /// The plan of the change after the staged ones.
    pub plan: Plan,
}

/// The purpose of a requested plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanPurpose {
    /// The dragged item, dropped on the row under it.
    Drag,
    /// All staged changes.
    Staged,
}

/// Side effects requested by `update`.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Plan a change.
    Plan {
        /// The number of the request.
        ticket: u64,
        /// The purpose of the plan.
        question: PlanPurpose,
        /// The change.
        change: Change,
    },
    /// Parse typed text and plan the change.
    Read {
        /// The number of the request.
        ticket: u64,
        /// The text with its context.
        typed: TypedInput,
        /// The staged changes that come before it.
        before: Change,
    },
    /// Plan a change for each row, to find the rows that would refuse the dragged item.
    Survey {
        /// The number of the request.
        ticket: u64,
        /// A change for each row.
        candidates: Vec<(CoreOwner, Change)>,
    },
    /// Apply a change, also if it asks for far more threads than there are cores.
    ApplyAnyway(GuardedChange),
    /// Apply a change, unless it needs a question.
    Apply {
        /// The kind of change, for the message.
        kind: AppliedKind,
        /// The change.
        change: Change,
    },
    /// Undo the newest change.
    Undo,
    /// Redo the change that was undone last.
    Redo,
    /// Undo the change of this number, whoever made it.
    UndoChange(u64),
    /// List the saved layouts.
    ListProfiles,
    /// Plan the change to a saved layout.
    PreviewProfile {
        /// The number of the request.
        ticket: u64,
        /// Its name.
        name: String,
    },
    /// Apply a saved layout.
    LoadProfile(String),
    /// Apply this layout, as it was last saved.
    Restore(Box<Layout>),
    /// Save the live layout.
    SaveProfile {
        /// The name.
        name: String,
        /// The file that may be written.
        target: SaveTarget,
    },
    /// Rename a saved layout.
    RenameProfile {
        /// Its old name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Delete a saved layout.
    DeleteProfile(String),
    /// Record which saved layout the live rows belong to; `None` if they are saved nowhere.
    SetCurrentLayout(Option<String>),
    /// Read which saved layout the live rows belong to.
    ReadCurrent {
        /// The layout that this console knows.
        known: Option<String>,
    },
    /// Read the whole journal.
    ReadJournal,
    /// Read the lines of the log with a higher number.
    ReadLog {
        /// The number of the last known line.
        after: u64,
    },
    /// Record the live requests of this model, or stop its recording.
    Record(String),
    /// Capture the mouse or leave it to the terminal, as the state says.
    Mouse,
    /// Write the screen to a file.
    Picture,
    /// Redraw the whole screen.
    Redraw,
    /// Suspend the process, as the shell's job control does.
    Suspend,
    /// End the run in another process.
    StopRun,
    /// Quit.
    Quit,
}

impl Effect {
    /// Returns true if further input must wait for the answer, because the answer changes what the
    /// input does.
    pub fn delays_input(&self) -> bool {
        match self {
            Self::Plan { question: PlanPurpose::Staged, .. }
            | Self::Apply { .. }
            | Self::ApplyAnyway(_)
            | Self::Undo
            | Self::Redo
            | Self::UndoChange(_)
            | Self::ListProfiles
            | Self::LoadProfile(_)
            | Self::Restore(_)
            | Self::SaveProfile { .. }
            | Self::RenameProfile { .. }
            | Self::DeleteProfile(_)
            | Self::ReadJournal => true,
            // shown beside what the input does; the state itself waits for a text that was entered
            Self::Plan { question: PlanPurpose::Drag, .. }
            | Self::Survey { .. }
            | Self::Read { .. }
            | Self::PreviewProfile { .. }
            | Self::ReadLog { .. }
            | Self::Record(_)
            | Self::StopRun
            | Self::ReadCurrent { .. }
            // without an answer
            | Self::SetCurrentLayout(_)
            | Self::Mouse
            | Self::Picture
            | Self::Redraw
            | Self::Suspend
            | Self::Quit => false,
        }
    }
}

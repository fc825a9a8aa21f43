//! Dialogs, which cover the screen and receive the keys: help, palette, text fields, questions.

use super::action::GuardedChange;
use super::editor::TextField;
use super::process_picker::ProcessPicker;
use super::row_editor::{InputPrompt, RowEditor};
use super::save::ComparisonDialog;
use super::screen::Column;

/// An open dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// All keys and gestures.
    Help {
        /// First line shown.
        scroll: usize,
    },
    /// Commands by name.
    Palette {
        /// The typed text.
        editor: TextField,
        /// The index of the selected match.
        at: usize,
    },
    /// The filter of the table. It applies while the user types.
    Filter {
        /// The typed text.
        editor: TextField,
    },
    /// A name for the live layout.
    SaveAs {
        /// The typed text.
        editor: TextField,
        /// The proposed free name. It changes when the saved layouts become known, unless the user
        /// has changed the text. `None` if the text is the name of the live layout.
        proposed: Option<String>,
    },
    /// The question about a file that changed since it was loaded.
    Comparison(ComparisonDialog),
    /// An error of several lines.
    Report {
        /// The text.
        text: String,
        /// The first shown line.
        scroll: usize,
    },
    /// The keys of a row.
    Row(RowEditor),
    /// The path of a model to add.
    Add(InputPrompt),
    /// The processes that belong to no row.
    Processes(ProcessPicker),
    /// A new name for a saved layout.
    Rename {
        /// Its old name.
        from: String,
        /// The typed text.
        editor: TextField,
    },
    /// A question with yes and no.
    Confirm {
        /// The question.
        question: String,
        /// The effect of the answer yes.
        yes: ConfirmedAction,
    },
    /// The question before quitting with unsaved or unapplied changes: see
    /// [`super::ConsoleState::ways_out`].
    Quit,
}

/// The effect of the answer yes.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfirmedAction {
    /// Deletes a saved layout.
    Delete(String),
    /// Overwrites another layout.
    Overwrite(String),
    /// Restores the last saved state.
    Restore,
    /// Removes a model.
    Remove(String),
    /// Applies a change that asks for far more threads than there are cores.
    Apply(GuardedChange),
    /// Performs a step of a field.
    Step {
        /// The model.
        model: String,
        /// The column.
        column: Column,
        /// Steps up; negative for down.
        by: i32,
    },
    /// Drops the staged changes.
    DiscardStaged,
    /// Ends the run in another process.
    StopRun,
}

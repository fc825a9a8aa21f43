//! The console's state: one value that `update` changes and the view reads.

mod action;
mod changes;
mod command;
mod commands;
mod console_state;
mod core_order;
mod dialog;
mod dialog_keys;
mod drag;
mod editor;
mod excess;
mod gestures;
pub mod gpus;
mod history;
mod hits;
mod layout_commands;
mod layouts;
mod log;
mod message_change;
mod navigation;
mod offers;
mod origin;
mod origin_changes;
mod row_editing;
mod row_editor;
mod row_order;
mod save;
mod screen;
mod selection;
mod settling;
mod small_screen;
mod sorting;
mod staged_changes;
mod staging;
mod steps;
mod update;

pub use action::{
    Action, AppliedKind, Effect, GuardedChange, ParsedInput, PlanPurpose, TypedInput,
};
pub use command::Command;
pub use console_state::ConsoleState;
pub use dialog::{ConfirmedAction, Dialog};
pub use drag::{Drag, DragInput, DragItem, TransferKind};
pub use editor::TextField;
pub use history::{GpuHistoryPoint, HISTORY_BINS, HistoryPoint, MetricHistory};
pub use hits::{HitMap, ScrollArea, ScrollLimits, Target};
pub use layouts::LayoutList;
pub use log::LogView;
pub use offers::{help_of, matching, offers};
pub use row_editor::{InputPrompt, RowEditor};
pub use save::{ComparisonDialog, FileComparison, SaveFailure, SaveTarget, SavedRows};
pub use screen::{Column, Message, Mode, Pane, Screen, Tone};
pub use settling::is_settled;
pub use sorting::{SortKey, Sorting};
pub use staged_changes::StagedChanges;
pub use update::update;

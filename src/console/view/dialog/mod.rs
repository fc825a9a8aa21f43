//! Dialogs over the screen: help, palette, text fields, questions and the row editor.

pub(in crate::console::view) mod comparison;
mod dialog_box;
mod help;
mod open;
mod palette;
mod processes;
mod question;
mod row_editor;
mod text_pane;

pub(super) use help::help_lines;
pub(super) use open::{draw, quit_question};

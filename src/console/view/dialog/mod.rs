//! Dialogs over the screen: help, palette, text fields, questions and the row editor.

mod dialog_box;
mod help;
mod open;
mod palette;
mod question;
mod row_editor;

pub(super) use open::draw;

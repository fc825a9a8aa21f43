//! From the state to a frame. Drawing changes nothing; it returns the map of what can be clicked.

mod answer_keys;
mod board;
mod canvas;
mod change_text;
mod dialog;
mod footer;
mod frame;
mod header;
mod key;
mod loan_text;
mod painter;
mod plan_text;
mod process_text;
mod screens;
mod sent_frame;
mod server_text;
mod small_screen;
mod tags;
mod text_field;

pub use frame::{MIN_SIZE, draw};
pub use painter::{Painted, Painter};
pub use sent_frame::SentFrame;

//! Input of the console: events of the terminal, keys, the pointer, and typed text.

pub(crate) mod events;
pub(crate) mod input_queue;
mod keymap;
pub(crate) mod parse_input;
pub(crate) mod pointer;

pub(crate) use keymap::Key;
pub use keymap::Keymap;

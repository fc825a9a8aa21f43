//! The console: shows which core works for which model, and turns gestures into changes.
//!
//! Data flows one way. Threads send events to the loop in [`run`]. `state::update` turns each action
//! into a new state and a list of effects. A worker thread performs the effects over
//! [`Control`](crate::scheduler::Control) and answers with further actions. `view::draw` paints the
//! state and returns the map of what can be clicked, with the ends of its scrollable parts.
//! Only [`terminal`] touches the terminal.

mod config;
mod event_loop;
mod format;
mod glyphs;
mod input;
mod known_layouts;
mod layout_loading;
mod options;
pub mod panic_log;
mod picture;
pub mod state;
mod stderr_redirect;
pub mod terminal;
#[cfg(test)]
pub(crate) mod tests;
mod theme;
pub mod view;
mod worker;

pub use config::{Config, default_config};
pub use event_loop::run;
pub use glyphs::GlyphSet;
pub use input::Keymap;
pub use options::{AttachedRun, ConsoleError, ConsoleOptions, ConsoleResult, Exit};
pub use picture::{picture, svg};
pub use state::Mode;
pub use theme::ThemeName;

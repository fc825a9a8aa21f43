//! The program itself: loads the models, starts the scheduler and the load, and opens the console or
//! reports to standard output.

mod args;
mod autosave;
mod console_session;
#[cfg(unix)]
mod control_args;
#[cfg(unix)]
mod control_host;
#[cfg(unix)]
mod detach;
#[cfg(unix)]
mod detached_log;
mod last_session;
mod lasting_rows;
mod layout_folders;
#[cfg(unix)]
mod life_args;
mod live_layout;

mod log;
mod lost_terminal;
mod named_layout;
mod own_threads;
mod preload;
mod process_args;
mod process_host;
mod process_rows;
mod program;
mod record;
#[cfg(unix)]
mod reload;
#[cfg(unix)]
mod run_control;
#[cfg(not(unix))]
#[path = "no_control.rs"]
mod run_control;
mod run_limits;
mod run_records;
mod run_tokens;
mod saved_layout;
mod serve_args;
#[cfg(unix)]
mod service;
mod serving;
mod signals;
mod startup;
mod startup_layout;
mod state_file;
#[cfg(test)]
mod tests;

#[cfg(unix)]
pub(super) use args::no_console;
pub use args::{ConsoleArgs, EngineArg, RunArgs};
#[cfg(unix)]
pub(super) use console_session::console_options;
#[cfg(unix)]
pub use control_args::ControlArgs;
#[cfg(unix)]
pub(super) use detach::start_for_console;
#[cfg(unix)]
pub use detach::{serves_from_terminal, start as start_detached};
pub(super) use lasting_rows::lasting;
pub(super) use layout_folders::LayoutFolders;
#[cfg(unix)]
pub use life_args::LifeArgs;
pub use process_args::ProcessArgs;
pub use program::run;
pub use serve_args::ServeArgs;
#[cfg(unix)]
pub(super) use signals::{HangUp, StopSignals};

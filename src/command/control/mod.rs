//! Subcommands that watch and change a running divvy over its control socket.

mod applied;
mod apply;
mod attach;
#[cfg(test)]
mod console_tests;
mod edit;
mod follow;
mod history;
mod layout_input;
mod list;
mod reload;
mod select;
mod stop;
mod top;
mod wait;

pub use apply::{ApplyArgs, PlanArgs, apply, plan};
pub use attach::{AttachArgs, attach, serve};
pub use edit::{SetArgs, TransferArgs, set, transfer};
pub(super) use follow::follow;
pub use history::{RedoArgs, UndoArgs, redo, undo};
pub use list::{ListArgs, LiveLayoutArgs, layout, list};
pub use reload::{ReloadArgs, reload};
pub use select::{FolderArgs, RunSelection};
pub use stop::{StopArgs, stop};
pub use top::{TopArgs, top};
pub use wait::{WaitArgs, wait};

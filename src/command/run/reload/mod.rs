//! Reloads a running divvy: the layout file, replaced model files, and the tokens of its clients.

mod file_identity;
mod layout_reload;
mod model_files;
mod reload_thread;
mod reloader;

pub(super) use reload_thread::{ReloadTriggers, follow};
pub(super) use reloader::{ReloadSources, Reloader};

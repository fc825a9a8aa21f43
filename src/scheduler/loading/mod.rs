//! Loading: from a row of the layout to a model with its requests.

mod dimension_guesses;
mod engine_loader;
mod instance_setup;
mod loader;

pub use engine_loader::EngineLoader;
pub(super) use instance_setup::instance_setup;
pub use loader::{LoadRequest, LoadedModel, Loader, PreparedRequests};

//! Loading: from a row of the layout to a model with its requests.

mod dimension_guesses;
mod engine_loader;
mod loader;

pub use engine_loader::EngineLoader;
pub use loader::{LoadedModel, Loader, PreparedRequests};

//! The embedded engine: rten, pure Rust and part of the executable. Instances of any width share one
//! copy of the weights; each has its own small thread pool.

mod convert;
mod engine;
mod explain;
mod graph;
mod instance;
mod loading_threads;
mod model;
mod name;

pub use engine::Rten;
pub(crate) use loading_threads::loading_threads;
pub(crate) use model::cpu_only_error;

#[cfg(test)]
mod tests;

//! Synthetic models of a chosen size, with real operators and seeded weights: demos, tests and
//! benchmarks need no download. The same recipe and seed produce the same bytes on every machine.

mod conv;
mod encoder;
mod graph;
mod mlp;
mod recipe;
mod size;

pub use conv::Conv;
pub use encoder::Encoder;
pub use mlp::Mlp;
pub use recipe::{Recipe, SEED, embedded_recipes};
pub use size::Size;

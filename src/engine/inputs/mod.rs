//! Input tensors: whether given ones fit a model, and seeded ones where none are given.

mod check;
mod dims;
mod synthesize;

pub use check::{arrange, check_inputs};
pub use synthesize::{InputRules, SynthesizedRequest, synthesize};

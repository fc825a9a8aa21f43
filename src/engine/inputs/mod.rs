//! Input tensors: checks of given ones, and synthesis from a seed.

mod check;
mod dims;
mod synthesize;

pub(crate) use check::explain_failure;
pub use check::{arrange, check_inputs};
pub use synthesize::{InputRules, SynthesizedRequest, synthesize};

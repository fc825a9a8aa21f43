//! Tests of the whole console: gestures and keys in, changes and frames out.

mod change_status;
mod editing;
mod excess;
pub(crate) mod fixtures;
mod frames;
mod gestures;
mod gpu_gestures;
mod input_stress;
mod many_models;
mod odd_values;
mod order;
mod painting;
mod pseudo_terminal;
mod ranges;
mod readability;
mod saving;
mod scrolling;
mod testing;

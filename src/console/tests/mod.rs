//! Tests of the whole console: gestures and keys in, changes and frames out.

mod bursts;
mod change_status;
mod changed_files;
mod clients;
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
mod random_run;
mod ranges;
mod readability;
mod readonly;
mod saving;
mod scrolling;
mod small_screen;
mod staging;
mod testing;
mod text_input;

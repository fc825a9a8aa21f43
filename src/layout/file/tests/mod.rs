//! Tests of reading and saving layout files.

mod comparison;
mod mixed_rows;
mod parse;
mod save;
mod strategies;

//! Tests of reading and saving layout files.

mod parse;
mod save;

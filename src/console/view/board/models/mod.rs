//! The models pane: a table with one row per model and a row of free cores.

mod columns;
mod fields;
mod row;
mod table;

pub(super) use table::{Labels, draw};

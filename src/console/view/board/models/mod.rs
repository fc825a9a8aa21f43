//! The models pane: a table with one row per model and a row of free cores.

mod columns;
mod fields;
mod row;
mod table;
mod table_row;

pub(super) use table::{Labels, draw};

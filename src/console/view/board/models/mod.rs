//! The table of rows: models, processes and the free cores, and a line of other processes.

mod columns;
mod fields;
mod others_line;
mod process_fields;
mod row;
mod table;
mod table_row;

pub(super) use table::{Labels, draw};

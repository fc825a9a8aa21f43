//! The parser of layout files. It reports all faults of a file instead of stopping at the first.

mod gpu;
mod layout;
mod load;
mod process;
mod reader;
mod row;
mod server;
mod spans;
mod values;

pub(super) use layout::{ParsedFile, parse};
pub use reader::FileCheck;
pub(super) use spans::RowSpans;

//! The input and the results of the checks.

use serde::Serialize;

use crate::layout::budget::Budget;
use crate::layout::file::faults::Fault;
use crate::layout::file::parse::RowSpans;

/// A part of a layout that works, but not as well as its author may expect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Warning(pub Fault);

/// A row of a layout and the places of its values in the file.
#[derive(Clone, Copy)]
pub(in super::super) struct CheckedRow<'d> {
    pub(in super::super) budget: &'d Budget,
    pub(in super::super) spans: &'d RowSpans,
}

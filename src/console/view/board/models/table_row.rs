//! The values that one row of the table of models is drawn from.

use crate::layout::{CoreOwner, Row};
use crate::telemetry::ModelView;

/// A row of the table with what its fields are drawn from, looked up once.
pub(super) struct TableRow<'a> {
    /// The model, or the free cores.
    pub(super) owner: &'a CoreOwner,
    /// The model; `None` for the free cores.
    pub(super) model: Option<TableModel<'a>>,
}

/// The model of a row.
#[derive(Clone, Copy)]
pub(super) struct TableModel<'a> {
    /// Its index in the layout.
    pub(super) index: usize,
    /// Its state in the snapshot.
    pub(super) view: &'a ModelView,
    /// Its row with the staged changes.
    pub(super) row: &'a Row,
    /// Its short name.
    pub(super) tag: &'a str,
}

//! Tracks which saved layout the live rows belong to. Loading a layout changes it; undoing the load
//! restores it, so that a save never writes one layout's rows into another's file.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::Budget;

/// The previous layout of each load that can be undone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Origins {
    /// Per load: its journal id, and the layout that the next undo or redo of it switches to.
    pub(super) loads: Vec<(u64, Option<String>)>,
    /// The rows of each layout as they were last saved or loaded.
    pub(super) rows: BTreeMap<Option<String>, Vec<Budget>>,
    /// The newest undos and redos that have switched the layout: a snapshot and the answer to the request show
    /// the same one.
    pub(super) switched: BTreeSet<u64>,
}

/// The number of loads that are remembered.
pub(super) const MAX_LOADS: usize = 200;

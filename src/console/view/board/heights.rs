//! The heights of the board's panes: shared by need. Integer arithmetic throughout.

/// The least height of the latency histogram, without its border.
const LATENCY_MIN: u16 = 6;
/// The greatest height of the latency histogram: more rows do not make it easier to read.
const LATENCY_MAX: u16 = 28;
/// The rows of the table, without its titles, that no other pane may take if the screen has them.
const TABLE_MIN: u16 = 4;
/// The rows of the table that it gets before the latency histogram is shown: twelve models and the
/// free cores.
const TABLE_ENOUGH: u16 = 13;
/// The lowest body on which the latency histogram is shown.
const LATENCY_FROM: u16 = 18;

/// Rows of each pane, from the top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heights {
    pub(super) cores: u16,
    pub(super) models: u16,
    pub(super) latency: u16,
    pub(super) changes: u16,
    pub(super) resources: u16,
}

/// The rows that the panes ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeightDemand {
    /// Rows of a pane's border.
    pub(super) border: u16,
    /// Rows of the table of models, without its titles.
    pub(super) models: u16,
    /// Rows of the resources.
    pub(super) resources: u16,
    /// The content of the changes pane.
    pub(super) changes: ChangesDemand,
}

/// The content of the changes pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangesDemand {
    /// No change yet: one line says so.
    Empty,
    /// At least one change.
    Filled,
}

impl Heights {
    /// Divides `height` rows. `cores_in` returns the rows of the cores pane for the rows that it may
    /// have, borders included.
    ///
    /// The first change moves neither the cores nor the latency histogram: the rows that it needs are
    /// kept for it. Until then the table may use them.
    pub(super) fn divide(
        height: u16,
        wanted: HeightDemand,
        mut cores_in: impl FnMut(u16) -> u16,
    ) -> Self {
        let HeightDemand { border, models, resources, changes } = wanted;
        let table = |rows: u16| border + 1 + models.min(rows);
        let (least, enough, whole) = (table(TABLE_MIN), table(TABLE_ENOUGH), table(u16::MAX));
        let empty = changes == ChangesDemand::Empty;
        let lines = change_lines(height);
        let mut heights = Self::default();
        let mut rest = height;
        // GPUs are targets of a drag; the line of memory alone can be missed
        if resources > 1 && rest >= resources + least {
            heights.resources = resources;
            rest -= resources;
        }
        let kept = Some(border + lines.min(2)).filter(|kept| rest >= kept + least).unwrap_or(0);
        let latency = if height >= LATENCY_FROM { border + LATENCY_MIN } else { 0 };
        // the roomiest cores beside a full table and the histogram, or beside the table; else the
        // tightest that leave the table its least rows
        let free = rest - kept;
        let most = height * 2 / 5;
        let mut fit = |wished: u16, room: u16| Some(cores_in(wished)).filter(|rows| *rows <= room);
        let beside = |other: u16| free.saturating_sub(other).min(most);
        let (narrow, wide) = (beside(enough + latency), beside(enough));
        heights.cores = fit(narrow, narrow)
            .or_else(|| fit(wide, wide))
            .or_else(|| fit(0, beside(least)))
            .unwrap_or(0);
        rest -= heights.cores;
        let shown = latency > 0 && rest >= kept + enough + latency;
        let latency = if shown { latency } else { 0 };
        if !empty {
            heights.changes = kept;
            rest -= kept;
        }
        heights.models = enough.min(rest);
        rest -= heights.models;
        if heights.resources == 0 && resources > 0 && rest >= latency + resources {
            heights.resources = resources;
            rest -= resources;
        }
        let full = border + if empty { 1 } else { lines };
        let more = full.saturating_sub(heights.changes).min(rest - latency);
        if heights.changes > 0 || more > border {
            heights.changes += more;
            rest -= more;
        }
        let later = (border + lines).saturating_sub(heights.changes);
        let more = (whole - heights.models).min((rest - latency).saturating_sub(later));
        heights.models += more;
        rest -= more;
        if shown {
            heights.latency = rest.min(border + LATENCY_MAX);
            rest -= heights.latency;
        }
        if heights.changes > 0 {
            heights.changes += rest;
        } else {
            heights.models += rest;
        }
        heights
    }
}

/// Returns the lines of the changes pane that a body of this height has room for.
fn change_lines(height: u16) -> u16 {
    match height {
        0..20 => 1,
        20..26 => 2,
        26..32 => 3,
        32..44 => 4,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the heights on a body with an unboxed or a boxed border, and cores that need three
    /// rows, or two where there is no room for three.
    fn divide(height: u16, border: u16, models: u16, changes: ChangesDemand) -> Heights {
        let wanted = HeightDemand { border, models, resources: 1, changes };
        Heights::divide(height, wanted, |room| border + if room >= border + 3 { 3 } else { 2 })
    }

    #[test]
    fn twelve_models_fit_the_classic_screen() {
        for changes in [ChangesDemand::Empty, ChangesDemand::Filled] {
            let heights = divide(21, 1, 13, changes);
            assert_eq!(heights.models, 15, "{heights:?}");
            assert_eq!((heights.cores, heights.latency), (3, 0), "{heights:?}");
            assert!(heights.changes > 0, "{heights:?}");
        }
    }

    #[test]
    fn few_models_leave_room_for_latency() {
        let heights = divide(21, 1, 4, ChangesDemand::Filled);
        assert_eq!(heights.models, 6);
        assert!(heights.latency >= 7, "{heights:?}");
        assert_eq!((heights.cores, heights.changes, heights.resources), (4, 3, 1));
    }

    #[test]
    fn empty_changes_leave_rows_to_the_table() {
        assert_eq!(divide(9, 1, 13, ChangesDemand::Empty).models, 9);
        assert_eq!(divide(9, 1, 13, ChangesDemand::Filled).models, 7);
    }

    proptest! {
        #[test]
        fn table_always_has_room(
            height in 9u16..300, models in 1u16..200, border in 1u16..3, cores in 2u16..40,
            resources in 1u16..10, filled: bool,
        ) {
            let changes = if filled { ChangesDemand::Filled } else { ChangesDemand::Empty };
            let wanted = HeightDemand { border, models, resources, changes };
            let heights = Heights::divide(height, wanted, |_| cores);
            let sum = heights.cores + heights.models + heights.latency + heights.changes
                + heights.resources;
            prop_assert!(sum <= height);
            prop_assert!(heights.models > border + 1, "{heights:?}");
            prop_assert!(heights.latency == 0 || heights.latency >= border + LATENCY_MIN);
        }

        #[test]
        fn first_change_leaves_the_cores_in_place(
            height in 9u16..300, models in 1u16..200, border in 1u16..3,
        ) {
            let empty = divide(height, border, models, ChangesDemand::Empty);
            let filled = divide(height, border, models, ChangesDemand::Filled);
            prop_assert_eq!(empty.cores, filled.cores);
            prop_assert_eq!(empty.latency > 0, filled.latency > 0);
            // a table that shows every model does so after the change too, if the body allows it
            if empty.latency > 0 {
                prop_assert_eq!(empty.models, filled.models);
            }
        }
    }
}

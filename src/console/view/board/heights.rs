//! The heights of the board's panes. Integer arithmetic throughout.

/// The least height of the latency histogram, without its border.
const LATENCY_MIN: u16 = 6;
/// The greatest height of the latency histogram: more rows do not make it easier to read.
const LATENCY_MAX: u16 = 28;

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
}

impl Heights {
    /// Divides `height` rows. `cores_in` returns the rows of the cores pane for the rows that it may
    /// have, borders included.
    pub(super) fn divide(height: u16, wanted: HeightDemand, cores_in: impl Fn(u16) -> u16) -> Self {
        let HeightDemand { border, models, resources } = wanted;
        let mut heights = Self::default();
        let mut rest = height;
        let mut take = |wanted: u16, keep: u16| {
            let taken = if rest >= wanted + keep { wanted } else { 0 };
            rest -= taken;
            taken
        };
        let table_min = border + 1 + models.min(4);
        heights.resources = take(resources, table_min);
        let changes = match height {
            0..20 => 1,
            20..26 => 2,
            26..32 => 3,
            32..44 => 4,
            _ => 7,
        };
        heights.changes = take(border + changes, table_min);
        let latency = if height >= 18 { border + LATENCY_MIN } else { 0 };
        let room = rest.saturating_sub(table_min + latency).min(height * 2 / 5);
        heights.cores = Some(cores_in(room)).filter(|cores| *cores <= room).unwrap_or(0);
        rest -= heights.cores;
        heights.models =
            (border + 1 + models).min(rest.saturating_sub(latency)).max(table_min.min(rest));
        rest -= heights.models;
        if rest >= border + LATENCY_MIN {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn table_always_has_room(
            height in 9u16..300, models in 1u16..200, border in 1u16..3, cores in 2u16..40,
        ) {
            let wanted = HeightDemand { border, models, resources: 1 };
            let heights = Heights::divide(height, wanted, |_| cores);
            let sum = heights.cores + heights.models + heights.latency + heights.changes
                + heights.resources;
            prop_assert!(sum <= height);
            prop_assert!(heights.models > border + 1, "{heights:?}");
            prop_assert!(heights.latency == 0 || heights.latency >= border + LATENCY_MIN);
        }
    }
}

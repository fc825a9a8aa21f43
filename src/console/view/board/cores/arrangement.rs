//! The arrangement of the cores pane: cores grouped by node and last-level cache, as roomy as the pane
//! allows.

use crate::console::format;
use crate::console::state::ConsoleState;

/// The room that each core gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Density {
    /// Three rows: owner, use and wait.
    Full,
    /// Two rows: owner and use.
    Compact,
    /// One column, two rows: the owner's letter above a bar of use.
    Strip,
    /// One column, one row: the owner's letter; no group titles.
    Letters,
}

/// From this number of cores on, each gets one column.
const STRIP_FROM: usize = 64;
/// Columns of a bar of use.
pub(super) const BAR: usize = 4;

impl Density {
    /// Returns columns and rows of a core, the gap after it included.
    fn cell(self, digits: u16) -> (u16, u16) {
        match self {
            Self::Full => ((digits + 7).max(BAR as u16 + 6), 3),
            Self::Compact => (digits + 7, 2),
            Self::Strip => (1, 2),
            Self::Letters => (1, 1),
        }
    }
}

/// The arrangement of the cores pane, relative to its inside.
pub(super) struct Arrangement {
    pub(super) density: Density,
    /// Columns and rows of a core.
    pub(super) cell: (u16, u16),
    /// Each core's index in the snapshot, its column and its row.
    pub(super) places: Vec<(usize, u16, u16)>,
    /// Each group's title, its column and its row.
    pub(super) labels: Vec<(String, u16, u16)>,
    /// Rows in all.
    pub(super) height: u16,
}

fn label(state: &ConsoleState, members: &[usize], nodes: bool) -> String {
    let Some(view) = members.first().and_then(|index| state.snapshot.cores.get(*index)) else {
        return String::new();
    };
    let cache = view.core.l3.map_or_else(|| "cores".to_owned(), |l3| format!("L3 {l3}"));
    if nodes { format!("node {} {cache}", view.core.node) } else { cache }
}

fn arrange(state: &ConsoleState, width: u16, density: Density) -> Arrangement {
    let digits = state.snapshot.cores.iter().map(|view| view.core.id.0).max().unwrap_or(0);
    let cell = density.cell(digits.to_string().len() as u16);
    let groups = state.core_groups();
    let labelled = u16::from(groups.len() > 1 && density != Density::Letters);
    let nodes = state.snapshot.cores.iter().any(|view| view.core.node > 0);
    let mut plan = Arrangement { density, cell, places: Vec::new(), labels: Vec::new(), height: 0 };
    let (mut x, mut y) = (0, 0);
    let line = cell.1 + labelled;
    for members in &groups {
        let title = label(state, members, nodes);
        let needs = cell.0.saturating_mul(members.len() as u16).max(format::width(&title) as u16);
        // a group that fits on one line is not broken
        if x > 0 && x + needs > width {
            (x, y) = (0, y + line);
        }
        if labelled == 1 {
            plan.labels.push((title.clone(), x, y));
        }
        let start = x;
        for index in members {
            if x > 0 && x + cell.0 > width + 1 {
                (x, y) = (0, y + line);
            }
            plan.places.push((*index, x, y + labelled));
            x += cell.0;
        }
        let label_end = start + format::width(&title) as u16;
        x = if labelled == 1 { x.max(label_end) } else { x } + 2;
        plan.height = y + line;
    }
    plan
}

/// Returns the roomiest arrangement that fits into `room` rows, or the tightest.
pub(super) fn choose(state: &ConsoleState, width: u16, room: u16) -> Arrangement {
    let densities: &[Density] = if state.snapshot.cores.len() >= STRIP_FROM {
        &[Density::Strip]
    } else {
        &[Density::Full, Density::Compact, Density::Strip]
    };
    densities
        .iter()
        .map(|density| arrange(state, width, *density))
        .find(|plan| plan.height <= room)
        .unwrap_or_else(|| arrange(state, width, Density::Letters))
}

/// Returns the rows that the pane needs inside its border.
pub(in crate::console::view::board) fn height(state: &ConsoleState, width: u16, room: u16) -> u16 {
    choose(state, width, room).height.max(1)
}

/// Returns true if a pane of this size shows each owner as one letter.
pub(in crate::console::view::board) fn shows_letters(
    state: &ConsoleState,
    width: u16,
    room: u16,
) -> bool {
    matches!(choose(state, width, room).density, Density::Strip | Density::Letters)
}

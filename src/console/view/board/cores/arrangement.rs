//! The arrangement of the cores pane: cores grouped by node and last-level cache, as roomy as the pane
//! allows.

use crate::console::format;
use crate::console::state::ConsoleState;

/// The room that each core gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::console::view::board) enum Density {
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

impl Arrangement {
    /// Returns the room that each core gets.
    pub(in crate::console::view::board) fn density(&self) -> Density {
        self.density
    }

    /// Returns true if each owner is shown as one letter.
    pub(in crate::console::view::board) fn shows_letters(&self) -> bool {
        matches!(self.density, Density::Strip | Density::Letters)
    }
}

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
pub(in crate::console::view::board) struct Arrangement {
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

/// Finds the arrangement of the cores pane for a width. Each density is arranged at most once.
pub(in crate::console::view::board) struct Arranger<'s> {
    state: &'s ConsoleState,
    width: u16,
    /// The groups of cores with their titles.
    groups: Vec<(Vec<usize>, String)>,
    /// The arrangements so far, the roomiest first.
    arranged: Vec<Arrangement>,
}

impl<'s> Arranger<'s> {
    /// Starts without any arrangement.
    pub(in crate::console::view::board) fn new(state: &'s ConsoleState, width: u16) -> Self {
        let nodes = state.snapshot.cores.iter().any(|view| view.core.node > 0);
        let naming = if nodes { Naming::NodeAndCache } else { Naming::Cache };
        let titled = |members: Vec<usize>| {
            let title = title(state, &members, naming);
            (members, title)
        };
        let groups = state.core_groups().into_iter().map(titled).collect();
        Self { state, width, groups, arranged: Vec::new() }
    }

    /// Returns the densities to try, the roomiest first.
    fn densities(&self) -> &'static [Density] {
        if self.state.snapshot.cores.len() >= STRIP_FROM {
            &[Density::Strip, Density::Letters]
        } else {
            &[Density::Full, Density::Compact, Density::Strip, Density::Letters]
        }
    }

    /// Returns the rows of the roomiest arrangement that fits into `room` rows, or of the tightest.
    pub(in crate::console::view::board) fn height(&mut self, room: u16) -> u16 {
        let mut height = 0;
        for (index, density) in self.densities().iter().enumerate() {
            if self.arranged.len() <= index {
                self.arranged.push(self.arrange(*density));
            }
            height = self.arranged.get(index).map_or(0, |plan| plan.height);
            if height <= room {
                break;
            }
        }
        height.max(1)
    }

    /// Returns the roomiest arrangement that fits into `room` rows, or the tightest.
    pub(in crate::console::view::board) fn choose(mut self, room: u16) -> Arrangement {
        // arranges what is missing
        self.height(room);
        let tightest = self.arranged.len().saturating_sub(1);
        let at = self.arranged.iter().position(|plan| plan.height <= room).unwrap_or(tightest);
        self.arranged.swap_remove(at)
    }

    fn arrange(&self, density: Density) -> Arrangement {
        let cores = self.state.snapshot.cores.iter();
        let digits = cores.map(|view| view.core.id.0).max().unwrap_or(0);
        let cell = density.cell(digits.to_string().len() as u16);
        let labelled = u16::from(self.groups.len() > 1 && density != Density::Letters);
        let mut plan =
            Arrangement { density, cell, places: Vec::new(), labels: Vec::new(), height: 0 };
        let (mut x, mut y) = (0, 0);
        let line = cell.1 + labelled;
        for (members, title) in &self.groups {
            let needs =
                cell.0.saturating_mul(members.len() as u16).max(format::width(title) as u16);
            // a group that does not fit into the rest of this line starts the next one
            if x > 0 && x + needs > self.width {
                (x, y) = (0, y + line);
            }
            if labelled == 1 {
                plan.labels.push((title.clone(), x, y));
            }
            let start = x;
            for index in members {
                if x > 0 && x + cell.0 > self.width + 1 {
                    (x, y) = (0, y + line);
                }
                plan.places.push((*index, x, y + labelled));
                x += cell.0;
            }
            let label_end = start + format::width(title) as u16;
            x = if labelled == 1 { x.max(label_end) } else { x } + 2;
            plan.height = y + line;
        }
        plan
    }
}

/// The parts of a group's title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// The last-level cache.
    Cache,
    /// The node and the last-level cache.
    NodeAndCache,
}

/// Returns the title of a group of cores.
fn title(state: &ConsoleState, members: &[usize], naming: Naming) -> String {
    let Some(view) = members.first().and_then(|index| state.snapshot.cores.get(*index)) else {
        return String::new();
    };
    let cache = view.core.l3.map_or_else(|| "cores".to_owned(), |l3| format!("L3 {l3}"));
    match naming {
        Naming::Cache => cache,
        Naming::NodeAndCache => format!("node {} {cache}", view.core.node),
    }
}

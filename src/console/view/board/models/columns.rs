//! Which columns the table has at a width: the least important are left out first, and spare room
//! goes to names and core cells.

use crate::console::state::{Column, SortKey};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The short name, as in the cores pane.
    Tag,
    /// The name.
    Name,
    /// One cell per core.
    Cells,
    /// The number of cores.
    Cores,
    /// Instances by threads.
    Split,
    /// One pip per instance, filled while it runs a request.
    Pips,
    /// Waiting requests and the queue's limit.
    Queue,
    /// Completed requests per second.
    Rate,
    /// Requests per second from clients of the server.
    Outside,
    /// Recently refused requests of clients.
    Refused,
    /// Requests per second that the built-in load offers; only beside a server.
    Load,
    /// Median latency.
    P50,
    /// 99th percentile.
    P99,
    /// The target and its slack.
    Slo,
    /// The GPU, or the CPU; only on a machine with a GPU.
    Gpu,
    /// CPU time in cores.
    Cpu,
    /// Memory that the engine holds.
    Memory,
    /// p99 of the last seconds as a small graph.
    Trend,
}

/// Columns from left to right: least width, and rank (1 is left out last).
const ALL: [(Field, usize, u8); 18] = [
    (Field::Tag, 3, 7),
    (Field::Name, 8, 1),
    (Field::Cells, 4, 2),
    (Field::Cores, 3, 3),
    (Field::Split, 5, 9),
    (Field::Pips, 4, 6),
    (Field::Queue, 8, 8),
    (Field::Rate, 6, 5),
    (Field::Outside, 7, 3),
    (Field::Refused, 7, 10),
    (Field::Load, 6, 12),
    (Field::P50, 6, 11),
    (Field::P99, 6, 4),
    (Field::Slo, 13, 4),
    (Field::Gpu, 5, 4),
    (Field::Cpu, 5, 13),
    (Field::Memory, 5, 14),
    (Field::Trend, 12, 15),
];

impl Field {
    /// Returns the heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Tag => "",
            Self::Name => "model",
            Self::Cells => "cores",
            Self::Cores => "n",
            Self::Split => "inst",
            Self::Pips => "busy",
            Self::Queue => "queue",
            Self::Rate => "req/s",
            Self::Outside => "outside",
            Self::Refused => "refused",
            Self::Load => "load",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Slo => "SLO ms slack",
            Self::Gpu => "GPU",
            Self::Cpu => "CPU",
            Self::Memory => "mem",
            Self::Trend => "p99 by 1 s",
        }
    }

    /// Returns true if it is a number, which is right-aligned.
    pub(super) fn numeric(self) -> bool {
        matches!(
            self,
            Self::Cores
                | Self::Queue
                | Self::Rate
                | Self::Outside
                | Self::Refused
                | Self::Load
                | Self::P50
                | Self::P99
                | Self::Cpu
                | Self::Memory
        )
    }

    /// Returns the order that a click on the title selects.
    pub(super) fn sort(self) -> Option<SortKey> {
        match self {
            Self::Name => Some(SortKey::Name),
            Self::Cores => Some(SortKey::Cores),
            Self::Queue => Some(SortKey::Queue),
            Self::Rate => Some(SortKey::Rate),
            Self::Outside => Some(SortKey::Outside),
            Self::Refused => Some(SortKey::Refused),
            Self::Load => Some(SortKey::Load),
            Self::P50 => Some(SortKey::P50),
            Self::P99 => Some(SortKey::P99),
            Self::Slo => Some(SortKey::Slack),
            Self::Cpu => Some(SortKey::Cpu),
            Self::Memory => Some(SortKey::Memory),
            Self::Tag | Self::Cells | Self::Split | Self::Pips | Self::Gpu | Self::Trend => None,
        }
    }

    /// Returns the column of the row that `+` and `-` change, if it is one.
    pub(super) fn column(self) -> Option<Column> {
        match self {
            Self::Cells | Self::Cores => Some(Column::Cores),
            Self::Pips => Some(Column::Instances),
            Self::Split => Some(Column::Threads),
            Self::Queue => Some(Column::Queue),
            Self::Slo => Some(Column::Slo),
            Self::Gpu => Some(Column::Gpu),
            _ => None,
        }
    }
}

/// Returns the columns that fit into `width`, with their widths. The first two columns of the width
/// belong to the row's marker. `left_out` are columns that this run does not need.
pub(super) fn columns(width: usize, left_out: &[Field]) -> Vec<(Field, usize)> {
    let mut room = width.saturating_sub(2);
    let mut order: Vec<_> =
        ALL.into_iter().filter(|(field, ..)| !left_out.contains(field)).collect();
    order.sort_by_key(|(.., rank)| *rank);
    let mut shown = Vec::new();
    for (field, size, _) in order {
        if room < size + 1 {
            break;
        }
        room -= size + 1;
        shown.push(field);
    }
    let mut columns: Vec<(Field, usize)> = ALL
        .iter()
        .filter(|(field, ..)| shown.contains(field))
        .map(|(field, size, _)| (*field, *size))
        .collect();
    // spare room: half to names, a half of the rest to cells, then pips, each up to its maximum
    for (wanted, most, share) in
        [(Field::Name, 14, 2), (Field::Cells, 16, 2), (Field::Pips, 8, 1), (Field::Name, 40, 1)]
    {
        if let Some((_, size)) = columns.iter_mut().find(|(field, _)| *field == wanted) {
            let more = (room / share).min(most - (*size).min(most));
            *size += more;
            room -= more;
        }
    }
    widen_cells(&mut columns);
    columns
}

/// Gives the cells room for their title, if the names have more than they need.
fn widen_cells(columns: &mut [(Field, usize)]) {
    let title = Field::Cells.title().len();
    let name = columns.iter().position(|(field, size)| *field == Field::Name && *size > 8);
    let cells = columns.iter().position(|(field, size)| *field == Field::Cells && *size < title);
    let (Some(name), Some(cells)) = (name, cells) else { return };
    if let Some((_, size)) = columns.get_mut(name) {
        *size -= 1;
    }
    if let Some((_, size)) = columns.get_mut(cells) {
        *size += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_SERVER: [Field; 4] = [Field::Gpu, Field::Outside, Field::Refused, Field::Load];

    #[test]
    fn columns_fit_into_the_width() {
        for width in 20..400 {
            let used: usize = columns(width, &[]).iter().map(|(_, size)| size + 1).sum();
            assert!(used + 2 <= width, "{width}: {used}");
        }
    }

    #[test]
    fn narrow_table_keeps_name_cores_latency() {
        let fields: Vec<Field> =
            columns(38, &NO_SERVER).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, [Field::Name, Field::Cells, Field::Cores, Field::P99]);
        assert_eq!(columns(220, &[]).len(), ALL.len());
        assert_eq!(columns(220, &[Field::Gpu]).len(), ALL.len() - 1);
    }

    #[test]
    fn narrow_table_shows_requests_from_outside() {
        for width in [38, 78] {
            let columns = columns(width, &[Field::Gpu]);
            let shows = |wanted| columns.iter().any(|(field, _)| *field == wanted);
            assert!(shows(Field::Outside) && shows(Field::P99), "{width}");
        }
    }
}

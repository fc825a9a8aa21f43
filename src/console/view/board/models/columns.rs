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
const ALL: [(Field, usize, u8); 15] = [
    (Field::Tag, 3, 7),
    (Field::Name, 8, 1),
    (Field::Cells, 4, 2),
    (Field::Cores, 3, 3),
    (Field::Split, 5, 8),
    (Field::Pips, 4, 6),
    (Field::Queue, 8, 9),
    (Field::Rate, 6, 5),
    (Field::P50, 6, 10),
    (Field::P99, 6, 4),
    (Field::Slo, 13, 4),
    (Field::Gpu, 5, 4),
    (Field::Cpu, 5, 11),
    (Field::Memory, 5, 12),
    (Field::Trend, 12, 13),
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
/// belong to the row's marker. `left_out` is a column that this machine does not need.
pub(super) fn columns(width: usize, left_out: Option<Field>) -> Vec<(Field, usize)> {
    let mut room = width.saturating_sub(2);
    let mut order: Vec<_> =
        ALL.into_iter().filter(|(field, ..)| Some(*field) != left_out).collect();
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
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_into_the_width() {
        for width in 20..400 {
            let used: usize = columns(width, None).iter().map(|(_, size)| size + 1).sum();
            assert!(used + 2 <= width, "{width}: {used}");
        }
    }

    #[test]
    fn narrow_table_keeps_name_cores_latency() {
        let fields: Vec<Field> =
            columns(38, Some(Field::Gpu)).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, [Field::Name, Field::Cells, Field::Cores, Field::P99]);
        assert_eq!(columns(220, None).len(), ALL.len());
        assert_eq!(columns(220, Some(Field::Gpu)).len(), ALL.len() - 1);
    }
}

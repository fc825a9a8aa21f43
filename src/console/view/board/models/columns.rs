//! Which columns the table has at a width: what matters least goes first, and what is left over
//! goes to names and cells.

use crate::console::state::{Column, SortKey};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The short name that the cores pane shows.
    Tag,
    /// The name.
    Name,
    /// A cell a core.
    Cells,
    /// The number of cores.
    Cores,
    /// Instances by threads.
    Split,
    /// A pip an instance, full while it runs a request.
    Pips,
    /// Waiting requests of the queue's limit.
    Queue,
    /// Completed requests per second.
    Rate,
    /// Median latency.
    P50,
    /// 99th percentile.
    P99,
    /// The target and the distance to it.
    Slo,
    /// The GPU, or the CPU; only where there is a card.
    Gpu,
    /// CPU time in cores.
    Cpu,
    /// Memory of the engine.
    Memory,
    /// p99 of the last seconds as a curve.
    Trend,
}

/// Columns from left to right with their least width and the order in which they are kept
/// (1 first).
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
    /// The heading.
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

    /// Whether it is a figure, which stands at the right.
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

    /// The order that a click on the title gives.
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

    /// The column that steps change, where this is one.
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

/// The columns that fit into `width`, with their widths; `gpus`: whether there is a card. Two columns before them are the marker's.
pub(super) fn columns(width: usize, gpus: bool) -> Vec<(Field, usize)> {
    let mut room = width.saturating_sub(2);
    let mut order: Vec<_> =
        ALL.into_iter().filter(|(field, ..)| gpus || *field != Field::Gpu).collect();
    order.sort_by_key(|(.., rank)| *rank);
    let mut kept = Vec::new();
    for (field, size, _) in order {
        if room < size + 1 {
            break;
        }
        room -= size + 1;
        kept.push(field);
    }
    let mut columns: Vec<(Field, usize)> = ALL
        .iter()
        .filter(|(field, ..)| kept.contains(field))
        .map(|(field, size, _)| (*field, *size))
        .collect();
    // what is left: half to names, a third to cells, the rest to pips, each up to its most
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
    fn the_columns_never_pass_the_width() {
        for width in 20..400 {
            let used: usize = columns(width, true).iter().map(|(_, size)| size + 1).sum();
            assert!(used + 2 <= width, "{width}: {used}");
        }
    }

    #[test]
    fn name_cores_and_latency_stay_longest() {
        let fields: Vec<Field> = columns(38, false).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, [Field::Name, Field::Cells, Field::Cores, Field::P99]);
        assert_eq!(columns(220, true).len(), ALL.len());
        assert_eq!(columns(220, false).len(), ALL.len() - 1);
    }
}

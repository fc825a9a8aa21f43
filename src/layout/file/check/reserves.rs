//! Reserved cores of all rows in sum.

use crate::layout::arithmetic::requested_cores;
use crate::layout::budget::{Budget, CoreRequest};
use crate::layout::phrases::counted;
use crate::machine::CpuSet;

/// Reserves that a machine cannot meet together.
pub(in super::super) struct ExcessReserves {
    /// The index of the row with the fault.
    pub(super) row: usize,
    /// The key at fault.
    pub(super) key: &'static str,
    /// The message.
    pub(super) message: String,
    /// The index of the row whose reserve `--fit` turns off.
    pub(in super::super) to_turn_off: usize,
}

/// Returns all CPUs that are in a row's list.
pub(super) fn listed_cpus(rows: &[&Budget]) -> CpuSet {
    rows.iter().fold(CpuSet::EMPTY, |all, row| match &row.cores {
        CoreRequest::List(list) => all.union(list),
        _ => all,
    })
}

/// Returns the number of cores that the rows without a list ask for.
pub(super) fn cores_to_place(rows: &[&Budget], allowed: usize) -> usize {
    let rows = rows.iter().filter(|row| !matches!(row.cores, CoreRequest::List(_)));
    rows.map(|row| requested_cores(&row.cores, allowed)).sum()
}

/// Checks that all reserves fit the machine together and leave a core to the other rows. Lists that
/// overlap are another fault.
pub(in super::super) fn excess_reserves(
    rows: &[&Budget],
    allowed: usize,
) -> Option<ExcessReserves> {
    let reserving: Vec<&Budget> = rows.iter().copied().filter(|row| row.reserve).collect();
    let to_place = cores_to_place(&reserving, allowed);
    let total = to_place + listed_cpus(&reserving).len();
    let last = |wanted: &dyn Fn(&Budget) -> bool| rows.iter().rposition(|row| wanted(row));
    let reserves = |row: &Budget| row.reserve && requested_cores(&row.cores, allowed) > 0;
    let reserves_without_list =
        |row: &Budget| reserves(row) && !matches!(row.cores, CoreRequest::List(_));
    let excess =
        |row, message| Some(ExcessReserves { row, key: "reserve", message, to_turn_off: row });
    if total > allowed {
        let message = format!(
            "the models reserve {} in sum, but this process has {allowed}",
            counted(total, "core")
        );
        return excess(last(&reserves)?, message);
    }
    let unlisted = allowed.saturating_sub(listed_cpus(rows).len());
    if to_place > unlisted {
        let message = format!(
            "{} are to be reserved besides the listed CPUs, but those leave {unlisted}",
            counted(to_place, "core")
        );
        return excess(last(&reserves_without_list)?, message);
    }
    let gets_none = |row: &Budget| !row.reserve && requested_cores(&row.cores, allowed) > 0;
    if total == allowed
        && let (Some(row), Some(to_turn_off)) =
            (rows.iter().position(|row| gets_none(row)), last(&reserves))
    {
        let name = rows.get(row).map_or("", |row| row.name.as_str());
        let message =
            format!("the other models reserve all {allowed} cores; no core is left for `{name}`");
        return Some(ExcessReserves { row, key: "cores", message, to_turn_off });
    }
    None
}

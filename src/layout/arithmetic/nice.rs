//! Nice values from weights: the share of a core that each model's threads get.
//!
//! A weight compares models that share a core, but the nice value of a thread is the same on all its
//! cores. So all models that share cores, directly or through other models, form one group: its
//! heaviest model gets nice 0, and the others get the nice values whose shares in the kernel's table
//! are nearest to their ratio to the heaviest. A model that shares no core is alone in its group and
//! gets 0, whatever its weight. A paused model lowers no other model.

use super::super::desired::{DesiredState, Row};
use crate::machine::CpuSet;

/// The kernel's weights of nice values 0 to 19 (`sched_prio_to_weight` in kernel/sched/core.c).
const SHARES: [u32; 20] =
    [1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15];

/// Returns the nice value, 0 to 19, whose share of a core is nearest to `weight / heaviest`.
fn nearest_nice(weight: u32, heaviest: u32) -> i32 {
    let target = (f64::from(weight.max(1)) / f64::from(heaviest.max(1))).ln();
    let distance = |share: u32| ((f64::from(share) / f64::from(SHARES[0])).ln() - target).abs();
    let nearest = (0..).zip(SHARES).min_by(|(_, a), (_, b)| distance(*a).total_cmp(&distance(*b)));
    nearest.map_or(0, |(nice, _)| nice)
}

/// Returns the nice value of a row's threads, 0 to 19.
pub(super) fn nice(state: &DesiredState, row: &Row) -> i32 {
    let group = group_cores(state, row);
    let heaviest = state
        .rows
        .iter()
        .filter(|other| other.concurrency > 0 && !other.cores.is_disjoint(&group))
        .map(|other| other.budget.weight)
        .fold(row.budget.weight, u32::max);
    nearest_nice(row.budget.weight, heaviest)
}

/// Returns the cores of all rows that share cores with this one, directly or through others.
fn group_cores(state: &DesiredState, row: &Row) -> CpuSet {
    let mut cores = row.cores;
    loop {
        let shares = |other: &&Row| other.concurrency > 0 && !other.cores.is_disjoint(&cores);
        let wider = state.rows.iter().filter(shares).fold(cores, |all, row| all.union(&row.cores));
        if wider == cores {
            return cores;
        }
        cores = wider;
    }
}

/// Returns the lowest nice value among the rows for which `is_in_group` is true and that share cores with
/// this one, directly or through others; 0 if there is none. `None` if all rows that share cores have the
/// same weight.
pub(super) fn weight_base(
    state: &DesiredState,
    row: &Row,
    is_in_group: impl Fn(&Row) -> bool,
) -> Option<i32> {
    let group = group_cores(state, row);
    let shares = |other: &&Row| other.concurrency > 0 && !other.cores.is_disjoint(&group);
    let rows = || state.rows.iter().filter(shares);
    if rows().all(|other| other.budget.weight == row.budget.weight) {
        return None;
    }
    Some(rows().filter(|row| is_in_group(row)).map(|row| nice(state, row)).min().unwrap_or(0))
}

/// Returns true if a row shares a core with another row.
pub(super) fn shares_cores(state: &DesiredState, row: &Row) -> bool {
    state
        .rows
        .iter()
        .any(|other| other.budget.name != row.budget.name && !other.cores.is_disjoint(&row.cores))
}

//! Weights become nice values: what each model's threads get of a core that they share.
//!
//! A nice value is one scale for the whole process, while weights compare models that meet on a
//! core. So all models that meet, directly or over others, are one group; its heaviest model stays
//! at nice 0, and the others stand below it by the steps that the kernel's table gives their ratio.
//! A model that shares no core is alone in its group and stays at 0, whatever its weight; one that is
//! paused puts nobody behind it.

use super::super::desired::{DesiredState, Row};
use crate::machine::CpuSet;

/// The kernel's share of a thread by nice value from 0 up (`sched_prio_to_weight` in
/// kernel/sched/core.c, from 1024 down).
const SHARES: [u32; 20] =
    [1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15];

/// The nice value, 0 to 19, at which a thread's share of a core is nearest to `weight` of
/// `heaviest`.
fn nice(weight: u32, heaviest: u32) -> i32 {
    let wanted = (f64::from(weight.max(1)) / f64::from(heaviest.max(1))).ln();
    let far = |share: u32| ((f64::from(share) / f64::from(SHARES[0])).ln() - wanted).abs();
    let nearest = (0..).zip(SHARES).min_by(|(_, a), (_, b)| far(*a).total_cmp(&far(*b)));
    nearest.map_or(0, |(nice, _)| nice)
}

impl DesiredState {
    /// The nice value, 0 to 19, of a row's threads.
    pub fn nice(&self, row: &Row) -> i32 {
        let group = self.meeting(row);
        let heaviest = self
            .rows
            .iter()
            .filter(|other| other.concurrency > 0 && !other.cores.is_disjoint(&group))
            .map(|other| other.budget.weight)
            .fold(row.budget.weight, u32::max);
        nice(row.budget.weight, heaviest)
    }

    /// The cores of all rows that meet this one on a core, directly or over others.
    fn meeting(&self, row: &Row) -> CpuSet {
        let mut cores = row.cores;
        loop {
            let meets = |other: &&Row| other.concurrency > 0 && !other.cores.is_disjoint(&cores);
            let wider = self.rows.iter().filter(meets).fold(cores, |all, r| all.union(&r.cores));
            if wider == cores {
                return cores;
            }
            cores = wider;
        }
    }

    /// Whether a row shares a core with another.
    pub(super) fn shares(&self, row: &Row) -> bool {
        self.rows.iter().any(|other| {
            other.budget.name != row.budget.name && !other.cores.is_disjoint(&row.cores)
        })
    }
}

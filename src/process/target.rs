//! The mask that each thread of a row is to have.

use crate::machine::CpuSet;

/// The cores of a row, from which the mask of each thread follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PlacementTarget {
    /// The cores of the row; without a budget, those that no row has reserved.
    pub(super) mask: CpuSet,
    /// The budget of cores, if the row has one.
    pub(super) budget: CoreBudget,
    /// The cores that rows have reserved.
    pub(super) reserved: CpuSet,
}

/// A budget of cores, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CoreBudget {
    /// It may run on every core that no row has reserved.
    #[default]
    None,
    /// It runs on the cores of its mask.
    Own,
}

impl PlacementTarget {
    /// Returns true if a thread with this mask may keep it.
    pub(super) fn allows(&self, current: &CpuSet) -> bool {
        match self.budget {
            CoreBudget::Own => current.is_subset(&self.mask),
            CoreBudget::None => current.is_disjoint(&self.reserved),
        }
    }

    /// Returns the mask of a thread that cannot keep its own one. `usual` is the mask of its process: a
    /// thread that differs from it was limited by its program, and gets that limit back where it fits.
    pub(super) fn wanted(&self, own: &CpuSet, usual: &CpuSet) -> CpuSet {
        match self.budget {
            CoreBudget::Own if own != usual && own.is_subset(&self.mask) => *own,
            CoreBudget::Own => self.mask,
            CoreBudget::None => {
                let rest = own.difference(&self.reserved);
                if rest.is_empty() { self.mask } else { rest }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &str) -> CpuSet {
        list.parse().unwrap()
    }

    fn budget(mask: &str) -> PlacementTarget {
        PlacementTarget { mask: set(mask), budget: CoreBudget::Own, reserved: CpuSet::EMPTY }
    }

    #[test]
    fn limited_thread_gets_its_limit_back() {
        let (own, usual) = (set("1"), set("0-7"));
        assert_eq!(budget("4-5").wanted(&own, &usual), set("4-5"));
        assert_eq!(budget("0-3").wanted(&own, &usual), own);
    }

    #[test]
    fn whole_process_follows_a_budget_that_grows() {
        assert_eq!(budget("0-5").wanted(&set("0-3"), &set("0-3")), set("0-5"));
    }

    #[test]
    fn row_without_budget_leaves_reserved_cores() {
        let target =
            PlacementTarget { mask: set("0-1,4"), budget: CoreBudget::None, reserved: set("2-3") };
        // Cores outside of divvy's own mask stay usable for it.
        assert_eq!(target.wanted(&set("0-7"), &set("0-7")), set("0-1,4-7"));
        assert_eq!(target.wanted(&set("3"), &set("0-7")), set("0-1,4"));
        assert!(target.allows(&set("6")) && !target.allows(&set("3,6")));
    }
}

//! Scales a layout that was written for another machine to this one.
//!
//! The rule: numbers and shares travel, so a count is only cut to what the machine has. As soon as
//! one CPU list names a CPU that is not there, the lists are read as places on a machine of
//! `highest listed CPU + 1` CPUs, and every list moves with the same scale: CPU `c` of `W` becomes
//! the allowed CPU number `c * N / W` (rounded down) of `N`. What was apart stays apart where
//! `N >= W`, and what was together stays together always. Explicit threads are cut to the cores of
//! their row. Last, as long as reserved cores collide or leave nothing to others, reservations are
//! given up, from the last row upwards.

use super::Document;
use super::check::{demand, overcommitted};
use crate::layout::budget::{Auto, Budget, CoreRequest, Layout};
use crate::machine::{CoreId, CpuSet, Description};

/// A layout that fits a machine, and what was changed for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The layout.
    pub layout: Layout,
    /// Each change in words; empty when the layout fitted as it was.
    pub changes: Vec<String>,
}

impl Document {
    /// Scales CPU lists, counts, threads and reservations to a machine. A machine without any
    /// allowed CPU leaves the layout as it is.
    pub fn fit(&self, machine: &Description) -> Fitted {
        fit(&self.layout, machine)
    }
}

fn fit(layout: &Layout, machine: &Description) -> Fitted {
    let mut fitted = Fitted { layout: layout.clone(), changes: Vec::new() };
    let allowed: Vec<CoreId> = machine.limits.allowed.iter().collect();
    if allowed.is_empty() {
        return fitted;
    }
    let listed = layout.models.iter().fold(CpuSet::EMPTY, |all, row| match &row.cores {
        CoreRequest::List(list) => all.union(list),
        _ => all,
    });
    let moves = !listed.is_subset(&machine.limits.allowed);
    let width = listed.iter().last().map_or(1, |last| usize::from(last.0) + 1);
    for row in &mut fitted.layout.models {
        let before = row.cores;
        match &mut row.cores {
            CoreRequest::List(list) if moves => {
                *list = list
                    .iter()
                    .filter_map(|core| allowed.get(usize::from(core.0) * allowed.len() / width))
                    .copied()
                    .collect();
            }
            CoreRequest::Count(count) => *count = (*count).min(allowed.len()),
            _ => {}
        }
        if before != row.cores {
            let (from, to) = (text(&before), text(&row.cores));
            fitted.changes.push(format!("{}: cores {from} -> {to}", row.name));
        }
        let cores = demand(&row.cores, allowed.len());
        if let Auto::Exactly(threads) = row.threads
            && threads > cores
            && cores > 0
            && cores < demand(&before, allowed.len().max(width))
        {
            row.threads = Auto::Exactly(cores);
            fitted.changes.push(format!("{}: threads {threads} -> {cores}", row.name));
        }
    }
    while let Some(index) = collision(&fitted.layout, allowed.len()) {
        if let Some(row) = fitted.layout.models.get_mut(index) {
            row.reserve = false;
            fitted.changes.push(format!("{}: its cores are no longer reserved", row.name));
        }
    }
    fitted
}

/// The last row whose reservation cannot stand, where there is one.
fn collision(layout: &Layout, allowed: usize) -> Option<usize> {
    let rows: Vec<&Budget> = layout.models.iter().collect();
    let overlaps = |index: usize, row: &Budget| {
        rows.iter().enumerate().any(|(other, theirs)| match (&row.cores, &theirs.cores) {
            (CoreRequest::List(own), CoreRequest::List(theirs)) => {
                other != index && !own.is_disjoint(theirs)
            }
            _ => false,
        })
    };
    let last =
        rows.iter().enumerate().rev().find(|(index, row)| row.reserve && overlaps(*index, row));
    last.map(|(index, _)| index).or_else(|| Some(overcommitted(&rows, allowed)?.giver))
}

/// A request as the layout file writes it.
pub(super) fn text(cores: &CoreRequest) -> String {
    match cores {
        CoreRequest::List(list) if list.is_empty() => "none".to_owned(),
        CoreRequest::List(list) => format!("\"{list}\""),
        CoreRequest::Count(count) => count.to_string(),
        CoreRequest::Share(share) => format!("{share}%"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::ModelSource;

    fn layout(rows: &[(CoreRequest, bool)]) -> Layout {
        let models = rows
            .iter()
            .enumerate()
            .map(|(index, (cores, reserve))| Budget {
                cores: *cores,
                reserve: *reserve,
                ..Budget::new(format!("m{index}"), ModelSource::Embedded("ranker.onnx".into()))
            })
            .collect();
        Layout { description: String::new(), models }
    }

    fn list(text: &str) -> CoreRequest {
        CoreRequest::List(text.parse().unwrap())
    }

    #[test]
    fn what_fits_is_left_alone() {
        let own = layout(&[(list("0-1"), true), (CoreRequest::Count(2), false)]);
        let fitted = fit(&own, &Description::uniform(4));
        assert_eq!(fitted, Fitted { layout: own, changes: vec![] });
    }

    #[test]
    fn lists_move_with_one_scale_and_counts_are_cut() {
        let own = layout(&[
            (list("0-7"), true),
            (list("8-15"), false),
            (CoreRequest::Count(6), false),
            (CoreRequest::Share(50.0), false),
        ]);
        let fitted = fit(&own, &Description::uniform(4));
        assert_eq!(
            fitted.changes,
            ["m0: cores \"0-7\" -> \"0-1\"", "m1: cores \"8-15\" -> \"2-3\"", "m2: cores 6 -> 4"]
        );
        assert!(fitted.layout.models[0].reserve);
    }

    #[test]
    fn colliding_reservations_are_given_up_from_the_last() {
        let own = layout(&[(list("0"), true), (list("1"), true), (list("2"), true)]);
        let fitted = fit(&own, &Description::uniform(2));
        let reserve: Vec<bool> = fitted.layout.models.iter().map(|row| row.reserve).collect();
        // 0 and 1 fall on CPU 0, 2 falls on CPU 1: one of the first two has to share
        assert_eq!(reserve, [false, false, true]);
    }

    proptest! {
        #[test]
        fn a_fitted_layout_passes_the_check(
            rows in prop::collection::vec(
                (prop_oneof![
                    prop::collection::vec(0u16..64, 1..20).prop_map(|ids| {
                        CoreRequest::List(ids.into_iter().map(CoreId).collect())
                    }),
                    (0usize..70).prop_map(CoreRequest::Count),
                    (1u32..=100).prop_map(|share| CoreRequest::Share(f64::from(share))),
                ], any::<bool>()),
                1..8,
            ),
            cores in 1usize..70,
        ) {
            let machine = Description::uniform(cores);
            let fitted = fit(&layout(&rows), &machine);
            let document = Document::from_layout(fitted.layout.clone()).unwrap();
            prop_assert!(document.check(&machine).is_ok(), "{:?}", document.check(&machine));
            prop_assert_eq!(fit(&fitted.layout, &machine).changes, Vec::<String>::new());
        }
    }
}

//! Scales a layout for another machine to this one.
//!
//! Counts are reduced to the cores of the machine; shares stay. If a list names a CPU that the
//! machine does not have, the lists are taken as written for a machine of `W` CPUs, the highest
//! listed one plus 1, and all are scaled: CPU `c` becomes the allowed CPU number `c * N / W`, rounded
//! down, of `N`. Lists that share a CPU still do; lists that share none still share none if
//! `N >= W`. Explicit threads are reduced to the cores of their row. At last, as long as reserved
//! cores collide or leave none to the other models, reserves are turned off, from the last row
//! upwards.

use super::check::excess_reserves;
use crate::layout::arithmetic::requested_cores;
use crate::layout::budget::{Auto, Budget, CoreRequest, Layout};
use crate::machine::{CoreId, CpuSet, Description};

/// A layout that was fitted to a machine, and the changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The layout.
    pub layout: Layout,
    /// One message per change; empty if the layout fits unchanged.
    pub changes: Vec<String>,
}

/// Scales CPU lists, counts, threads and reserves to a machine.
pub(super) fn fit(layout: &Layout, machine: &Description) -> Fitted {
    let mut fitted = Fitted { layout: layout.clone(), changes: Vec::new() };
    let allowed: Vec<CoreId> = machine.limits.allowed.iter().collect();
    if allowed.is_empty() {
        return fitted;
    }
    let listed = layout.models.iter().fold(CpuSet::EMPTY, |all, row| match &row.cores {
        CoreRequest::List(list) => all.union(list),
        _ => all,
    });
    let scales = !listed.is_subset(&machine.limits.allowed);
    let width = listed.iter().last().map_or(1, |last| usize::from(last.0) + 1);
    for row in &mut fitted.layout.models {
        let before = row.cores;
        match &mut row.cores {
            CoreRequest::List(list) if scales => {
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
        let cores = requested_cores(&row.cores, allowed.len());
        if let Auto::Exactly(threads) = row.threads
            && threads > cores
            && cores > 0
            && cores < requested_cores(&before, allowed.len().max(width))
        {
            row.threads = Auto::Exactly(cores);
            fitted.changes.push(format!("{}: threads {threads} -> {cores}", row.name));
        }
    }
    while let Some(index) = collision(&fitted.layout, allowed.len()) {
        if let Some(row) = fitted.layout.models.get_mut(index) {
            row.reserve = false;
            fitted.changes.push(format!("{}: reserve turned off", row.name));
        }
    }
    fitted
}

/// Returns the index of the last row whose reserve cannot be met.
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
    last.map(|(index, _)| index).or_else(|| Some(excess_reserves(&rows, allowed)?.to_turn_off))
}

/// A request as the layout file writes it.
fn text(cores: &CoreRequest) -> String {
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
    use crate::layout::file::Document;

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
    fn fitting_layout_is_unchanged() {
        let own = layout(&[(list("0-1"), true), (CoreRequest::Count(2), false)]);
        let fitted = fit(&own, &Description::uniform(4));
        assert_eq!(fitted, Fitted { layout: own, changes: vec![] });
    }

    #[test]
    fn lists_are_scaled_together() {
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
    fn colliding_reserves_are_turned_off() {
        let own = layout(&[(list("0"), true), (list("1"), true), (list("2"), true)]);
        let fitted = fit(&own, &Description::uniform(2));
        let reserve: Vec<bool> = fitted.layout.models.iter().map(|row| row.reserve).collect();
        // CPUs 0 and 1 become CPU 0, and 2 becomes 1
        assert_eq!(reserve, [false, false, true]);
    }

    proptest! {
        #[test]
        fn fitted_layout_passes_the_check(
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

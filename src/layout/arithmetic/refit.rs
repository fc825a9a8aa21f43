//! The machine changed under us: CPUs went offline or came back, the cpuset shrank or grew.
//!
//! A list loses what is away and has it back when it returns. A count or a share takes free cores
//! for what it lost, shares where there is none (as when a layout is placed), and moves back to
//! cores of its own when there are. A share follows the number of cores that are there.

use super::super::budget::CoreRequest;
use super::super::desired::{DesiredState, Row};
use super::super::placement;
use super::draft::{Draft, wanted};
use super::{resolve, words};
use crate::machine::{CpuSet, Description};

impl DesiredState {
    /// The state on the machine as it is now, and a sentence for each row whose cores differ.
    /// Generations of those rows rise by one. On the machine it was made for, nothing differs,
    /// unless cores became free that a count or a share lacks.
    pub fn refit(&self, machine: &Description) -> (Self, Vec<String>) {
        let mut draft = Draft::new(self.clone(), machine);
        let usable = draft.usable;
        for row in &mut draft.desired.rows {
            row.cores = row.cores.intersection(&usable);
        }
        return_lists(&mut draft);
        // all that is given back, before anybody takes
        for row in &self.rows {
            if matches!(row.budget.cores, CoreRequest::Share(_)) {
                let target = wanted(&row.budget.cores, usable.len());
                let _ = draft.shrink(&row.budget.name, target);
            }
        }
        // one core each first, so that a reserve does not take the last one from who has none
        let (reserving, rest): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.budget.reserve);
        for most in [1, usize::MAX] {
            for row in reserving.iter().chain(&rest) {
                refill(&mut draft, row, most);
            }
        }
        for row in self.rows.iter().rev() {
            spread(&mut draft, row);
        }
        draft.settle();
        let after = draft.desired.touched_since(self);
        let sentences = self
            .rows
            .iter()
            .zip(&after.rows)
            .filter(|(was, is)| was.cores != is.cores)
            .map(|(was, is)| sentence(was, is, &usable))
            .collect();
        (after, sentences)
    }
}

/// Gives lists what is there of them again, reserved rows first, but nobody another's reserve.
fn return_lists(draft: &mut Draft) {
    let usable = draft.usable;
    for reserve in [true, false] {
        let lists: Vec<(String, CpuSet)> = draft
            .desired
            .rows
            .iter()
            .filter(|row| row.budget.reserve == reserve)
            .filter_map(|row| match row.budget.cores {
                CoreRequest::List(list) => Some((row.budget.name.clone(), list)),
                CoreRequest::Count(_) | CoreRequest::Share(_) => None,
            })
            .collect();
        for (name, list) in lists {
            let barred = draft
                .desired
                .rows
                .iter()
                .filter(|row| row.budget.name != name && (reserve || row.budget.reserve))
                .fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
            if let Ok(row) = draft.row_mut(&name) {
                row.cores = row.cores.union(&list.intersection(&usable).difference(&barred));
            }
        }
    }
}

/// Fills a count or a share up to what it asks for, and up to `most`.
fn refill(draft: &mut Draft, row: &Row, most: usize) {
    if !matches!(row.budget.cores, CoreRequest::List(_)) {
        let target = wanted(&row.budget.cores, draft.usable.len()).min(most);
        // where no core is left for it, it stays without: the sentence says so
        let _ = resolve::place(draft, &row.budget, target);
    }
}

/// Moves a counted row from cores that it shares to free ones.
fn spread(draft: &mut Draft, row: &Row) {
    if matches!(row.budget.cores, CoreRequest::List(_)) {
        return;
    }
    let name = row.budget.name.as_str();
    let (free, others) = (draft.free(), draft.others(&[name]));
    let topology = draft.topology();
    if let Ok(row) = draft.row_mut(name) {
        let shared = row.cores.intersection(&others);
        let moves = shared.len().min(free.len());
        let leaving = placement::release(topology, &shared, moves);
        row.cores = row.cores.difference(&leaving);
        row.cores = row.cores.union(&placement::pick(topology, &free, &row.cores, moves));
    }
}

fn sentence(was: &Row, is: &Row, usable: &CpuSet) -> String {
    let name = &is.budget.name;
    let away = was.cores.difference(usable);
    let left = was.cores.difference(&is.cores).difference(&away);
    let gained = is.cores.difference(&was.cores);
    let mut parts = Vec::new();
    if !away.is_empty() {
        parts.push(format!("lost {}", words::cores(&away)));
    }
    if !left.is_empty() {
        parts.push(format!("left {}", words::cores(&left)));
    }
    if !gained.is_empty() {
        parts.push(format!("got {}", words::cores(&gained)));
    }
    let end = if is.cores.is_empty() {
        "and has none: it is paused".to_owned()
    } else {
        format!("and runs on {}", is.cores)
    };
    format!("{name} {} {end}", parts.join(", "))
}

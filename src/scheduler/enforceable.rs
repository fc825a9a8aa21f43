//! Refuses changes of process rows that divvy cannot enforce. The owner asks the rows, a plan asks the newest
//! snapshot.

use crate::layout::{DesiredState, Refusal};

/// The reasons why one process row cannot be changed.
#[derive(Clone, Debug, Default)]
pub(super) struct RowRefusals {
    /// Why divvy may not change its processes.
    pub(super) read_only: Option<String>,
    /// Why its weight cannot be enforced.
    pub(super) weight: Option<String>,
}

/// Refuses a change of processes that divvy may not change, or a weight that cannot be enforced. `refusals`
/// returns those of a row of `before` by its name.
pub(super) fn require_enforceable(
    before: &DesiredState,
    after: &DesiredState,
    refusals: impl Fn(&str) -> Option<RowRefusals>,
) -> Result<(), Refusal> {
    for row in after.rows.iter().filter(|row| row.budget.is_process()) {
        let Some(known) = before.counterpart(row, after) else { continue };
        let (old, new) = (&known.budget, &row.budget);
        let is_placed = known.cores != row.cores || old.reserve != new.reserve;
        let has_weight = old.weight != new.weight;
        if !is_placed && !has_weight && old.memory == new.memory {
            continue;
        }
        let Some(refusals) = refusals(&old.name) else { continue };
        if let Some(reason) = refusals.read_only {
            return Err(Refusal::row(&new.name, format!("cannot be changed: {reason}")));
        }
        if let Some(reason) = refusals.weight.filter(|_| has_weight) {
            return Err(Refusal::row(&new.name, format!("cannot have a weight: {reason}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{
        Budget, Change, CoreRequest, Edit, Layout, ProcessSelector, ProcessSource,
    };
    use crate::machine::Description;

    fn state() -> (DesiredState, Description) {
        let source = ProcessSource::new(ProcessSelector::Exe("redis-server".to_owned()));
        let cores = CoreRequest::List("0-1".parse().unwrap());
        let models = vec![Budget { cores, ..Budget::new("redis", source) }];
        let machine = Description::uniform(4);
        let layout = Layout { description: String::new(), models };
        (DesiredState::resolve(&layout, &machine).unwrap(), machine)
    }

    fn refused(change: &Change, refusals: &RowRefusals) -> bool {
        let (before, machine) = state();
        let after = before.plan(change, &machine).unwrap().after;
        let of_row = |row: &str| (row == "redis").then(|| refusals.clone());
        require_enforceable(&before, &after, of_row).is_err()
    }

    #[test]
    fn renamed_row_keeps_its_refusals() {
        let (from, to) = ("redis".to_owned(), "cache".to_owned());
        let rename = Edit::Rename { model: from, to };
        let weight = Edit::SetWeight { model: "cache".to_owned(), weight: 4 };
        let change = Change { edits: vec![rename.clone(), weight] };
        let locked = RowRefusals { read_only: Some("no".to_owned()), weight: None };
        let unweighted = RowRefusals { read_only: None, weight: Some("no".to_owned()) };
        assert!(refused(&change, &locked));
        assert!(refused(&change, &unweighted));
        assert!(!refused(&change, &RowRefusals::default()));
        assert!(!refused(&rename.into(), &locked));
    }
}

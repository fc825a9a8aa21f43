//! Transfers of cores and instances between models, and between a model and the free cores.
//!
//! Only the donor loses a core: other models that share it keep it. With `share` the donor keeps it
//! too.
//!
//! - By number, placement chooses the cores: first those that only the donor has, then shared ones,
//!   then those that the receiver has as well (the donor then leaves them to the receiver). A list
//!   stays a list and loses or gains them; a count or a share becomes the count of the row's cores.
//! - By name (`These`), and with `share`, both rows become lists, since a count would be placed on
//!   other cores when the saved layout is loaded.
//! - The last core of a row can be moved away: a model is paused until it has a core again, processes
//!   run on the cores that no row has reserved.

use super::super::budget::{Auto, CoreRequest};
use super::super::change::{CoreOwner, CoreSelection};
use super::super::desired::Row;
use super::super::placement;
use super::super::refusal::Refusal;
use super::draft::Draft;
use super::{bounds, instances, phrases};
use crate::machine::CpuSet;

const SAME_MODEL: &str = "donor and receiver are the same row; choose another receiver";

/// Cores that move from one owner to another.
pub(super) struct CoreTransfer<'t> {
    pub cores: CoreSelection,
    pub from: &'t CoreOwner,
    pub to: &'t CoreOwner,
    /// True if the donor keeps the cores too.
    pub share: bool,
}

impl CoreTransfer<'_> {
    /// Moves the cores to the receiver, or shares them with it.
    ///
    /// # Errors
    /// A refusal that says what the donor has, or why the receiver cannot have the cores.
    pub(super) fn apply(self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let Self { cores, from, to, share } = self;
        if from == to {
            return Err(match from {
                CoreOwner::Free => Refusal::whole(
                    "donor and receiver are both the free cores; choose a row for one of them",
                ),
                CoreOwner::Model(name) => Refusal::row(name, SAME_MODEL),
            });
        }
        let moving = match (from, to) {
            (CoreOwner::Free, CoreOwner::Model(to)) if !share => free_cores(draft, cores, to)?,
            (CoreOwner::Model(from), CoreOwner::Free) if !share => {
                donated_cores(draft, cores, from, None)?
            }
            (CoreOwner::Model(from), CoreOwner::Model(to)) if share => {
                shared_cores(draft, cores, from, to)?
            }
            (CoreOwner::Model(from), CoreOwner::Model(to)) => {
                donated_cores(draft, cores, from, Some(to))?
            }
            _ => {
                return Err(Refusal::whole(
                    "free cores cannot be shared; choose two rows, or move the cores",
                ));
            }
        };
        let by_name = share || matches!(cores, CoreSelection::These(_));
        if let CoreOwner::Model(name) = from {
            let row = draft.row_mut(name)?;
            let kept = if share { row.cores } else { row.cores.difference(&moving) };
            set_row_cores(row, kept, by_name);
        }
        if let CoreOwner::Model(name) = to {
            let row = draft.row_mut(name)?;
            set_row_cores(row, row.cores.union(&moving), by_name);
        }
        Ok(())
    }
}

/// Sets a row's cores, and its request to match. With `by_name`, the request becomes a list.
fn set_row_cores(row: &mut Row, cores: CpuSet, by_name: bool) {
    let gained = cores.difference(&row.cores);
    let lost = row.cores.difference(&cores);
    row.cores = cores;
    row.budget.cores = match row.budget.cores {
        CoreRequest::List(list) => CoreRequest::List(list.difference(&lost).union(&gained)),
        CoreRequest::Count(_) | CoreRequest::Share(_) if by_name => CoreRequest::List(cores),
        CoreRequest::Count(_) | CoreRequest::Share(_) => CoreRequest::Count(cores.len()),
    };
}

/// Returns the free cores that a model gets.
fn free_cores(draft: &Draft<'_>, selection: CoreSelection, to: &str) -> Result<CpuSet, Refusal> {
    let near = draft.row(to)?.cores;
    let free = draft.free();
    match selection {
        CoreSelection::These(cores) => {
            require_named(draft, to, &cores)?;
            let taken = cores.difference(&free);
            if taken.is_empty() {
                return Ok(cores);
            }
            let owners = draft.owners(&taken, &[]);
            Err(Refusal::row(
                to,
                format!(
                    "{} {} not free: {} {} {}",
                    phrases::cores(&taken),
                    phrases::are(taken.len()),
                    phrases::listed(&owners),
                    phrases::have(owners.len()),
                    phrases::them(taken.len()),
                ),
            ))
        }
        CoreSelection::Count(count) => {
            require_count(to, count)?;
            if free.is_empty() {
                let reason = "no core is free: move one from another row";
                return Err(Refusal::row(to, reason));
            }
            if count > free.len() {
                return Err(Refusal::row(
                    to,
                    format!(
                        "asks for {count} free cores, but only {} {} free ({free})",
                        free.len(),
                        phrases::are(free.len()),
                    ),
                ));
            }
            Ok(placement::pick(draft.topology(), &free, &near, count))
        }
    }
}

/// Returns the cores that a model gives away; `None`: to the free cores.
fn donated_cores(
    draft: &Draft<'_>,
    selection: CoreSelection,
    from: &str,
    to: Option<&str>,
) -> Result<CpuSet, Refusal> {
    let donors = draft.row(from)?.cores;
    let receiver = to.map(|to| draft.row(to)).transpose()?;
    let count = match selection {
        CoreSelection::These(cores) => {
            require_donor_has(draft, from, &cores)?;
            return Ok(cores);
        }
        CoreSelection::Count(count) => count,
    };
    require_count(from, count)?;
    let donors = donors.intersection(&draft.usable);
    if count > donors.len() {
        return Err(Refusal::row(
            from,
            format!(
                "cannot give {}: it has {}",
                phrases::counted(count, "core"),
                if donors.is_empty() { "none".to_owned() } else { donors.len().to_string() },
            ),
        ));
    }
    let receivers = receiver.map_or(CpuSet::EMPTY, |row| row.cores);
    let others = draft.others(&[&[from][..], to.as_slice()].concat());
    let new = donors.difference(&receivers);
    let exclusive = new.difference(&others);
    let shared = match receiver {
        // a core that another model keeps cannot be reserved
        Some(row) if row.budget.reserve => CpuSet::EMPTY,
        _ => new.intersection(&others),
    };
    let mut moving = CpuSet::EMPTY;
    for pool in [exclusive, shared, donors.intersection(&receivers)] {
        let need = count.saturating_sub(moving.len());
        let more = placement::hand_over(draft.topology(), &pool, &receivers, need);
        moving = moving.union(&more);
    }
    if moving.len() < count {
        let owners = draft.owners(&new.intersection(&others), &[from, to.unwrap_or_default()]);
        return Err(Refusal::row(
            to.unwrap_or(from),
            format!(
                "reserves its cores, but {from} shares {} with {}; turn reserve off, or move other cores",
                phrases::cores(&new.intersection(&others)),
                phrases::listed(&owners),
            ),
        ));
    }
    Ok(moving)
}

/// Returns the cores that a model shares with another.
fn shared_cores(
    draft: &Draft<'_>,
    selection: CoreSelection,
    from: &str,
    to: &str,
) -> Result<CpuSet, Refusal> {
    let donors = draft.row(from)?.cores;
    let receivers = draft.row(to)?.cores;
    match selection {
        CoreSelection::These(cores) => {
            require_donor_has(draft, from, &cores)?;
            Ok(cores)
        }
        CoreSelection::Count(count) => {
            require_count(to, count)?;
            let new = donors.intersection(&draft.usable).difference(&receivers);
            if count > new.len() {
                return Err(Refusal::row(
                    to,
                    format!(
                        "cannot share {} of {from}: {from} has {} that {to} does not have",
                        phrases::counted(count, "core"),
                        if new.is_empty() { "none".to_owned() } else { new.len().to_string() },
                    ),
                ));
            }
            Ok(placement::pick(draft.topology(), &new, &receivers, count))
        }
    }
}

fn require_donor_has(draft: &Draft<'_>, from: &str, cores: &CpuSet) -> Result<(), Refusal> {
    require_named(draft, from, cores)?;
    let row = draft.row(from)?;
    let missing = cores.difference(&row.cores);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::row(
        from,
        format!(
            "does not have {}: it has {}",
            phrases::cores(&missing),
            phrases::cores(&row.cores)
        ),
    ))
}

fn require_named(draft: &Draft<'_>, model: &str, cores: &CpuSet) -> Result<(), Refusal> {
    require_count(model, cores.len())?;
    draft.require_usable(model, cores)
}

/// Moves instances.
///
/// # Errors
/// A refusal when the donor would have no instance left, or the receiver too many.
pub(super) fn transfer_concurrency(
    draft: &mut Draft<'_>,
    count: usize,
    from: &str,
    to: &str,
) -> Result<(), Refusal> {
    let (donor, receiver) = (instances_of(draft, from)?, instances_of(draft, to)?);
    if from == to {
        return Err(Refusal::row(from, SAME_MODEL));
    }
    if count == 0 {
        return Err(Refusal::whole("the transfer moves no instance: choose at least one"));
    }
    if count >= donor {
        return Err(Refusal::row(
            from,
            format!(
                "has {} and must keep one: pause the model to stop it",
                phrases::counted(donor, "instance"),
            ),
        ));
    }
    bounds::number(to, "concurrency", Auto::Exactly(receiver.saturating_add(count)))?;
    draft.row_mut(from)?.budget.concurrency = Auto::Exactly(donor - count);
    draft.row_mut(to)?.budget.concurrency = Auto::Exactly(receiver + count);
    Ok(())
}

/// Returns the instances that a row has while it is not paused.
fn instances_of(draft: &Draft<'_>, name: &str) -> Result<usize, Refusal> {
    let row = draft.row(name)?;
    if row.cores.is_empty() {
        return Err(Refusal::row(name, "has no cores and so no instances: give it a core first"));
    }
    Ok(instances::instances(&row.budget, row.cores.len(), row.threads))
}

fn require_count(model: &str, count: usize) -> Result<(), Refusal> {
    if count == 0 {
        return Err(Refusal::row(model, "the transfer moves no core: choose at least one"));
    }
    Ok(())
}

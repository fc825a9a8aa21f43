//! Moving cores and instances from one to another.
//!
//! A core leaves its donor only: models that share it keep it. With `share` the donor keeps it too.
//!
//! - By number, placement decides which: cores that nobody else has, before shared ones, before
//!   those that the receiver has as well (the donor then leaves them to it). A list stays a list
//!   and loses or gains them; a count or a share becomes the count of what the row then has.
//! - By name (`These`), and with `share`, both rows become lists: they were asked for by name, and
//!   a count would be placed elsewhere when the saved layout is loaded.
//! - The last core of a model may leave; the model is paused until it has one again.

use super::super::budget::{Auto, CoreRequest};
use super::super::change::{CoreOwner, CoreSelection, Refusal};
use super::super::desired::Row;
use super::super::placement;
use super::draft::Draft;
use super::{bounds, split, words};
use crate::machine::CpuSet;

/// Sets a row's cores, and its request to match.
fn reassign(row: &mut Row, cores: CpuSet, by_name: bool) {
    let gained = cores.difference(&row.cores);
    let lost = row.cores.difference(&cores);
    row.cores = cores;
    row.budget.cores = match row.budget.cores {
        CoreRequest::List(list) => CoreRequest::List(list.difference(&lost).union(&gained)),
        CoreRequest::Count(_) | CoreRequest::Share(_) if by_name => CoreRequest::List(cores),
        CoreRequest::Count(_) | CoreRequest::Share(_) => CoreRequest::Count(cores.len()),
    };
}

impl Draft<'_> {
    /// # Errors
    /// A refusal that says what the donor has, or why the receiver cannot take it.
    pub(super) fn transfer_cores(
        &mut self,
        selection: CoreSelection,
        from: &CoreOwner,
        to: &CoreOwner,
        share: bool,
    ) -> Result<(), Refusal> {
        if from == to {
            return Err(match from {
                CoreOwner::Free => {
                    Refusal::whole("cores move to a model or from one, not free to free")
                }
                CoreOwner::Model(name) => {
                    Refusal::row(name, "gives and takes: choose another receiver")
                }
            });
        }
        let moving = match (from, to) {
            (CoreOwner::Free, CoreOwner::Model(to)) if !share => self.out_of_free(selection, to)?,
            (CoreOwner::Model(from), CoreOwner::Free) if !share => {
                self.row(from)?;
                self.out_of_model(selection, from, None)?
            }
            (CoreOwner::Model(from), CoreOwner::Model(to)) if share => {
                self.shared(selection, from, to)?
            }
            (CoreOwner::Model(from), CoreOwner::Model(to)) => {
                self.out_of_model(selection, from, Some(to))?
            }
            _ => return Err(Refusal::whole("sharing a core takes two models, not free cores")),
        };
        let by_name = share || matches!(selection, CoreSelection::These(_));
        if let CoreOwner::Model(name) = from {
            let row = self.row_mut(name)?;
            let rest = if share { row.cores } else { row.cores.difference(&moving) };
            reassign(row, rest, by_name);
        }
        if let CoreOwner::Model(name) = to {
            let row = self.row_mut(name)?;
            reassign(row, row.cores.union(&moving), by_name);
        }
        Ok(())
    }

    fn out_of_free(&self, selection: CoreSelection, to: &str) -> Result<CpuSet, Refusal> {
        let near = self.row(to)?.cores;
        let free = self.free();
        match selection {
            CoreSelection::These(cores) => {
                self.require_named(to, &cores)?;
                let taken = cores.difference(&free);
                if taken.is_empty() {
                    return Ok(cores);
                }
                let owners = self.owners(&taken, &[]);
                Err(Refusal::row(
                    to,
                    format!(
                        "{} {} not free: {} {} {}",
                        words::cores(&taken),
                        words::are(taken.len()),
                        words::listed(&owners),
                        words::have(owners.len()),
                        if taken.len() == 1 { "it" } else { "them" },
                    ),
                ))
            }
            CoreSelection::Count(count) => {
                require_count(to, count)?;
                if free.is_empty() {
                    let reason = "no core is free: take one from a model";
                    return Err(Refusal::row(to, reason));
                }
                if count > free.len() {
                    return Err(Refusal::row(
                        to,
                        format!(
                            "asks for {count} free cores, and only {} {} free ({free})",
                            free.len(),
                            words::are(free.len()),
                        ),
                    ));
                }
                Ok(placement::pick(self.topology(), &free, &near, count))
            }
        }
    }

    fn out_of_model(
        &self,
        selection: CoreSelection,
        from: &str,
        to: Option<&str>,
    ) -> Result<CpuSet, Refusal> {
        let given = self.row(from)?.cores;
        let receiver = to.map(|to| self.row(to)).transpose()?;
        let count = match selection {
            CoreSelection::These(cores) => {
                self.require_given(from, &cores)?;
                return Ok(cores);
            }
            CoreSelection::Count(count) => count,
        };
        require_count(from, count)?;
        let given = given.intersection(&self.usable);
        if count > given.len() {
            return Err(Refusal::row(
                from,
                format!(
                    "cannot give {}: it has {}",
                    words::counted(count, "core"),
                    if given.is_empty() { "none".to_owned() } else { given.len().to_string() },
                ),
            ));
        }
        let had = receiver.map_or(CpuSet::EMPTY, |row| row.cores);
        let third = self.others(&[&[from][..], to.as_slice()].concat());
        let fresh = given.difference(&had);
        let alone = fresh.difference(&third);
        let shared = match receiver {
            // a core that a third model keeps could not be reserved
            Some(row) if row.budget.reserve => CpuSet::EMPTY,
            _ => fresh.intersection(&third),
        };
        let mut moving = CpuSet::EMPTY;
        for pool in [alone, shared, given.intersection(&had)] {
            let need = count.saturating_sub(moving.len());
            let more = placement::hand_over(self.topology(), &pool, &had, need);
            moving = moving.union(&more);
        }
        if moving.len() < count {
            let owners = self.owners(&fresh.intersection(&third), &[from, to.unwrap_or_default()]);
            return Err(Refusal::row(
                to.unwrap_or(from),
                format!(
                    "reserves its cores, and {} shares {} with {}",
                    from,
                    words::cores(&fresh.intersection(&third)),
                    words::listed(&owners),
                ),
            ));
        }
        Ok(moving)
    }

    fn shared(&self, selection: CoreSelection, from: &str, to: &str) -> Result<CpuSet, Refusal> {
        let given = self.row(from)?.cores;
        let had = self.row(to)?.cores;
        match selection {
            CoreSelection::These(cores) => {
                self.require_given(from, &cores)?;
                Ok(cores)
            }
            CoreSelection::Count(count) => {
                require_count(to, count)?;
                let fresh = given.intersection(&self.usable).difference(&had);
                if count > fresh.len() {
                    return Err(Refusal::row(
                        to,
                        format!(
                            "cannot share {} of {from}: {from} has {} that {to} has not",
                            words::counted(count, "core"),
                            if fresh.is_empty() {
                                "none".to_owned()
                            } else {
                                fresh.len().to_string()
                            },
                        ),
                    ));
                }
                Ok(placement::pick(self.topology(), &fresh, &had, count))
            }
        }
    }

    fn require_given(&self, from: &str, cores: &CpuSet) -> Result<(), Refusal> {
        self.require_named(from, cores)?;
        let row = self.row(from)?;
        let alien = cores.difference(&row.cores);
        if alien.is_empty() {
            return Ok(());
        }
        Err(Refusal::row(
            from,
            format!("does not have {}: it has {}", words::cores(&alien), words::cores(&row.cores)),
        ))
    }

    fn require_named(&self, model: &str, cores: &CpuSet) -> Result<(), Refusal> {
        require_count(model, cores.len())?;
        self.require_usable(model, cores)
    }

    /// # Errors
    /// A refusal when the donor would be left without an instance, or the receiver past the most.
    pub(super) fn transfer_concurrency(
        &mut self,
        count: usize,
        from: &str,
        to: &str,
    ) -> Result<(), Refusal> {
        let (donor, receiver) = (self.instances(from)?, self.instances(to)?);
        if from == to {
            return Err(Refusal::row(from, "gives and takes: choose another receiver"));
        }
        if count == 0 {
            return Err(Refusal::whole("moves no instance: choose at least one"));
        }
        if count >= donor {
            return Err(Refusal::row(
                from,
                format!(
                    "has {} and keeps at least one: pause it to stop it",
                    words::counted(donor, "instance"),
                ),
            ));
        }
        bounds::number(to, "concurrency", Auto::Exactly(receiver.saturating_add(count)))?;
        self.row_mut(from)?.budget.concurrency = Auto::Exactly(donor - count);
        self.row_mut(to)?.budget.concurrency = Auto::Exactly(receiver + count);
        Ok(())
    }

    /// Instances of a row, as they are while it is not paused.
    fn instances(&self, name: &str) -> Result<usize, Refusal> {
        let row = self.row(name)?;
        if row.cores.is_empty() {
            return Err(Refusal::row(
                name,
                "has no cores and so no instances: give it a core first",
            ));
        }
        Ok(split::instances(&row.budget, row.cores.len(), row.threads))
    }
}

fn require_count(model: &str, count: usize) -> Result<(), Refusal> {
    if count == 0 {
        return Err(Refusal::row(model, "moves no core: choose at least one"));
    }
    Ok(())
}

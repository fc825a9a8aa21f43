//! Lends cores: checks loans, puts them in force and ends them.

use std::time::Instant;

use super::enforce;
use super::loans::{LoanEnd, OpenLoan};
use super::models::LiveModels;
use super::row_changes::has_changed;
use crate::layout::{DesiredState, Refusal};
use crate::machine::{Clock, CpuSet};
use crate::scheduler::lending::{Loan, LoanId, LoanRequest};

/// Puts a loan in force, which begins now.
///
/// # Errors
/// [`Refusal`] if the lender cannot lend the cores, or the borrower has them.
pub(super) fn lend(
    models: &mut LiveModels,
    request: &LoanRequest,
    clock: &dyn Clock,
) -> Result<Loan, Refusal> {
    let (lender, borrower) = check_loan(models, request)?;
    let id = models.loans.next_id();
    let end = request.duration.and_then(|duration| LoanEnd::after(duration, clock));
    models.loans.open.push(OpenLoan { id, cores: request.cores, lender, borrower, end });
    let all = models.desired.clone();
    set_effective_cores(models, &all);
    // The lender first, so that a core is free as early as possible for its borrower.
    let order = request.lender.iter().chain([&request.borrower]);
    let differences = order.flat_map(|name| place_effective(models, name, &all)).collect();
    Ok(Loan { id, differences })
}

/// Ends a loan.
///
/// # Errors
/// [`Refusal`] if it has ended.
pub(super) fn reclaim(models: &mut LiveModels, id: LoanId) -> Result<(), Refusal> {
    let Some(loan) = models.loans.remove(id) else {
        return Err(Refusal::whole(format!("{id} has ended")));
    };
    let all = models.desired.clone();
    set_effective_cores(models, &all);
    let parties = [Some(loan.borrower), loan.lender];
    for generation in parties.into_iter().flatten() {
        if let Some(name) = models.slots.name_of_generation(generation) {
            place_effective(models, &name, &all);
        }
    }
    Ok(())
}

/// Ends the loans whose time is over. Returns true if there were any.
pub(super) fn end_expired_loans(models: &mut LiveModels, now: Instant) -> bool {
    let is_over = |loan: &OpenLoan| loan.end.is_some_and(|end| end.at <= now);
    let over: Vec<LoanId> =
        models.loans.open.iter().filter(|loan| is_over(loan)).map(|loan| loan.id).collect();
    for id in &over {
        tracing::info!("{id} has ended: its time is over");
        // It is open, so it can be reclaimed.
        let _ = reclaim(models, *id);
    }
    !over.is_empty()
}

/// Ends all loans, as after a change of the machine.
pub(super) fn end_all_loans(models: &mut LiveModels) {
    for loan in std::mem::take(&mut models.loans.open) {
        tracing::info!("{} has ended: the machine has changed", loan.id);
    }
    let all = models.desired.clone();
    for name in set_effective_cores(models, &all) {
        place_effective(models, &name, &all);
    }
}

/// Ends the loans that a change concerns; enforcing the change then places the threads.
pub(super) fn end_loans_of_change(
    models: &mut LiveModels,
    before: &DesiredState,
    after: &DesiredState,
) {
    if models.loans.open.is_empty() {
        return;
    }
    let mut touched_cores = CpuSet::EMPTY;
    let mut kept = Vec::new();
    for row in &after.rows {
        let old = before.counterpart(row, after);
        if has_changed(old, row) {
            let old = old.map_or(CpuSet::EMPTY, |old| old.cores);
            touched_cores = touched_cores.union(&row.cores).union(&old);
        } else if let Some(slot) = models.slots.get(&row.budget.name) {
            kept.push(slot.generation);
        }
    }
    models.loans.open.retain(|loan| {
        let parties = loan.lender.iter().chain([&loan.borrower]);
        let is_kept = loan.cores.is_disjoint(&touched_cores)
            && parties.into_iter().all(|party| kept.contains(party));
        if !is_kept {
            tracing::info!("{} has ended with a change of its cores or models", loan.id);
        }
        is_kept
    });
    set_effective_cores(models, after);
}

/// Sets the effective cores of all slots. Returns the models for which they differ from before.
fn set_effective_cores(models: &mut LiveModels, all: &DesiredState) -> Vec<String> {
    let mut changed = Vec::new();
    for row in &all.rows {
        let Some(slot) = models.slots.get_mut(&row.budget.name) else { continue };
        let cores = models.loans.effective_cores(slot.generation, row.cores);
        if slot.effective_cores != cores {
            slot.effective_cores = cores;
            changed.push(row.budget.name.clone());
        }
    }
    changed
}

/// Places the threads of a model, also those that build, on its effective cores. Returns the differences that the kernel
/// shows.
fn place_effective(models: &mut LiveModels, name: &str, all: &DesiredState) -> Vec<String> {
    let (Some(row), Some(slot)) = (all.row(name), models.slots.get_mut(name)) else {
        return Vec::new();
    };
    let machine = &models.description;
    let building = enforce::builder_cores(row, slot.effective_cores, all, machine);
    let mask = enforce::effective_mask(row, all, slot, machine);
    let mut found = Vec::new();
    for slot in enforce::with_successor(slot) {
        if slot.workload.builder_cores().is_some_and(|now| now != building) {
            found.extend(slot.workload.pin_builders(building));
        }
        found.extend(slot.workload.pin(mask));
    }
    if !found.is_empty() {
        // The next check of the machine tries again.
        slot.difference = Some(found.join("; "));
    }
    found.into_iter().map(|line| format!("{name}: {line}")).collect()
}

/// Checks a request for a loan. Returns the generations of the lender and of the borrower.
fn check_loan(models: &LiveModels, request: &LoanRequest) -> Result<(Option<u64>, u64), Refusal> {
    let LoanRequest { cores, lender, borrower, .. } = request;
    let generation = |name: &str| {
        let slot = models.slots.get(name);
        slot.map(|slot| slot.generation)
            .ok_or_else(|| Refusal::row(name, "there is no model of this name"))
    };
    let own = |name: &str| models.desired.row(name).map_or(CpuSet::EMPTY, |row| row.cores);
    let borrower_generation = generation(borrower)?;
    if cores.is_empty() {
        return Err(Refusal::whole("a loan needs at least one core"));
    }
    if own(borrower).is_empty() {
        return Err(Refusal::row(
            borrower,
            "it has no cores; give it some before it borrows others",
        ));
    }
    let effective = models.loans.effective_cores(borrower_generation, own(borrower));
    if !effective.unwrap_or(own(borrower)).is_disjoint(cores) || lender.as_ref() == Some(borrower) {
        return Err(Refusal::row(borrower, format!("it already has some of the cores {cores}")));
    }
    let lent = models.loans.lent();
    if !lent.is_disjoint(cores) {
        return Err(Refusal::whole(format!("some of the cores {cores} are already lent")));
    }
    if !cores.is_subset(&models.description.limits.allowed) {
        return Err(Refusal::whole(format!("some of the cores {cores} are not allowed here")));
    }
    let is_other = |name: &str| lender.as_deref() != Some(name);
    let mut others = models.desired.rows.iter().filter(|row| is_other(&row.budget.name));
    if let Some(owner) = others.find(|row| !row.cores.is_disjoint(cores)) {
        return Err(Refusal::row(
            &owner.budget.name,
            format!("it has some of the cores {cores} too, so they cannot be lent"),
        ));
    }
    let Some(lender) = lender else { return Ok((None, borrower_generation)) };
    let lender_generation = generation(lender)?;
    if !cores.difference(&own(lender)).is_empty() {
        return Err(Refusal::row(lender, format!("it does not have all of the cores {cores}")));
    }
    if own(lender).difference(&lent).difference(cores).is_empty() {
        return Err(Refusal::row(lender, "it keeps at least one core: lend fewer"));
    }
    Ok((Some(lender_generation), borrower_generation))
}

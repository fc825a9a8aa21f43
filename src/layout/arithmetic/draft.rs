//! A draft of a desired state, with the queries and changes that all edits share.

use super::super::budget::CoreRequest;
use super::super::desired::{DesiredState, Row};
use super::super::placement;
use super::super::refusal::Refusal;
use super::instances::derive_instances;
use super::ledger::usable;
use super::phrases;
use crate::machine::{CpuSet, Description, Topology};

/// Returns the CPUs that a row claims: those it has, and those of its list that are absent now.
fn claimed(row: &Row) -> CpuSet {
    match &row.budget.cores {
        CoreRequest::List(list) => row.cores.union(list),
        CoreRequest::Count(_) | CoreRequest::Share(_) => row.cores,
    }
}

/// A state in the making and the machine that it is for.
pub(super) struct Draft<'a> {
    /// The state.
    pub desired: DesiredState,
    /// The machine.
    pub machine: &'a Description,
    /// The CPUs that models may have.
    pub usable: CpuSet,
}

impl<'a> Draft<'a> {
    pub(super) fn new(desired: DesiredState, machine: &'a Description) -> Self {
        Self { desired, machine, usable: usable(machine) }
    }

    /// Returns the machine's topology.
    pub(super) fn topology(&self) -> &'a Topology {
        &self.machine.topology
    }

    /// Returns the row of a model.
    ///
    /// # Errors
    /// A refusal that names the models that exist.
    pub(super) fn row(&self, name: &str) -> Result<&Row, Refusal> {
        self.desired.row(name).ok_or_else(|| self.unknown(name))
    }

    /// Returns the row of a model.
    ///
    /// # Errors
    /// As [`Draft::row`].
    pub(super) fn row_mut(&mut self, name: &str) -> Result<&mut Row, Refusal> {
        let at = self.desired.rows.iter().position(|row| row.budget.name == name);
        let unknown = self.unknown(name);
        at.and_then(|at| self.desired.rows.get_mut(at)).ok_or(unknown)
    }

    fn unknown(&self, name: &str) -> Refusal {
        let names: Vec<&str> =
            self.desired.rows.iter().map(|row| row.budget.name.as_str()).collect();
        let known = match names.as_slice() {
            [] => "the layout has no row".to_owned(),
            [only] => format!("the only row is {only}"),
            _ => format!("the rows are {}", phrases::listed(&names)),
        };
        Refusal::row(name, format!("there is no such row; {known}"))
    }

    /// Returns the CPUs of all rows except the named ones.
    pub(super) fn others(&self, except: &[&str]) -> CpuSet {
        self.desired
            .rows
            .iter()
            .filter(|row| !except.contains(&row.budget.name.as_str()))
            .fold(CpuSet::EMPTY, |all, row| all.union(&row.cores))
    }

    /// Returns the usable CPUs that no row has.
    pub(super) fn free(&self) -> CpuSet {
        self.usable.difference(&self.others(&[]))
    }

    /// Returns the names of the rows that have one of these CPUs, except the named ones.
    pub(super) fn owners(&self, cores: &CpuSet, except: &[&str]) -> Vec<&str> {
        self.desired
            .rows
            .iter()
            .filter(|row| !row.cores.is_disjoint(cores))
            .map(|row| row.budget.name.as_str())
            .filter(|name| !except.contains(name))
            .collect()
    }

    /// Refuses CPUs that this process cannot use.
    ///
    /// # Errors
    /// A refusal that says whether they are missing, offline or not allowed, and names those that
    /// are usable.
    pub(super) fn require_usable(&self, model: &str, cores: &CpuSet) -> Result<(), Refusal> {
        let unusable = cores.difference(&self.usable);
        if unusable.is_empty() {
            return Ok(());
        }
        let missing: CpuSet =
            unusable.iter().filter(|id| self.topology().core(*id).is_none()).collect();
        let offline = unusable.difference(&missing).difference(&self.topology().online());
        let (which, why) = if !missing.is_empty() {
            (missing, "not on this machine")
        } else if !offline.is_empty() {
            (offline, "offline")
        } else {
            (unusable, "not allowed for this process")
        };
        let reason = format!(
            "{} {} {why}; use {}",
            phrases::cores(&which),
            phrases::are(which.len()),
            phrases::cores(&self.usable),
        );
        Err(Refusal::row(model, reason))
    }

    /// Returns the usable CPUs that a row may share: neither its own nor reserved ones.
    fn shareable(&self, name: &str, own: &CpuSet) -> CpuSet {
        let reserved = self
            .desired
            .rows
            .iter()
            .filter(|row| row.budget.reserve && row.budget.name != name)
            .fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
        self.usable.difference(&reserved).difference(own)
    }

    /// Adds free cores, close to the row's own, until it has `count`.
    pub(super) fn fill_free(&mut self, name: &str, count: usize) -> Result<(), Refusal> {
        let free = self.free();
        let topology = self.topology();
        let row = self.row_mut(name)?;
        let need = count.saturating_sub(row.cores.len());
        row.cores = row.cores.union(&placement::pick(topology, &free, &row.cores, need));
        Ok(())
    }

    /// Adds cores, those with the fewest owners first, until the row has `count`.
    pub(super) fn fill_shared(&mut self, name: &str, count: usize) -> Result<(), Refusal> {
        loop {
            let own = self.row(name)?.cores;
            let pool = self.shareable(name, &own);
            let need = count.saturating_sub(own.len());
            let owners = |id| self.desired.rows.iter().filter(|row| row.cores.contains(id)).count();
            let Some(fewest) = pool.iter().map(owners).min().filter(|_| need > 0) else {
                return Ok(());
            };
            let idlest: CpuSet = pool.iter().filter(|id| owners(*id) == fewest).collect();
            let more = placement::pick(self.topology(), &idlest, &own, need);
            let row = self.row_mut(name)?;
            row.cores = own.union(&more);
        }
    }

    /// Removes cores, shared ones first, until the row has `count`.
    pub(super) fn shrink(&mut self, name: &str, count: usize) -> Result<(), Refusal> {
        let others = self.others(&[name]);
        let topology = self.topology();
        let row = self.row_mut(name)?;
        let excess = row.cores.len().saturating_sub(count);
        let shared = row.cores.intersection(&others);
        let first = placement::release(topology, &shared, excess.min(shared.len()));
        row.cores = row.cores.difference(&first);
        let second = placement::release(topology, &row.cores, excess - first.len());
        row.cores = row.cores.difference(&second);
        Ok(())
    }

    /// Sets the threads and instances of all rows from their budgets and cores.
    pub(super) fn derive_instances(&mut self) {
        self.desired.rows.iter_mut().for_each(derive_instances);
    }

    /// Refuses a state in which a reserved core is in two rows.
    ///
    /// # Errors
    /// A refusal that names the row that differs from the state `before`.
    pub(super) fn require_reserves(&self, before: &DesiredState) -> Result<(), Refusal> {
        for holder in self.desired.rows.iter().filter(|row| row.budget.reserve) {
            let holder_name = holder.budget.name.as_str();
            let sharers: Vec<&Row> = self
                .desired
                .rows
                .iter()
                .filter(|row| row.budget.name != holder_name)
                .filter(|row| !claimed(row).is_disjoint(&claimed(holder)))
                .collect();
            let Some(first) = sharers.first() else { continue };
            let old_holder = before.counterpart(holder, &self.desired);
            let old_sharer = before.counterpart(first, &self.desired);
            let reserves_now = old_holder.is_some_and(|row| !row.budget.reserve);
            let sharer_is_unchanged = old_sharer.is_some_and(|row| row.cores == first.cores);
            return Err(if reserves_now || sharer_is_unchanged {
                cannot_reserve(holder, &sharers)
            } else {
                is_reserved(first, holder)
            });
        }
        Ok(())
    }
}

fn cannot_reserve(holder: &Row, sharers: &[&Row]) -> Refusal {
    let all = sharers.iter().fold(CpuSet::EMPTY, |all, row| all.union(&claimed(row)));
    let shared = all.intersection(&claimed(holder));
    let names: Vec<&str> = sharers.iter().map(|row| row.budget.name.as_str()).collect();
    let owners = phrases::listed(&names);
    let reason = format!(
        "cannot reserve {}: {owners} {} {} too; move {owners} away, or leave reserve off",
        phrases::cores(&shared),
        phrases::have(names.len()),
        phrases::them(shared.len()),
    );
    Refusal::row(&holder.budget.name, reason)
}

fn is_reserved(row: &Row, holder: &Row) -> Refusal {
    let shared = claimed(row).intersection(&claimed(holder));
    let holder = holder.budget.name.as_str();
    let reason = format!(
        "{} {} reserved by {holder}: move {} from {holder}, or turn its reserve off first",
        phrases::cores(&shared),
        phrases::are(shared.len()),
        phrases::them(shared.len()),
    );
    Refusal::row(&row.budget.name, reason)
}

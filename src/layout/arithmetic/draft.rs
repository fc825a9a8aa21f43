//! A desired state in the making, on a machine: what all edits ask and do.

use super::super::budget::CoreRequest;
use super::super::change::Refusal;
use super::super::desired::{DesiredState, Row};
use super::super::placement;
use super::{split, words};
use crate::machine::{CpuSet, Description, Topology};

/// CPUs that are online and that this process may use.
pub(super) fn usable(machine: &Description) -> CpuSet {
    if machine.topology.cores.is_empty() {
        return machine.limits.allowed;
    }
    machine.limits.allowed.intersection(&machine.topology.online())
}

/// Number of cores that a request means where `usable` can be had.
pub(super) fn wanted(request: &CoreRequest, usable: usize) -> usize {
    match request {
        CoreRequest::List(list) => list.len(),
        CoreRequest::Count(count) => *count,
        CoreRequest::Share(percent) => {
            ((usable as f64 * percent / 100.0).round() as usize).clamp(1, usable.max(1))
        }
    }
}

/// CPUs that a row may lay claim to: those it has, and those of its list that are away now.
pub(super) fn claim(row: &Row) -> CpuSet {
    match &row.budget.cores {
        CoreRequest::List(list) => row.cores.union(list),
        CoreRequest::Count(_) | CoreRequest::Share(_) => row.cores,
    }
}

/// The state, the machine, and what can be asked of both.
pub(super) struct Draft<'a> {
    pub desired: DesiredState,
    pub machine: &'a Description,
    pub usable: CpuSet,
}

impl<'a> Draft<'a> {
    pub(super) fn new(desired: DesiredState, machine: &'a Description) -> Self {
        Self { desired, machine, usable: usable(machine) }
    }

    pub(super) fn topology(&self) -> &'a Topology {
        &self.machine.topology
    }

    /// # Errors
    /// A refusal that names the models there are.
    pub(super) fn row(&self, name: &str) -> Result<&Row, Refusal> {
        self.desired.row(name).ok_or_else(|| self.unknown(name))
    }

    /// # Errors
    /// As [`Draft::row`].
    pub(super) fn row_mut(&mut self, name: &str) -> Result<&mut Row, Refusal> {
        let Some(at) = self.desired.rows.iter().position(|row| row.budget.name == name) else {
            return Err(self.unknown(name));
        };
        self.desired.rows.get_mut(at).ok_or_else(|| Refusal::row(name, "there is no such model"))
    }

    fn unknown(&self, name: &str) -> Refusal {
        let names: Vec<&str> =
            self.desired.rows.iter().map(|row| row.budget.name.as_str()).collect();
        let there = match names.len() {
            0 => "there is none".to_owned(),
            count => format!("there {} {}", words::are(count), words::listed(&names)),
        };
        Refusal::row(name, format!("there is no such model; {there}"))
    }

    /// CPUs of all rows but the named ones.
    pub(super) fn others(&self, but: &[&str]) -> CpuSet {
        self.desired
            .rows
            .iter()
            .filter(|row| !but.contains(&row.budget.name.as_str()))
            .fold(CpuSet::EMPTY, |all, row| all.union(&row.cores))
    }

    /// Usable CPUs that no row has.
    pub(super) fn free(&self) -> CpuSet {
        self.usable.difference(&self.others(&[]))
    }

    /// Names of the rows that have one of these CPUs, but for the named ones.
    pub(super) fn owners(&self, cores: &CpuSet, but: &[&str]) -> Vec<&str> {
        self.desired
            .rows
            .iter()
            .filter(|row| !row.cores.is_disjoint(cores))
            .map(|row| row.budget.name.as_str())
            .filter(|name| !but.contains(name))
            .collect()
    }

    /// Refuses CPUs that this process cannot use, and says which it can.
    ///
    /// # Errors
    /// A refusal that names the CPUs and whether they are missing, offline or not allowed.
    pub(super) fn require_usable(&self, model: &str, cores: &CpuSet) -> Result<(), Refusal> {
        let lacking = cores.difference(&self.usable);
        if lacking.is_empty() {
            return Ok(());
        }
        let missing: CpuSet =
            lacking.iter().filter(|id| self.topology().core(*id).is_none()).collect();
        let offline = lacking.difference(&missing).difference(&self.topology().online());
        let (which, why) = if !missing.is_empty() {
            (missing, "not on this machine")
        } else if !offline.is_empty() {
            (offline, "offline")
        } else {
            (lacking, "not allowed to this process")
        };
        let reason = format!(
            "{} {} {why}; it can have {}",
            words::cores(&which),
            words::are(which.len()),
            words::cores(&self.usable),
        );
        Err(Refusal::row(model, reason))
    }

    /// Usable CPUs that a row may share: not its own, and nobody's reserve.
    fn shareable(&self, name: &str, own: &CpuSet) -> CpuSet {
        let reserved = self
            .desired
            .rows
            .iter()
            .filter(|row| row.budget.reserve && row.budget.name != name)
            .fold(CpuSet::EMPTY, |all, row| all.union(&row.cores));
        self.usable.difference(&reserved).difference(own)
    }

    /// Gives a row cores until it has `count`: free ones close to its own.
    pub(super) fn fill_free(&mut self, name: &str, count: usize) -> Result<(), Refusal> {
        let free = self.free();
        let topology = self.topology();
        let row = self.row_mut(name)?;
        let need = count.saturating_sub(row.cores.len());
        row.cores = row.cores.union(&placement::pick(topology, &free, &row.cores, need));
        Ok(())
    }

    /// Gives a row cores until it has `count`, shared ones too: those with the fewest owners first.
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

    /// Takes cores from a row until it has `count`: those that it shares first.
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

    /// Derives threads and instances of all rows.
    pub(super) fn settle(&mut self) {
        self.desired.rows.iter_mut().for_each(split::settle);
    }

    /// Refuses a state in which a reserved core is in two rows.
    ///
    /// # Errors
    /// A refusal of the row that caused it, seen from the state `before`.
    pub(super) fn require_reserves(&self, before: &DesiredState) -> Result<(), Refusal> {
        for keeper in self.desired.rows.iter().filter(|row| row.budget.reserve) {
            let keeper_name = keeper.budget.name.as_str();
            let sharers: Vec<&Row> = self
                .desired
                .rows
                .iter()
                .filter(|row| row.budget.name != keeper_name)
                .filter(|row| !claim(row).is_disjoint(&claim(keeper)))
                .collect();
            let Some(first) = sharers.first() else { continue };
            let was = before.counterpart(keeper, &self.desired);
            let newly = was.is_some_and(|row| !row.budget.reserve);
            let innocent = before
                .counterpart(first, &self.desired)
                .is_some_and(|row| row.cores == first.cores);
            if newly || innocent {
                let all = sharers.iter().fold(CpuSet::EMPTY, |all, row| all.union(&claim(row)));
                let names: Vec<&str> = sharers.iter().map(|row| row.budget.name.as_str()).collect();
                let both = all.intersection(&claim(keeper));
                return Err(Refusal::row(
                    keeper_name,
                    format!(
                        "cannot reserve {}: {} {} {} too; move {} away or leave reserve off",
                        words::cores(&both),
                        words::listed(&names),
                        words::have(names.len()),
                        if both.len() == 1 { "it" } else { "them" },
                        words::listed(&names),
                    ),
                ));
            }
            let both = claim(first).intersection(&claim(keeper));
            return Err(Refusal::row(
                &first.budget.name,
                format!(
                    "{} {} reserved by {keeper_name}: take {} from {keeper_name}, or lift its \
                     reserve first",
                    words::cores(&both),
                    words::are(both.len()),
                    if both.len() == 1 { "it" } else { "them" },
                ),
            ));
        }
        Ok(())
    }
}

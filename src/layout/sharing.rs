//! Rows that share one loaded model: how a change of the rows alters the memory that each is charged.

use std::collections::{BTreeMap, BTreeSet};

use super::budget::{Budget, ModelSource, RowSource};
use super::desired::{DesiredState, Row};
use super::plan::Plan;
use super::refusal::Refusal;
use super::sharing_plan::{ChargePlan, SharingPlan};
use super::units::Bytes;

/// Rows that can share one loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharingRule {
    /// Only rows with one thread per instance (ONNX Runtime).
    OneThread,
    /// Rows with any number of threads (rten).
    AnyThreads,
}

impl SharingRule {
    fn allows(self, row: &Row) -> bool {
        row.budget.gpu.is_none() && (self == Self::AnyThreads || row.threads == 1)
    }
}

/// A loaded model with the rows that use it, as measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModelUse {
    /// Its size in bytes, charged to its rows in equal parts.
    pub bytes: u64,
    /// The rows that may join.
    pub rule: SharingRule,
    /// The rows that use it.
    pub rows: Vec<RowMemory>,
}

/// The memory of one row, as measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowMemory {
    /// The row.
    pub model: String,
    /// Bytes that it holds itself, without its part of the loaded model.
    pub own_bytes: u64,
}

/// Returns the number of rows that may share the loaded model of `budget`, itself included, before
/// their threads and the engine are known.
pub fn possible_sharers<'a>(
    models: impl IntoIterator<Item = &'a Budget>,
    budget: &Budget,
) -> usize {
    if budget.gpu.is_some() {
        return 1;
    }
    let shares = |other: &&Budget| other.gpu.is_none() && uses_same_model(other, budget);
    models.into_iter().filter(shares).count().max(1)
}

/// Returns the number of rows that share the loaded model of `row` under a rule, itself included.
pub fn sharers(state: &DesiredState, row: &Row, rule: SharingRule) -> usize {
    if !rule.allows(row) {
        return 1;
    }
    let shares = |other: &&Row| rule.allows(other) && uses_same_model(&other.budget, &row.budget);
    state.rows.iter().filter(shares).count().max(1)
}

fn uses_same_model(a: &Budget, b: &Budget) -> bool {
    !a.is_process() && a.source == b.source && a.engine == b.engine
}

impl Plan {
    /// Returns true if the change may alter which rows use which loaded models.
    pub fn may_alter_sharing(&self, before: &DesiredState) -> bool {
        let old: BTreeMap<&str, &Row> = by_name(before);
        let stays = |row: &Row| {
            old.get(row.budget.name.as_str()).is_some_and(|old| decides_alike(old, row))
        };
        before.rows.len() != self.after.rows.len() || !self.after.rows.iter().all(stays)
    }

    /// Adds the effects of the change on loaded models that rows share.
    ///
    /// # Errors
    /// A refusal if a row's part of a loaded model would grow beyond the row's memory budget.
    pub fn add_sharing(
        &mut self,
        before: &DesiredState,
        models: &[LoadedModelUse],
    ) -> Result<(), Refusal> {
        let old = by_name(before);
        for model in models {
            let Some(effect) = effect(model, &old, &self.after) else { continue };
            require_budgets(&effect, model, &self.after)?;
            if effect.charges.len() > 1 || effect.charges.iter().any(|it| it.before_bytes.is_some())
            {
                self.warnings.push(effect.description());
                self.sharing.push(effect);
            }
        }
        Ok(())
    }
}

/// Returns the new charges if the rows that use a loaded model change, and some remain.
fn effect(
    model: &LoadedModelUse,
    before: &BTreeMap<&str, &Row>,
    after: &DesiredState,
) -> Option<SharingPlan> {
    let users: BTreeSet<&str> = model.rows.iter().map(|row| row.model.as_str()).collect();
    let members: Vec<&Row> = users.iter().filter_map(|name| before.get(name).copied()).collect();
    let first = members.first()?;
    let will_use = |row: &&Row| {
        let old = before.get(row.budget.name.as_str());
        if old.is_some_and(|old| decides_alike(old, row)) {
            return users.contains(row.budget.name.as_str());
        }
        let same = |member: &&&Row| uses_same_model(&member.budget, &row.budget);
        model.rule.allows(row) && members.iter().any(|member| same(&member))
    };
    let users_after: Vec<&Row> = after.rows.iter().filter(will_use).collect();
    let names_after: BTreeSet<&str> =
        users_after.iter().map(|row| row.budget.name.as_str()).collect();
    if users_after.is_empty() || names_after.iter().eq(members_names(&members).iter()) {
        return None;
    }
    let part = |rows: usize| model.bytes.div_ceil(rows.max(1) as u64);
    let charges = users_after.iter().map(|row| ChargePlan {
        model: row.budget.name.clone(),
        before_bytes: users.contains(row.budget.name.as_str()).then(|| part(members.len())),
        after_bytes: part(users_after.len()),
    });
    Some(SharingPlan { file: file_name(&first.budget.source), charges: charges.collect() })
}

fn by_name(state: &DesiredState) -> BTreeMap<&str, &Row> {
    state.rows.iter().map(|row| (row.budget.name.as_str(), row)).collect()
}

fn members_names<'a>(members: &[&'a Row]) -> BTreeSet<&'a str> {
    members.iter().map(|row| row.budget.name.as_str()).collect()
}

/// Returns true if nothing changes that decides which loaded model a row uses.
fn decides_alike(old: &Row, new: &Row) -> bool {
    uses_same_model(&old.budget, &new.budget)
        && old.budget.gpu == new.budget.gpu
        && old.threads == new.threads
}

fn require_budgets(
    effect: &SharingPlan,
    model: &LoadedModelUse,
    after: &DesiredState,
) -> Result<(), Refusal> {
    for charge in &effect.charges {
        let limit = after.row(&charge.model).and_then(|row| row.budget.memory);
        let is_larger = charge.before_bytes.is_none_or(|before| charge.after_bytes > before);
        let Some(Bytes(limit)) = limit.filter(|_| is_larger) else { continue };
        let own = model.rows.iter().find(|row| row.model == charge.model);
        let own = own.map_or(0, |row| row.own_bytes);
        let total = own.saturating_add(charge.after_bytes);
        if total > limit {
            let sharing = match effect.charges.len() {
                1 => "no other row would share it".to_owned(),
                rows => format!("{rows} rows would share it"),
            };
            return Err(Refusal::row(
                &charge.model,
                format!(
                    "{}: {sharing}, so this row would hold {} and may hold {}: raise its `memory` \
                     first",
                    effect.file,
                    Bytes(total).rounded(),
                    Bytes(limit)
                ),
            ));
        }
    }
    Ok(())
}

/// Returns the file name of a model, without its folder.
pub fn file_name(source: &RowSource) -> String {
    match source {
        RowSource::Model(ModelSource::Embedded(name)) => name.clone(),
        RowSource::Model(ModelSource::File(path)) => path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned()),
        RowSource::Process { process } => process.description(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Change, CoreRequest, Edit, EngineChoice, Layout};
    use crate::machine::Description;

    const MIB: u64 = 1 << 20;

    fn row(name: &str, memory: Option<u64>) -> Budget {
        Budget {
            engine: EngineChoice::Rten,
            cores: CoreRequest::Count(1),
            memory: memory.map(|mib| Bytes(mib * MIB)),
            ..Budget::new(name, ModelSource::Embedded("a.onnx".to_owned()))
        }
    }

    fn state(models: Vec<Budget>) -> DesiredState {
        let layout = Layout { description: String::new(), models };
        DesiredState::resolve(&layout, &Description::uniform(8)).unwrap()
    }

    fn used_by(names: &[&str]) -> Vec<LoadedModelUse> {
        let rows = names.iter().map(|name| RowMemory { model: (*name).into(), own_bytes: MIB });
        let rule = SharingRule::AnyThreads;
        vec![LoadedModelUse { bytes: 84 * MIB, rule, rows: rows.collect() }]
    }

    fn plan(state: &DesiredState, edit: Edit, used: &[LoadedModelUse]) -> Result<Plan, Refusal> {
        let mut plan = state.plan(&Change::from(edit), &Description::uniform(8))?;
        plan.add_sharing(state, used)?;
        Ok(plan)
    }

    fn add(budget: Budget) -> Edit {
        Edit::Add { budget: Box::new(budget) }
    }

    #[test]
    fn added_row_lowers_the_charges() {
        let before = state(vec![row("a", None), row("b", None)]);
        let plan = plan(&before, add(row("c", None)), &used_by(&["a", "b"])).unwrap();
        let text = "a.onnx is shared by 3 rows: a 42.0 MiB -> 28.0 MiB, b 42.0 MiB -> 28.0 MiB, \
                    c 28.0 MiB";
        assert_eq!(plan.warnings.last().map(String::as_str), Some(text));
        assert_eq!(plan.sharing[0].charges.len(), 3);
    }

    #[test]
    fn removed_row_raises_the_charges() {
        let before = state(vec![row("a", None), row("b", None)]);
        let edit = Edit::Remove { model: "b".into() };
        let plan = plan(&before, edit, &used_by(&["a", "b"])).unwrap();
        let text = "a.onnx is no longer shared: a 42.0 MiB -> 84.0 MiB";
        assert_eq!(plan.warnings.last().map(String::as_str), Some(text));
    }

    #[test]
    fn refuses_a_charge_above_the_budget() {
        let before = state(vec![row("a", Some(60)), row("b", None)]);
        let edit = Edit::Remove { model: "b".into() };
        let refusal = plan(&before, edit, &used_by(&["a", "b"])).unwrap_err();
        assert_eq!(refusal.model.as_deref(), Some("a"));
        assert!(refusal.reason.contains("85.0 MiB"), "{}", refusal.reason);
        assert!(refusal.reason.contains("raise its `memory`"), "{}", refusal.reason);
    }

    #[test]
    fn refuses_a_new_row_above_its_budget() {
        let before = state(vec![row("a", None)]);
        let used = used_by(&["a"]);
        assert!(plan(&before, add(row("b", Some(41))), &used).is_err());
        assert!(plan(&before, add(row("b", Some(43))), &used).is_ok());
    }

    #[test]
    fn unrelated_change_keeps_the_charges() {
        let before = state(vec![row("a", Some(1)), row("b", None)]);
        let edit = Edit::SetWeight { model: "b".into(), weight: 2 };
        let plan = plan(&before, edit, &used_by(&["a", "b"])).unwrap();
        assert_eq!(plan.sharing, []);
    }

    #[test]
    fn onnx_runtime_row_with_threads_leaves() {
        let mut before = state(vec![row("a", None), row("b", None)]);
        let mut used = used_by(&["a", "b"]);
        used[0].rule = SharingRule::OneThread;
        let mut after = before.clone();
        after.rows[1].threads = 2;
        let charges = effect(&used[0], &by_name(&before), &after).unwrap().charges;
        assert_eq!(charges[0].after_bytes, 84 * MIB);
        before.rows[1].threads = 2;
        used[0].rows.pop();
        let charges = effect(&used[0], &by_name(&before), &after_one(&after)).unwrap().charges;
        assert_eq!(charges.len(), 2, "it joins again");
    }

    fn after_one(state: &DesiredState) -> DesiredState {
        let mut state = state.clone();
        state.rows[1].threads = 1;
        state
    }

    #[test]
    fn counts_sharers_by_file_or_engine() {
        let other = Budget { engine: EngineChoice::OnnxRuntime, ..row("c", None) };
        let state = state(vec![row("a", None), row("b", None), other]);
        let budgets = || state.rows.iter().map(|row| &row.budget);
        assert_eq!(possible_sharers(budgets(), &state.rows[0].budget), 2);
        assert_eq!(possible_sharers(budgets(), &state.rows[2].budget), 1);
        assert_eq!(sharers(&state, &state.rows[0], SharingRule::OneThread), 2);
    }
}

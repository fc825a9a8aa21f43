//! What a change does, in numbers and in the operator's words.

use super::super::budget::{Auto, CoreRequest, Objective, Overflow, QueuePolicy};
use super::super::change::{Change, Refusal};
use super::super::desired::{DesiredState, Row};
use super::super::gpu::GpuId;
use super::super::plan::{Plan, RowPlan};
use super::super::units::print_duration;
use super::{warnings, words};
use crate::machine::{CpuSet, Description};

/// Rows that a summary tells of before it says "and 3 more".
const TOLD: usize = 8;

impl DesiredState {
    /// What a change would do: exactly the outcome of [`DesiredState::change`].
    ///
    /// # Errors
    /// As [`DesiredState::change`].
    pub fn plan(&self, change: &Change, machine: &Description) -> Result<Plan, Refusal> {
        Ok(self.plan_to(self.change(change, machine)?, machine))
    }

    /// What lies between this state and another: also that of an undo, or of a refit.
    pub fn plan_to(&self, after: Self, machine: &Description) -> Plan {
        let kept = after.rows.iter().map(|row| (self.counterpart(row, &after), Some(row)));
        let gone = self.rows.iter().filter(|row| after.counterpart(row, self).is_none());
        let pairs: Vec<(Option<&Row>, Option<&Row>)> = kept
            .chain(gone.map(|row| (Some(row), None)))
            .filter(|(was, is)| {
                differ(*was, *is)
                    || self.rebuilds(*was, *is, &after)
                    || self.stands_elsewhere(*was, *is, &after).is_some()
            })
            .collect();
        let rows = pairs.iter().filter_map(|(was, is)| self.row_plan(*was, *is, &after)).collect();
        let summary = self.summary(&pairs, &after);
        let warnings = warnings::of(self, &after, &pairs, machine);
        Plan { ledger: after.ledger(machine), rows, summary, warnings, after, sharing: Vec::new() }
    }

    fn row_plan(&self, was: Option<&Row>, is: Option<&Row>, after: &Self) -> Option<RowPlan> {
        let cores = |row: Option<&Row>| row.map_or(CpuSet::EMPTY, |row| row.cores);
        let concurrency = |row: Option<&Row>| row.map_or(0, |row| row.concurrency);
        let threads = |row: Option<&Row>| row.map_or(0, |row| row.threads);
        Some(RowPlan {
            model: is.or(was)?.budget.name.clone(),
            renamed_from: was
                .filter(|was| is.is_some_and(|is| is.budget.name != was.budget.name))
                .map(|was| was.budget.name.clone()),
            cores_before: cores(was),
            cores_after: cores(is),
            concurrency_before: concurrency(was),
            concurrency_after: concurrency(is),
            threads_before: threads(was),
            threads_after: threads(is),
            rebuild: self.rebuilds(was, is, after),
            last_build_us: None,
            idle_cores: is.map_or(0, Row::idle_cores),
        })
    }

    /// Whether instances of a model that stays must be built again. Without cores there is nothing
    /// to build for.
    fn rebuilds(&self, was: Option<&Row>, is: Option<&Row>, after: &Self) -> bool {
        let (Some(was), Some(is)) = (was, is) else { return false };
        !is.cores.is_empty()
            && (was.threads != is.threads
                || was.spinning(self) != is.spinning(after)
                || was.budget.source != is.budget.source
                || was.budget.engine != is.budget.engine
                || was.budget.dims != is.budget.dims
                || was.budget.inputs != is.budget.inputs
                || was.budget.recording() != is.budget.recording()
                || was.budget.gpu != is.budget.gpu
                || was.gpu_memory_each() != is.gpu_memory_each())
    }

    /// The nice values before and after, where they differ for a model that stays.
    fn stands_elsewhere(
        &self,
        was: Option<&Row>,
        is: Option<&Row>,
        after: &Self,
    ) -> Option<(i32, i32)> {
        let nices = (self.nice(was?), after.nice(is?));
        (nices.0 != nices.1).then_some(nices)
    }

    fn summary(&self, pairs: &[(Option<&Row>, Option<&Row>)], after: &Self) -> String {
        let mut unit = " cores";
        let mut told: Vec<String> = Vec::new();
        for (was, is) in pairs.iter().take(TOLD) {
            told.push(match (was, is) {
                (Some(was), Some(is)) => {
                    changed(was, is, self.stands_elsewhere(Some(was), Some(is), after), &mut unit)
                }
                (None, Some(row)) => {
                    format!(
                        "{} added with {}",
                        row.budget.name,
                        words::counted(row.cores.len(), "core")
                    )
                }
                (Some(row), None) => format!(
                    "{} removed, {} given back",
                    row.budget.name,
                    words::counted(row.cores.len(), "core"),
                ),
                (None, None) => continue,
            });
        }
        if told.is_empty() {
            return "nothing changes for any model".to_owned();
        }
        let more = pairs.len().saturating_sub(TOLD);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{tail}", told.join(", "))
    }
}

fn differ(was: Option<&Row>, is: Option<&Row>) -> bool {
    match (was, is) {
        (Some(was), Some(is)) => {
            let Row { budget, cores, threads, concurrency, generation: _, id: _ } = was;
            *budget != is.budget
                || *cores != is.cores
                || *threads != is.threads
                || *concurrency != is.concurrency
        }
        (was, is) => was.is_some() || is.is_some(),
    }
}

/// "detector 4 -> 5 cores", "ocr 2 -> 1: 1 instance idle". The unit is said once.
fn changed(was: &Row, is: &Row, nices: Option<(i32, i32)>, unit: &mut &'static str) -> String {
    let mut parts = Vec::new();
    let mut notes = Vec::new();
    if was.budget.name != is.budget.name {
        parts.push(format!("renamed to {}", is.budget.name));
    }
    let (had, has) = (was.cores.len(), is.cores.len());
    if had != has {
        parts.push(format!("{had} -> {has}{unit}"));
        *unit = "";
    } else if was.cores != is.cores {
        parts.push(format!("cores {} -> {}", was.cores, is.cores));
    }
    if was.threads != is.threads {
        parts.push(format!("{} -> {} threads", was.threads, is.threads));
    }
    let fewer = was.concurrency.saturating_sub(is.concurrency);
    if has == 0 && had > 0 {
        notes.push("paused without cores".to_owned());
    } else if was.budget.paused != is.budget.paused {
        // the word "paused" or "resumed" says it
    } else if parts.is_empty() && was.concurrency != is.concurrency {
        parts.push(format!("{} -> {} instances", was.concurrency, is.concurrency));
    } else if fewer > 0 {
        // of the same width they are parked; of another they are built anew
        let how = if was.threads == is.threads { "idle" } else { "fewer" };
        notes.push(format!("{} {how}", words::counted(fewer, "instance")));
    }
    if is.idle_cores() > was.idle_cores() && is.concurrency > 0 {
        notes.push(format!("{} idle", words::counted(is.idle_cores(), "core")));
    }
    parts.extend(settings(was, is));
    if let Some((old, new)) = nices {
        let how = if new < old { "stands higher" } else { "stands lower" };
        parts.push(format!("{how} on shared cores (nice {old} -> {new})"));
    }
    if parts.is_empty() {
        parts.push("changed".to_owned());
    }
    let head = format!("{} {}", was.budget.name, parts.join(", "));
    if notes.is_empty() { head } else { format!("{head}: {}", notes.join(" and ")) }
}

/// "concurrency fixed at 2", "concurrency auto".
fn setting(field: &str, value: Auto) -> String {
    match value {
        Auto::Auto => format!("{field} auto"),
        Auto::Exactly(value) => format!("{field} fixed at {value}"),
    }
}

/// What else of a row was set, in words.
fn settings(was: &Row, is: &Row) -> Vec<String> {
    let mut parts = Vec::new();
    let mut say = |differs: bool, text: String| {
        if differs {
            parts.push(text);
        }
    };
    let (old, new) = (&was.budget, &is.budget);
    say(old.paused != new.paused, if new.paused { "paused" } else { "resumed" }.to_owned());
    let reserve = if new.reserve { "cores reserved" } else { "reserve lifted" };
    say(old.reserve != new.reserve, reserve.to_owned());
    let cores = match &new.cores {
        CoreRequest::List(list) => format!("cores fixed at {list}"),
        CoreRequest::Count(count) => format!("cores by count, {count}"),
        CoreRequest::Share(share) => format!("cores by share, {share}%"),
    };
    say(old.cores != new.cores && was.cores == is.cores && !is.cores.is_empty(), cores);
    // said already where the figure itself differs
    let concurrency = old.concurrency != new.concurrency && was.concurrency == is.concurrency;
    say(concurrency, setting("concurrency", new.concurrency));
    let threads = old.threads != new.threads && was.threads == is.threads;
    say(threads, setting("threads", new.threads));
    let objective = match new.objective {
        Objective::Latency => "for latency",
        Objective::Throughput => "for throughput",
    };
    say(old.objective != new.objective, objective.to_owned());
    let spinning = match new.spinning {
        Some(true) => "spinning on",
        Some(false) => "spinning off",
        None => "spinning auto",
    };
    say(old.spinning != new.spinning, spinning.to_owned());
    say(old.weight != new.weight, format!("weight {} -> {}", old.weight, new.weight));
    say(old.queue != new.queue, queue(&old.queue, &new.queue));
    let slo = new.slo.map_or_else(
        || "no latency target".to_owned(),
        |slo| format!("target p{} {}", slo.percentile, print_duration(slo.bound)),
    );
    say(old.slo != new.slo, slo);
    let memory =
        new.memory.map_or_else(|| "memory unlimited".to_owned(), |to| format!("memory {to}"));
    say(old.memory != new.memory, memory);
    say(old.gpu != new.gpu, place(new.gpu.as_ref()));
    let gpu_memory = new
        .gpu_memory
        .map_or_else(|| "GPU memory unlimited".to_owned(), |to| format!("GPU memory {to}"));
    // a model that goes back to the CPU leaves its limit there
    say(old.gpu_memory != new.gpu_memory && new.gpu.is_some(), gpu_memory);
    let load = new
        .load
        .as_ref()
        .map_or_else(|| "load off".to_owned(), |to| format!("load {}", to.description()));
    say(old.load != new.load, load);
    let anew = old.source != new.source
        || old.engine != new.engine
        || old.dims != new.dims
        || old.inputs != new.inputs
        || old.recording() != new.recording();
    say(anew, "model loaded anew".to_owned());
    say(old.inputs != new.inputs, "inputs set".to_owned());
    parts
}

/// Where a model runs, in words.
fn place(gpu: Option<&GpuId>) -> String {
    gpu.map_or_else(|| "onto the CPU".to_owned(), |id| format!("onto {}", id.title()))
}

fn queue(was: &QueuePolicy, is: &QueuePolicy) -> String {
    if was.limit != is.limit {
        return format!("queue {} -> {}", was.limit, is.limit);
    }
    let overflow = match is.overflow {
        Overflow::Reject => "rejects",
        Overflow::Block => "blocks",
    };
    let timeout =
        is.timeout.map_or_else(String::new, |time| format!(", timeout {}", print_duration(time)));
    format!("queue {overflow} when full{timeout}")
}

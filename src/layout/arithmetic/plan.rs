//! What a change does, in numbers and in the operator's words.

use super::super::budget::{Auto, Budget};
use super::super::change::{Change, Refusal};
use super::super::desired::{Desired, Row};
use super::super::plan::{Plan, RowPlan};
use super::{warnings, words};
use crate::machine::{CpuSet, Description};

/// Rows that a summary tells of before it says "and 3 more".
const TOLD: usize = 8;

impl Desired {
    /// What a change would do: exactly the outcome of [`Desired::change`].
    ///
    /// # Errors
    /// As [`Desired::change`].
    pub fn plan(&self, change: &Change, machine: &Description) -> Result<Plan, Refusal> {
        Ok(self.plan_to(self.change(change, machine)?, machine))
    }

    /// What lies between this state and another: also that of an undo, or of a refit.
    pub fn plan_to(&self, after: Self, machine: &Description) -> Plan {
        let kept = after.rows.iter().map(|row| (self.row(&row.budget.name), Some(row)));
        let gone = self.rows.iter().filter(|row| after.row(&row.budget.name).is_none());
        let pairs: Vec<(Option<&Row>, Option<&Row>)> = kept
            .chain(gone.map(|row| (Some(row), None)))
            .filter(|(was, is)| differ(*was, *is) || self.rebuilds(*was, *is, &after))
            .collect();
        let rows = pairs.iter().filter_map(|(was, is)| self.row_plan(*was, *is, &after)).collect();
        let summary = summary(&pairs);
        let warnings = warnings::of(self, &after, &pairs, machine);
        Plan { ledger: after.ledger(machine), rows, summary, warnings, after }
    }

    fn row_plan(&self, was: Option<&Row>, is: Option<&Row>, after: &Self) -> Option<RowPlan> {
        let cores = |row: Option<&Row>| row.map_or(CpuSet::EMPTY, |row| row.cores);
        let concurrency = |row: Option<&Row>| row.map_or(0, |row| row.concurrency);
        let threads = |row: Option<&Row>| row.map_or(0, |row| row.threads);
        Some(RowPlan {
            model: is.or(was)?.budget.name.clone(),
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
                || was.budget.dims != is.budget.dims)
    }
}

fn differ(was: Option<&Row>, is: Option<&Row>) -> bool {
    match (was, is) {
        (Some(was), Some(is)) => {
            let Row { budget, cores, threads, concurrency, generation: _ } = was;
            *budget != is.budget
                || *cores != is.cores
                || *threads != is.threads
                || *concurrency != is.concurrency
        }
        (was, is) => was.is_some() || is.is_some(),
    }
}

fn summary(pairs: &[(Option<&Row>, Option<&Row>)]) -> String {
    let mut unit = " cores";
    let mut told: Vec<String> = Vec::new();
    for (was, is) in pairs.iter().take(TOLD) {
        told.push(match (was, is) {
            (Some(was), Some(is)) => changed(was, is, &mut unit),
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

/// "detector 4 -> 5 cores", "ocr 2 -> 1: 1 instance idle". The unit is said once.
fn changed(was: &Row, is: &Row, unit: &mut &'static str) -> String {
    let mut parts = Vec::new();
    let mut notes = Vec::new();
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
    let gave = was.concurrency.saturating_sub(is.concurrency);
    if parts.is_empty()
        && was.concurrency != is.concurrency
        && was.budget.paused == is.budget.paused
    {
        parts.push(format!("{} -> {} instances", was.concurrency, is.concurrency));
    } else if has == 0 && had > 0 {
        notes.push("paused without cores".to_owned());
    } else if gave > 0 && was.threads == is.threads && !is.budget.paused {
        notes.push(format!("{} idle", words::counted(gave, "instance")));
    }
    if is.idle_cores() > was.idle_cores() && is.concurrency > 0 {
        notes.push(format!("{} idle", words::counted(is.idle_cores(), "core")));
    }
    parts.extend(settings(&was.budget, &is.budget));
    if parts.is_empty() {
        parts.push("changed".to_owned());
    }
    let head = format!("{} {}", is.budget.name, parts.join(", "));
    if notes.is_empty() { head } else { format!("{head}: {}", notes.join(" and ")) }
}

fn auto(value: Auto) -> String {
    match value {
        Auto::Auto => "auto".to_owned(),
        Auto::Exactly(value) => value.to_string(),
    }
}

/// What else of a row was set, in words.
fn settings(was: &Budget, is: &Budget) -> Vec<String> {
    let mut parts = Vec::new();
    let mut say = |differs: bool, text: String| {
        if differs {
            parts.push(text);
        }
    };
    say(was.paused != is.paused, if is.paused { "paused" } else { "resumed" }.to_owned());
    say(was.reserve != is.reserve, {
        if is.reserve { "cores reserved" } else { "reserve lifted" }.to_owned()
    });
    say(was.concurrency != is.concurrency, format!("concurrency {}", auto(is.concurrency)));
    say(was.threads != is.threads, format!("threads {}", auto(is.threads)));
    say(
        was.objective != is.objective,
        format!("for {}", { format!("{:?}", is.objective).to_lowercase() }),
    );
    say(was.spinning != is.spinning, "spinning set".to_owned());
    say(was.queue != is.queue, format!("queue {}", is.queue.limit));
    say(was.slo != is.slo, "latency target set".to_owned());
    say(was.memory != is.memory, {
        is.memory.map_or_else(|| "memory unlimited".to_owned(), |memory| format!("memory {memory}"))
    });
    say(was.load != is.load, if is.load.is_some() { "load set" } else { "load off" }.to_owned());
    say(was.source != is.source || was.engine != is.engine || was.dims != is.dims, {
        "model loaded anew".to_owned()
    });
    say(was.inputs != is.inputs, "inputs set".to_owned());
    parts
}

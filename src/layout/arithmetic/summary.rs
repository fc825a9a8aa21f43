//! The summary of a change: one line such as "detector 4 -> 5 cores, ocr 2 -> 1: 1 instance idle".

use std::borrow::Cow;

use super::super::budget::{Auto, CoreRequest, Objective, Overflow, QueuePolicy};
use super::super::desired::Row;
use super::super::gpu_id::GpuId;
use super::super::model_name::short_name;
use super::super::units::print_duration;
use super::phrases;
use super::state_change::{RowChange, StateChange};

/// The most rows that a summary describes before it says "and 3 more".
const MOST_ROWS: usize = 8;

/// Returns the summary of a change.
pub(super) fn summary(states: StateChange<'_>, changes: &[RowChange<'_>]) -> String {
    let mut unit = " cores";
    let mut parts: Vec<String> = Vec::new();
    for change in changes.iter().take(MOST_ROWS) {
        let cores = |row: &Row| match row.cores.len() {
            0 if row.budget.runs_without_cores() => "no core of its own".to_owned(),
            count => phrases::counted(count, "core"),
        };
        parts.push(match (change.before, change.after) {
            (Some(before), Some(after)) => {
                changed(before, after, states.nice_values(*change), &mut unit)
            }
            (None, Some(row)) => format!("{} added with {}", name(row), cores(row)),
            (Some(row), None) => format!("{} removed, {} freed", name(row), cores(row)),
            (None, None) => continue,
        });
    }
    if parts.is_empty() {
        return "no row changes".to_owned();
    }
    let more = changes.len().saturating_sub(MOST_ROWS);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", parts.join(", "))
}

/// Describes one row: "detector 4 -> 5 cores", "ocr 2 -> 1: 1 instance idle". Only the first row has
/// the unit.
fn changed(
    before: &Row,
    after: &Row,
    nice_values: Option<(i32, i32)>,
    unit: &mut &'static str,
) -> String {
    let mut parts = Vec::new();
    let mut notes = Vec::new();
    if before.budget.name != after.budget.name {
        parts.push(format!("renamed to {}", name(after)));
    }
    let (had, has) = (before.cores.len(), after.cores.len());
    if had != has {
        parts.push(format!("{had} -> {has}{unit}"));
        *unit = "";
    } else if before.cores != after.cores {
        let word = if has == 1 { "core" } else { "cores" };
        parts.push(format!("{word} {} -> {}", before.cores, after.cores));
    }
    if before.threads != after.threads {
        parts.push(format!("{} -> {} threads", before.threads, after.threads));
    }
    // those of processes only count what may be runnable
    let fewer = if after.budget.is_process() {
        0
    } else {
        before.concurrency.saturating_sub(after.concurrency)
    };
    if has == 0 && had > 0 {
        let runs_on = after.budget.runs_without_cores();
        let note = if runs_on { "runs on all unreserved cores" } else { "paused without cores" };
        notes.push(note.to_owned());
    } else if before.budget.paused != after.budget.paused {
        // `settings` adds "paused" or "resumed"
    } else if parts.is_empty() && before.concurrency != after.concurrency {
        parts.push(format!("{} -> {} instances", before.concurrency, after.concurrency));
    } else if fewer > 0 {
        // with the same threads they are kept idle; with others they are rebuilt
        let how = if before.threads == after.threads { "idle" } else { "fewer" };
        notes.push(format!("{} {how}", phrases::counted(fewer, "instance")));
    }
    if after.idle_cores() > before.idle_cores() && after.concurrency > 0 {
        notes.push(format!("{} idle", phrases::counted(after.idle_cores(), "core")));
    }
    parts.extend(settings(before, after));
    if let Some((old, new)) = nice_values {
        let how = if new < old { "more" } else { "less" };
        parts.push(format!("{how} time on shared cores (nice {old} -> {new})"));
    }
    if parts.is_empty() {
        parts.push("changed".to_owned());
    }
    let head = format!("{} {}", name(before), parts.join(", "));
    if notes.is_empty() { head } else { format!("{head}: {}", notes.join(" and ")) }
}

/// Returns a row's name for a message.
fn name(row: &Row) -> Cow<'_, str> {
    short_name(&row.budget.name)
}

/// "concurrency fixed at 2", "concurrency auto".
fn setting(field: &str, value: Auto) -> String {
    match value {
        Auto::Auto => format!("{field} auto"),
        Auto::Exactly(value) => format!("{field} fixed at {value}"),
    }
}

/// Describes the settings of a row that differ.
fn settings(before: &Row, after: &Row) -> Vec<String> {
    let mut parts = Vec::new();
    let mut add = |differs: bool, text: String| {
        if differs {
            parts.push(text);
        }
    };
    let (old, new) = (&before.budget, &after.budget);
    add(old.paused != new.paused, if new.paused { "paused" } else { "resumed" }.to_owned());
    let reserve = if new.reserve { "cores reserved" } else { "reserve off" };
    add(old.reserve != new.reserve, reserve.to_owned());
    add(before.loads != after.loads, "file loaded again".to_owned());
    let cores = match &new.cores {
        CoreRequest::List(list) => format!("fixed on {}", phrases::cores(list)),
        CoreRequest::Count(count) => format!("on any {}", phrases::counted(*count, "core")),
        CoreRequest::Share(share) => format!("on any {}% of the cores", phrases::number(*share)),
    };
    add(old.cores != new.cores && before.cores == after.cores && !after.cores.is_empty(), cores);
    // if the resulting number differs, it was described above
    let concurrency = old.concurrency != new.concurrency && before.concurrency == after.concurrency;
    add(concurrency, setting("concurrency", new.concurrency));
    let threads = old.threads != new.threads && before.threads == after.threads;
    add(threads, setting("threads", new.threads));
    let objective = match new.objective {
        Objective::Latency => "for latency",
        Objective::Throughput => "for throughput",
    };
    add(old.objective != new.objective, objective.to_owned());
    let spinning = match new.spinning {
        Some(true) => "spinning on",
        Some(false) => "spinning off",
        None => "spinning auto",
    };
    add(old.spinning != new.spinning, spinning.to_owned());
    add(old.weight != new.weight, format!("weight {} -> {}", old.weight, new.weight));
    let version = format!("version {} -> {}", old.version, new.version);
    add(old.version != new.version, version);
    add(old.queue != new.queue, queue(&old.queue, &new.queue));
    let slo = new.slo.map_or_else(
        || "no latency target".to_owned(),
        |slo| {
            let percentile = phrases::number(slo.percentile);
            format!("target p{percentile} {}", print_duration(slo.bound))
        },
    );
    add(old.slo != new.slo, slo);
    let memory =
        new.memory.map_or_else(|| "memory unlimited".to_owned(), |to| format!("memory {to}"));
    add(old.memory != new.memory, memory);
    add(old.gpu != new.gpu, place(new.gpu.as_ref()));
    let gpu_memory = new
        .gpu_memory
        .map_or_else(|| "GPU memory unlimited".to_owned(), |to| format!("GPU memory {to}"));
    // a model that moves to the CPU loses its limit anyway
    add(old.gpu_memory != new.gpu_memory && new.gpu.is_some(), gpu_memory);
    let load = new
        .load
        .as_ref()
        .map_or_else(|| "load off".to_owned(), |to| format!("load {}", to.description()));
    add(old.load != new.load, load);
    let reloads = old.source != new.source
        || old.engine != new.engine
        || old.dims != new.dims
        || old.inputs != new.inputs
        || old.recording() != new.recording();
    let reloaded = if new.is_process() { "processes chosen again" } else { "model reloaded" };
    add(reloads, reloaded.to_owned());
    add(old.inputs != new.inputs, "inputs set".to_owned());
    parts
}

fn place(gpu: Option<&GpuId>) -> String {
    gpu.map_or_else(|| "moves to the CPU".to_owned(), |id| format!("moves to {}", id.title()))
}

fn queue(before: &QueuePolicy, after: &QueuePolicy) -> String {
    if before.limit != after.limit {
        return format!("queue {} -> {}", before.limit, after.limit);
    }
    if before.levels != after.levels {
        let levels = usize::from(after.levels);
        return format!("queue with {}", phrases::counted(levels, "priority level"));
    }
    let overflow = match after.overflow {
        Overflow::Reject => "rejects",
        Overflow::Block => "blocks",
    };
    let timeout = after
        .timeout
        .map_or_else(String::new, |time| format!(", timeout {}", print_duration(time)));
    format!("queue {overflow} when full{timeout}")
}

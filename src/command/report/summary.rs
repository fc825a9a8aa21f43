//! The table at the end of a run.

use std::fmt::Write;

use super::figures::{NONE, cores, count, load, percentile, rate, row_memory, size, slo};
use super::headless::is_failure;
use super::process_requests::{ProcessRequests, process_slo};
use super::table::{ReportColumn, line, number, titles, widths, with_name_title, words};
use super::{clients, gpus};
use crate::layout::counted;
use crate::telemetry::{ModelState, ModelView, ProcessView, RequestCounts, Snapshot, name_list};

const COLUMNS: [ReportColumn; 14] = [
    words("model", 8),
    number("completed", 9),
    number("req/s", 7),
    number("p50 ms", 7),
    number("p99 ms", 7),
    number("p99.9 ms", 8),
    number("rejected", 8),
    number("timed out", 9),
    number("failed", 6),
    words("cores", 5),
    number("cpu now", 7),
    number("mem", 9),
    words("SLO ms", 6),
    words("load", 4),
];

/// Returns the summary of a whole run. Latency and throughput cover the run from its start; CPU is
/// that of the last sample, in cores.
pub fn summary(snapshot: &Snapshot) -> String {
    let rows: Vec<Vec<String>> = snapshot.models.iter().map(row).collect();
    let columns = with_name_title(&COLUMNS, snapshot);
    let widths = widths(&columns, &rows);
    let ledger = &snapshot.ledger;
    let mut text = format!(
        "\nwhole run: {:.1} s; {}, {} allotted, {} free; process {} of {}{}\n",
        snapshot.uptime_us as f64 / 1e6,
        counted(ledger.allowed.len(), "core"),
        ledger.allotted.len(),
        ledger.free.len(),
        size(snapshot.memory.process),
        size(snapshot.memory.total),
        if snapshot.simulated { "; SIMULATED machine" } else { "" },
    );
    if rows.is_empty() {
        text.push_str("no models\n");
        return text;
    }
    text.push_str(&titles(&columns, &widths));
    for row in &rows {
        text.push_str(&line(&columns, &widths, row));
    }
    text.push_str(&account(snapshot));
    text.push_str(&clients::lines(snapshot));
    text.push_str(&gpus::lines(snapshot));
    let synthetic: Vec<&str> = snapshot
        .models
        .iter()
        .filter(|model| model.load.is_some())
        .map(|model| model.row.budget.name.as_str())
        .collect();
    if !synthetic.is_empty() {
        // writing to a string cannot fail
        let _ = writeln!(text, "synthetic load: {}", of_all(&synthetic, snapshot));
    }
    text.push_str(&guessed_sizes(snapshot));
    for model in &snapshot.models {
        if let Some(reason) = &model.untried {
            let _ = writeln!(text, "{} was not tried: {reason}", model.row.budget.name);
        }
        if let ModelState::Failed { reason } = &model.state {
            let verb = if is_failure(model) { " failed" } else { "" };
            let _ = writeln!(text, "{}{verb}: {reason}", model.row.budget.name);
        }
    }
    text
}

fn row(model: &ModelView) -> Vec<String> {
    if let Some(process) = &model.process {
        return process_row(model, process);
    }
    let (run, counts) = (&model.run, &model.counts);
    let total = &run.total;
    vec![
        model.row.budget.name.clone(),
        count(counts.completed),
        if run.span_us == 0 { NONE.to_owned() } else { rate(run.completed_per_s) },
        percentile(total, total.p50_us),
        percentile(total, total.p99_us),
        percentile(total, total.p999_us),
        count(counts.rejected),
        count(counts.timed_out),
        count(counts.failed),
        cores(model),
        format!("{:.2}", model.cpu),
        row_memory(model),
        slo(model.row.budget.slo.as_ref(), run),
        load(model),
    ]
}

/// Returns the row of processes. The requests that a program reports are those of the last interval.
fn process_row(model: &ModelView, process: &ProcessView) -> Vec<String> {
    let requests = ProcessRequests::of(process);
    let none = || NONE.to_owned();
    vec![
        model.row.budget.name.clone(),
        none(),
        requests.per_s,
        requests.p50,
        requests.p99,
        none(),
        none(),
        none(),
        none(),
        cores(model),
        format!("{:.2}", model.cpu),
        row_memory(model),
        process_slo(model.row.budget.slo.as_ref(), process),
        none(),
    ]
}

/// Returns a line about models that run at guessed sizes, and how to set them.
fn guessed_sizes(snapshot: &Snapshot) -> String {
    let guessed = |model: &ModelView| {
        let sizes = model.guessed_dims.iter();
        let sizes: Vec<String> = sizes.map(|(name, size)| format!("{name} = {size}")).collect();
        let name = &model.row.budget.name;
        (!sizes.is_empty()).then(|| format!("{name} ({})", name_list(&sizes)))
    };
    let models: Vec<String> = snapshot.models.iter().filter_map(guessed).collect();
    if models.is_empty() {
        return String::new();
    }
    format!(
        "sizes guessed: {}; real requests may take another time: set `dims` in a layout, or replay \
         a recording\n",
        name_list(&models)
    )
}

/// Returns the names, or "all N models" if they are all of a long list.
fn of_all(names: &[&str], snapshot: &Snapshot) -> String {
    if names.len() > 5 && names.len() == snapshot.models.len() {
        return format!("all {} models", names.len());
    }
    name_list(names)
}

/// Returns the number of requests in each state; reports models whose counts do not add up.
fn account(snapshot: &Snapshot) -> String {
    let sum = |part: fn(&RequestCounts) -> u64| -> u64 {
        snapshot.models.iter().map(|model| part(&model.counts)).sum()
    };
    let parts = [
        ("completed", sum(|counts| counts.completed)),
        ("rejected", sum(|counts| counts.rejected)),
        ("timed out", sum(|counts| counts.timed_out)),
        ("cancelled", sum(|counts| counts.cancelled)),
        ("failed", sum(|counts| counts.failed)),
        ("executing", sum(|counts| counts.executing)),
        ("queued", sum(|counts| counts.queued)),
        ("blocked", sum(|counts| counts.blocked)),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(name, value)| *value > 0 || *name == "completed")
        .map(|(name, value)| format!("{} {name}", count(*value)))
        .collect();
    let submitted = sum(|counts| counts.submitted);
    let unbalanced: Vec<&str> = snapshot
        .models
        .iter()
        .filter(|model| !model.counts.balanced())
        .map(|model| model.row.budget.name.as_str())
        .collect();
    let verdict = if unbalanced.is_empty() {
        "none lost".to_owned()
    } else {
        format!("COUNTS DO NOT ADD UP for {}: please report this", name_list(&unbalanced))
    };
    let noun = if submitted == 1 { "request" } else { "requests" };
    format!("{} {noun} submitted: {}; {verdict}\n", count(submitted), words.join(", "))
}

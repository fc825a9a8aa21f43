//! The lines of one report: one line per row.

use super::figures::{
    NONE, cores, count, instances, load, percent, percentile, rate, row_memory, state,
};
use super::process_requests::ProcessRequests;
use super::span::{ModelSpan, ReportSpan};
use super::table::{ReportColumn, line, number, titles, widths, with_name_title, words};
use crate::telemetry::{ModelView, Snapshot};

const COLUMNS: [ReportColumn; 16] = [
    number("time", 6),
    words("model", 8),
    words("state", 8),
    words("cores", 5),
    words("inst x thr", 10),
    number("queue", 7),
    number("done", 6),
    number("lost", 5),
    number("req/s", 7),
    number("p50 ms", 7),
    number("p99 ms", 7),
    number("cpu", 5),
    number("wait", 6),
    number("mem", 9),
    words("engine", 6),
    words("load", 4),
];

/// Columns beside a server: requests answered and refused, from outside.
const OUTSIDE: [ReportColumn; 2] = [number("outside", 7), number("refused", 7)];

/// The position of [`OUTSIDE`]: behind the requests per second.
const OUTSIDE_AT: usize = 9;

/// Returns the columns of a snapshot's report.
fn columns(snapshot: &Snapshot) -> Vec<ReportColumn> {
    let mut columns = with_name_title(&COLUMNS, snapshot);
    if snapshot.server.is_some() {
        columns.splice(OUTSIDE_AT..OUTSIDE_AT, OUTSIDE);
    }
    columns
}

/// Returns the header: the spans of the figures, and the titles of the columns.
///
/// Requests and latency are those of the report's span. CPU is in cores; wait is the share of
/// (CPU + wait) in which threads were runnable but waiting for a CPU.
pub fn header_line(snapshot: &Snapshot, span: &ReportSpan) -> String {
    let columns = columns(snapshot);
    let outside = if snapshot.server.is_some() { "outside, refused (clients), " } else { "" };
    let interval = snapshot.interval_us as f64 / 1e6;
    let simulated = if snapshot.simulated { "; SIMULATED machine" } else { "" };
    format!(
        "# done, lost, req/s, {outside}p50, p99: since the last report; cpu (cores), wait: last \
         {interval:.1} s{simulated}\n{}",
        titles(&columns, &widths(&columns, &rows(snapshot, span)))
    )
}

/// Returns the figures of a span, one line per row.
pub fn interval_line(snapshot: &Snapshot, span: &ReportSpan) -> String {
    let rows = rows(snapshot, span);
    let columns = columns(snapshot);
    let widths = widths(&columns, &rows);
    rows.iter().map(|row| line(&columns, &widths, row)).collect()
}

fn rows(snapshot: &Snapshot, span: &ReportSpan) -> Vec<Vec<String>> {
    let time = format!("{:.1}s", span.to_us as f64 / 1e6);
    let models = snapshot.models.iter().zip(&span.models);
    models.map(|(model, span)| row(&time, model, span)).collect()
}

fn row(time: &str, model: &ModelView, span: &ModelSpan) -> Vec<String> {
    if let Some(process) = &model.process {
        let requests = ProcessRequests::of(process);
        let none = || NONE.to_owned();
        let mut cells = vec![
            time.to_owned(),
            model.row.budget.name.clone(),
            state(model),
            cores(model),
            instances(model),
            none(),
            none(),
            none(),
            requests.per_s,
            requests.p50,
            requests.p99,
            format!("{:.2}", model.cpu),
            percent(model.wait),
            row_memory(model),
            none(),
            none(),
        ];
        if span.outside.is_some() {
            cells.splice(OUTSIDE_AT..OUTSIDE_AT, [none(), none()]);
        }
        return cells;
    }
    let latency = &span.latency;
    let mut cells = vec![
        time.to_owned(),
        model.row.budget.name.clone(),
        state(model),
        cores(model),
        instances(model),
        format!("{}/{}", model.counts.queued, model.row.budget.queue.limit),
        count(span.completed),
        count(span.lost),
        rate(span.completed_per_s),
        percentile(latency, latency.p50_us),
        percentile(latency, latency.p99_us),
        format!("{:.2}", model.cpu),
        percent(model.wait),
        row_memory(model),
        model.engine_title.clone(),
        load(model),
    ];
    if let Some(outside) = span.outside {
        cells.splice(OUTSIDE_AT..OUTSIDE_AT, [count(outside.answered), count(outside.refused)]);
    }
    cells
}

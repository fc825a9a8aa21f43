//! The lines of one interval: a model a line.

use super::figures::{cores, instances, load, memory, percent, percentile, rate, state};
use super::table::{Column, line, number, titles, widths, words};
use crate::telemetry::{ModelView, Snapshot};

const COLUMNS: [Column; 14] = [
    number("time", 6),
    words("model", 8),
    words("state", 8),
    words("cores", 5),
    words("inst x thr", 10),
    number("queue", 7),
    number("req/s", 7),
    number("p50 ms", 7),
    number("p99 ms", 7),
    number("cpu", 5),
    number("wait", 6),
    number("mem", 9),
    words("engine", 6),
    words("load", 4),
];

/// What stands above the first interval, and again now and then: which time the figures cover, and
/// the columns' titles. Latency and throughput are those of the last second before the line; CPU is
/// in cores, wait the share of (CPU + wait) that threads were runnable but waiting for a CPU.
pub fn header_line(snapshot: &Snapshot) -> String {
    let interval = snapshot.interval_us as f64 / 1e6;
    let simulated = if snapshot.simulated { "; SIMULATED machine" } else { "" };
    format!(
        "# req/s, p50, p99: last second; cpu (cores), wait: last {interval:.1} s{simulated}\n{}",
        titles(&COLUMNS, &widths(&COLUMNS, &rows(snapshot)))
    )
}

/// The models' figures now, a line each.
pub fn interval_line(snapshot: &Snapshot) -> String {
    let rows = rows(snapshot);
    let widths = widths(&COLUMNS, &rows);
    rows.iter().map(|row| line(&COLUMNS, &widths, row)).collect()
}

fn rows(snapshot: &Snapshot) -> Vec<Vec<String>> {
    let time = format!("{:.1}s", snapshot.uptime_us as f64 / 1e6);
    snapshot.models.iter().map(|model| row(&time, model)).collect()
}

fn row(time: &str, model: &ModelView) -> Vec<String> {
    let total = &model.second.total;
    vec![
        time.to_owned(),
        model.row.budget.name.clone(),
        state(&model.state),
        cores(model),
        instances(model),
        format!("{}/{}", model.counts.queued, model.row.budget.queue.limit),
        rate(model.second.completed_per_s),
        percentile(total, total.p50_us),
        percentile(total, total.p99_us),
        format!("{:.2}", model.cpu),
        percent(model.wait),
        memory(&model.memory),
        model.engine_title.clone(),
        load(model),
    ]
}

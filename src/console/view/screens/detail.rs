//! One model in detail: what its row asks for and what the kernel and the pool say, its windows,
//! its requests by state, its threads.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Line};
use crate::console::format;
use crate::console::state::{ConsoleState, Scrolled};
use crate::layout::{Auto, CoreRequest, print_duration};
use crate::telemetry::{ModelState, ModelView, Window};

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(view) = state.selected_model() else {
        let inside = canvas.frame(area, true, None, "Model", "");
        return canvas.note(inside, "No model is selected: choose one on the board.", theme.dim);
    };
    let name = &view.row.budget.name;
    let inside = canvas.frame(area, true, None, name, &view.engine_title);
    canvas.put_lines(Scrolled::Screen, inside, &lines(state, view), state.scroll);
}

fn lines(state: &ConsoleState, view: &ModelView) -> Vec<Line> {
    let theme = &state.theme;
    let mut lines: Vec<Line> = Vec::new();
    let pair = |what: &str, text: String| -> Line {
        vec![(format!("{what:<14}"), theme.dim), (text, theme.text)]
    };
    let heading = |text: &str| -> Line { vec![(text.to_owned(), theme.title)] };
    lines.push(pair("state", told(&view.state)));
    if let Some(load) = &view.load {
        let offered = view.offered_per_s.map_or(String::new(), |per_s| {
            format!(", {} offered per s over 1 s", format::rate(per_s))
        });
        lines.push(pair(
            "built-in load",
            format!("{load}{offered}: figures come from synthetic requests"),
        ));
    }
    lines.push(Line::new());
    lines.push(heading("Desired and actual"));
    lines.extend(budget(state, view).into_iter().map(|(what, text)| pair(what, text)));
    if let Some(difference) = &view.actual.difference {
        lines.push(vec![(format!("differs: {difference}"), theme.warn)]);
    }
    lines.push(Line::new());
    lines.push(heading(
        "Latency in ms         p50    p90    p99  p99.9    max   count  done/s lost/s",
    ));
    for (what, window) in [
        ("last second", &view.second),
        ("last minute", &view.minute),
        ("since change", &view.since_change),
        ("whole run", &view.run),
    ] {
        lines.extend(window_lines(state, what, window));
    }
    lines.push(Line::new());
    let counts = &view.counts;
    lines.push(heading("Requests since the start"));
    lines.push(pair("submitted", counts.submitted.to_string()));
    lines.push(pair(
        "now",
        format!(
            "{} executing, {} queued, {} blocked",
            counts.executing, counts.queued, counts.blocked
        ),
    ));
    lines.push(pair(
        "ended",
        format!(
            "{} completed, {} rejected, {} timed out, {} cancelled, {} failed",
            counts.completed, counts.rejected, counts.timed_out, counts.cancelled, counts.failed
        ),
    ));
    lines.push(Line::new());
    lines.push(heading(
        "Threads   inst  role     may run on     last on  nice   CPU % and wait % now",
    ));
    if view.actual.threads.is_empty() {
        lines.push(vec![("no thread yet: no instance was built".to_owned(), theme.dim)]);
    }
    for thread in &view.actual.threads {
        let role = if thread.helper { "helper" } else { "runs" };
        let last = thread.last_core.map_or_else(|| "-".to_owned(), |core| core.to_string());
        let wait = thread.wait.map_or_else(|| "hidden".to_owned(), format::percent);
        let nice = thread.nice.map_or_else(|| "-".to_owned(), |nice| nice.to_string());
        let allowed = thread.allowed.to_string();
        let style = if thread.allowed == view.row.cores { theme.text } else { theme.warn };
        lines.push(vec![
            (format!("{:<10}{:<6}{role:<9}", thread.id, thread.instance), theme.text),
            (format!("{:<15}", format::fit(&allowed, 14, state.glyphs.ellipsis)), style),
            (
                format!("{last:>7}  {nice:>4}  {:>7}  {wait:>7}", format::percent(thread.cpu)),
                theme.text,
            ),
        ]);
    }
    lines
}

fn told(state: &ModelState) -> String {
    match state {
        ModelState::Loading => "loading".to_owned(),
        ModelState::Running => "running".to_owned(),
        ModelState::Warming { ready, total } => {
            format!("running, {ready} of {total} new instances ready")
        }
        ModelState::Paused => "paused: its queue holds".to_owned(),
        ModelState::Failed { reason } => format!("failed: {reason}"),
        ModelState::Draining => "draining".to_owned(),
    }
}

/// The device, its limit there and what the engine counts.
fn placed(budget: &crate::layout::Budget, held: Option<u64>) -> String {
    let Some(gpu) = &budget.gpu else { return "the CPU".to_owned() };
    let limit = budget
        .gpu_memory
        .map_or_else(|| "no limit there".to_owned(), |limit| format!("{limit} there at most"));
    let held = held.map_or_else(
        || "what it holds there is not told".to_owned(),
        |bytes| format!("holds {} by the engine's count", format::bytes(bytes)),
    );
    format!("{}; {limit}; {held}", gpu.title())
}

/// The row's fields, as asked for, as placed, and as they are.
fn budget(state: &ConsoleState, view: &ModelView) -> Vec<(&'static str, String)> {
    let name = &view.row.budget.name;
    let row = state.row(name).unwrap_or(&view.row);
    let asked = match row.budget.cores {
        CoreRequest::List(set) => format!("list {set}"),
        CoreRequest::Count(count) => format!("{count}"),
        CoreRequest::Share(share) => format!("{share}%"),
    };
    let auto = |auto: Auto| match auto {
        Auto::Auto => "auto".to_owned(),
        Auto::Exactly(number) => number.to_string(),
    };
    let actual = &view.actual;
    let reserve = if row.budget.reserve { ", reserved" } else { "" };
    let queue = row.budget.queue;
    let timeout = queue.timeout.map_or_else(|| "no timeout".to_owned(), print_duration);
    let overflow = match queue.overflow {
        crate::layout::Overflow::Reject => "reject",
        crate::layout::Overflow::Block => "block",
    };
    let slo = row.budget.slo.map_or_else(
        || "none".to_owned(),
        |slo| format!("p{} within {}", slo.percentile, print_duration(slo.bound)),
    );
    let memory = &view.memory;
    let arena = memory.arena.map_or_else(|| "not told by the engine".to_owned(), format::bytes);
    let limit = row.budget.memory.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    vec![
        (
            "cores",
            format!("asked {asked}{reserve}; placed {}; in force {}", row.cores, actual.cores),
        ),
        (
            "instances",
            format!(
                "asked {}; wanted {}; active {}, parked {}",
                auto(row.budget.concurrency),
                row.concurrency,
                actual.active,
                actual.parked
            ),
        ),
        (
            "threads",
            format!(
                "asked {}; wanted {}; in force {} an instance",
                auto(row.budget.threads),
                row.threads,
                actual.threads_per_instance
            ),
        ),
        (
            "weight",
            format!(
                "{} on cores that it shares; told to the kernel as nice values",
                row.budget.weight
            ),
        ),
        (
            "queue",
            format!(
                "{} waiting of {}; {timeout}; when full: {overflow}",
                view.counts.queued, queue.limit
            ),
        ),
        ("runs on", placed(&row.budget, memory.gpu)),
        ("SLO", slo),
        (
            "memory",
            format!(
                "weights {} in {} copies; graph about {}; arena {arena}; {limit}",
                format::bytes(memory.weights),
                memory.copies,
                format::bytes(memory.graph)
            ),
        ),
    ]
}

/// The length of a window, at most five columns.
fn span_of(seconds: u64) -> String {
    match seconds {
        0..1000 => format!("{seconds} s"),
        1000..60_000 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

fn window_lines(state: &ConsoleState, what: &str, window: &Window) -> Vec<Line> {
    let theme = &state.theme;
    if window.total.count == 0 {
        return vec![vec![
            (format!("{what:<14}"), theme.dim),
            ("      no request was completed".to_owned(), theme.dim),
        ]];
    }
    let span = format!("{what:<12}{:>6}", span_of(window.span_us / 1_000_000));
    let line =
        |head: &str, d: &crate::telemetry::Distribution, tail: String, style: Style| -> Line {
            let text = [d.p50_us, d.p90_us, d.p99_us, d.p999_us, d.max_us]
                .map(|us| format::right(&format::millis(us), 7))
                .concat();
            vec![(format!("{head:<18}"), theme.dim), (format!("{text}{tail}"), style)]
        };
    let tail = format!(
        "{:>8} {:>7} {:>6}",
        format::count(window.total.count),
        format::rate(window.completed_per_s),
        format::rate(window.lost_per_s)
    );
    vec![
        line(&span, &window.total, tail, theme.text),
        line("  of it queue", &window.queue, String::new(), theme.dim),
        line("  of it compute", &window.compute, String::new(), theme.dim),
    ]
}

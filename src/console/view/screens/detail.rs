//! One model in detail: its budget as requested and as in force, its latency windows, its requests by
//! state, and its threads.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::process_detail;
use crate::console::format;
use crate::console::state::{ConsoleState, ScrollArea};
use crate::console::view::canvas::{Canvas, PaneFrame, StyledLine};
use crate::console::view::{loan_text, process_text};
use crate::layout::{Auto, Budget, CoreRequest, Overflow, cores_phrase, number, print_duration};
use crate::telemetry::{Distribution, ModelState, ModelView, Window, text};

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(view) = state.selected_model() else {
        let inside = canvas.frame(PaneFrame::boxed(area, "Row"));
        return canvas.note(inside, "No row is selected. Select one on the board.", theme.dim);
    };
    let name = &view.row.budget.name;
    if let Some(process) = view.process.as_deref() {
        let note = process_text::counted(process);
        let inside = canvas.frame(PaneFrame::boxed(area, name).note(&note));
        let lines = process_detail::lines(state, view, process, inside.width as usize);
        return canvas.put_lines(ScrollArea::Screen, inside, &lines, state.scroll);
    }
    let inside = canvas.frame(PaneFrame::boxed(area, name).note(&view.engine_title));
    canvas.put_lines(ScrollArea::Screen, inside, &lines(state, view), state.scroll);
}

fn lines(state: &ConsoleState, view: &ModelView) -> Vec<StyledLine> {
    let theme = &state.theme;
    let mut lines: Vec<StyledLine> = Vec::new();
    let pair = |what: &str, text: String| -> StyledLine {
        vec![(format!("{what:<14}"), theme.dim), (text, theme.text)]
    };
    let heading = |text: &str| -> StyledLine { vec![(text.to_owned(), theme.title)] };
    lines.push(pair("state", describe_state(view)));
    if let Some(load) = &view.load {
        let offered = view.offered_per_s.map_or(String::new(), |per_s| {
            format!(", {} offered per s over 1 s", format::rate(per_s))
        });
        lines.push(pair(
            "built-in load",
            format!("{load}{offered}; metrics {} synthetic requests", synthetic_part(state)),
        ));
    }
    if view.load.is_none() && state.has_server() {
        lines.push(pair("load", "none: served only from outside".to_owned()));
    }
    if !view.guessed_dims.is_empty() {
        let sizes = view.guessed_dims.iter().map(|(name, size)| format!("{name} = {size}"));
        let sizes: Vec<String> = sizes.collect();
        lines.push(vec![
            (format!("{:<14}", "sizes guessed"), theme.dim),
            (
                format!(
                    "{} (marked ~ on the board): real requests may take another time; set `dims`, or \
                     replay a recording",
                    sizes.join(", ")
                ),
                theme.warn,
            ),
        ]);
    }
    if let Some(reason) = &view.untried {
        lines.push(vec![
            (format!("{:<14}", "not tried"), theme.dim),
            (
                format!("{reason}; the first good request of a caller is the trial request"),
                theme.warn,
            ),
        ]);
    }
    lines.push(StyledLine::new());
    lines.push(heading("Budget: requested and in force"));
    lines.extend(budget_lines(state, view).into_iter().map(|(what, text)| pair(what, text)));
    if let Some(difference) = &view.actual.difference {
        lines.push(vec![(format!("differs: {difference}"), theme.warn)]);
    }
    let name = &view.row.budget.name;
    for loan in &state.snapshot.loans {
        if loan.borrower == *name || loan.lender.as_ref() == Some(name) {
            lines.push(pair("loan", loan_text::sentence(state, loan)));
        }
    }
    lines.push(StyledLine::new());
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
    lines.push(StyledLine::new());
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
    lines.extend(outside_lines(state, view));
    lines.push(StyledLine::new());
    lines.push(heading(
        "Threads   inst  role     may run on     last on  nice   CPU % and wait % now",
    ));
    if view.actual.threads.is_empty() {
        lines.push(vec![("no threads yet: no instance is running".to_owned(), theme.dim)]);
    }
    for thread in &view.actual.threads {
        let role = if thread.helper { "helper" } else { "runs" };
        let last = thread.last_core.map_or_else(|| "-".to_owned(), |core| core.to_string());
        let wait = thread.wait.map_or_else(|| "hidden".to_owned(), format::percent);
        let nice = thread.nice.map_or_else(|| "-".to_owned(), |nice| nice.to_string());
        let allowed = thread.allowed.to_string();
        let desired = view.actual.effective_cores.unwrap_or(view.row.cores);
        let style = if thread.allowed == desired { theme.text } else { theme.warn };
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

/// Returns the requests from clients of the server; nothing without one.
fn outside_lines(state: &ConsoleState, view: &ModelView) -> Vec<StyledLine> {
    let theme = &state.theme;
    let Some(server) = &state.snapshot.server else { return Vec::new() };
    let head = vec![("Requests from outside since the start".to_owned(), theme.title)];
    let mut lines = vec![StyledLine::new(), head];
    let Some(served) = server.model(&view.row.budget.name) else {
        lines.push(vec![("no client has sent a request".to_owned(), theme.dim)]);
        return lines;
    };
    let (now, answered) =
        (format::rate(served.requests_per_s), format::rate(served.answered_per_s));
    let counts: Vec<(String, u64)> =
        served.refused.iter().map(|refused| (refused.label(), refused.count)).collect();
    let refused = match served.refused_count() {
        0 => "none".to_owned(),
        all => format!("{all}: {}", text::refused_list(&counts)),
    };
    let recent: Vec<(String, u64)> = served
        .refused
        .iter()
        .filter(|refused| refused.recent > 0)
        .map(|refused| (refused.label(), refused.recent))
        .collect();
    let mut pair = |what: &str, text: String, style: Style| {
        lines.push(vec![(format!("{what:<14}"), theme.dim), (text, style)]);
    };
    pair("now", format!("{now} req/s, {answered} answered per s over 1 s"), theme.text);
    pair("answered", served.answered.to_string(), theme.text);
    pair("refused", refused, theme.text);
    if !recent.is_empty() {
        pair("last 10 s", format!("refused {}", text::refused_list(&recent)), theme.bad);
    }
    lines
}

/// Returns which part of the metrics synthetic requests are.
fn synthetic_part(state: &ConsoleState) -> &'static str {
    if state.has_server() { "include" } else { "come from" }
}

fn describe_state(view: &ModelView) -> String {
    match &view.state {
        ModelState::Loading => "loading".to_owned(),
        ModelState::Running => "running".to_owned(),
        ModelState::Warming { ready, total } => {
            format!("running, building {ready} of {total} instances")
        }
        ModelState::Paused => text::paused(view),
        ModelState::Absent => "absent".to_owned(),
        ModelState::Failed { reason } => format!("failed: {reason}"),
        ModelState::Draining => "draining".to_owned(),
    }
}

/// Returns the device, its memory limit there, and the memory that the engine reports there.
fn describe_device(budget: &Budget, used: Option<u64>) -> String {
    let Some(gpu) = &budget.gpu else { return "the CPU".to_owned() };
    let limit = budget
        .gpu_memory
        .map_or_else(|| "no memory limit".to_owned(), |limit| format!("at most {limit}"));
    let used = used.map_or_else(
        || "memory in use unknown".to_owned(),
        |bytes| format!("{} in use by the engine's count", format::bytes(bytes)),
    );
    format!("{}; {limit}; {used}", gpu.title())
}

/// Returns the row's fields: as requested, as placed, and as in force.
fn budget_lines(state: &ConsoleState, view: &ModelView) -> Vec<(&'static str, String)> {
    let name = &view.row.budget.name;
    let row = state.row(name).unwrap_or(&view.row);
    let requested = match row.budget.cores {
        CoreRequest::List(set) => cores_phrase(&set),
        CoreRequest::Count(count) => format!("{count}"),
        CoreRequest::Share(share) => format!("{}%", number(share)),
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
        Overflow::Reject => "reject",
        Overflow::Block => "block",
    };
    let slo = row.budget.slo.map_or_else(
        || "none".to_owned(),
        |slo| format!("p{} within {}", number(slo.percentile), print_duration(slo.bound)),
    );
    let memory = &view.memory;
    let copies = match memory.copies {
        1 => "1 copy".to_owned(),
        copies => format!("{copies} copies"),
    };
    let arena = memory.arena.map_or_else(|| "not reported by the engine".to_owned(), format::bytes);
    let in_flight = memory.in_flight.map_or_else(
        || "not counted".to_owned(),
        |bytes| format!("{} held by callers, not charged to the model", format::bytes(bytes)),
    );
    let limit = row.budget.memory.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    vec![
        (
            "cores",
            format!(
                "requested {requested}{reserve}; placed on {}; in force on {}",
                cores_phrase(&row.cores),
                cores_phrase(&actual.cores)
            ),
        ),
        (
            "instances",
            format!(
                "requested {}; desired {}; {} active, {} parked",
                auto(row.budget.concurrency),
                row.concurrency,
                actual.active,
                actual.parked
            ),
        ),
        (
            "threads",
            format!(
                "requested {}; desired {}; in force {} per instance",
                auto(row.budget.threads),
                row.threads,
                actual.threads_per_instance
            ),
        ),
        ("weight", format!("{} on shared cores, set as nice values", row.budget.weight)),
        (
            "queue",
            format!(
                "{} of {} waiting; {timeout}; when full: {overflow}",
                view.counts.queued, queue.limit
            ),
        ),
        ("runs on", describe_device(&row.budget, memory.gpu)),
        ("SLO", slo),
        (
            "memory",
            format!(
                "weights {} in {copies}; graph about {}; arena {arena}; {limit}",
                format::bytes(memory.weights),
                format::bytes(memory.graph)
            ),
        ),
        ("outputs", in_flight),
    ]
}

/// Returns the length of a window, at most five columns.
fn span_text(seconds: u64) -> String {
    match seconds {
        0..1000 => format!("{seconds} s"),
        1000..60_000 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

fn window_lines(state: &ConsoleState, what: &str, window: &Window) -> Vec<StyledLine> {
    let theme = &state.theme;
    if window.total.count == 0 {
        return vec![vec![
            (format!("{what:<14}"), theme.dim),
            ("      no request completed".to_owned(), theme.dim),
        ]];
    }
    let span = format!("{what:<12}{:>6}", span_text(window.span_us / 1_000_000));
    let line = |head: &str, d: &Distribution, tail: String, style: Style| -> StyledLine {
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
        line("  queue time", &window.queue, String::new(), theme.dim),
        line("  compute time", &window.compute, String::new(), theme.dim),
    ]
}

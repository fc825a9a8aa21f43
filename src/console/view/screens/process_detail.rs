//! The processes of a row in detail: the budget and the means that enforce it, their use of the machine,
//! the requests that they report, and the busiest threads.

use ratatui::style::Style;

use crate::console::format;
use crate::console::state::ConsoleState;
use crate::console::view::canvas::{StyledLine, wrap};
use crate::console::view::{loan_text, process_text};
use crate::layout::{CoreRequest, Row, cores_phrase, number, print_duration};
use crate::telemetry::{ModelView, ProcessView};

/// Columns of a line's title.
const TITLE: usize = 14;

/// Returns the lines of the screen, at most `width` columns wide.
pub(super) fn lines(
    state: &ConsoleState,
    view: &ModelView,
    process: &ProcessView,
    width: usize,
) -> Vec<StyledLine> {
    let mut page = Page { state, width, lines: Vec::new() };
    let row = state.row(&view.row.budget.name).unwrap_or(&view.row);
    add_state(&mut page, view, process);
    add_budget(&mut page, view, row, process);
    add_use(&mut page, view, process);
    add_requests(&mut page, process);
    add_processes(&mut page, process);
    add_threads(&mut page, view);
    page.lines
}

/// The lines so far.
struct Page<'a> {
    state: &'a ConsoleState,
    width: usize,
    lines: Vec<StyledLine>,
}

impl Page<'_> {
    /// Adds a title and a text, which continues below itself.
    fn pair(&mut self, what: &str, text: &str, style: Style) {
        let dim = self.state.theme.dim;
        let room = self.width.saturating_sub(TITLE).max(16);
        let mut title = what;
        for line in wrap(text, room) {
            self.lines.push(vec![(format!("{title:<TITLE$}"), dim), (line, style)]);
            title = "";
        }
    }

    fn fact(&mut self, what: &str, text: &str) {
        self.pair(what, text, self.state.theme.text);
    }

    fn problem(&mut self, what: &str, text: &str) {
        self.pair(what, text, self.state.theme.warn);
    }

    /// Adds a heading after an empty line.
    fn heading(&mut self, text: &str) {
        self.lines.push(StyledLine::new());
        self.lines.push(vec![(text.to_owned(), self.state.theme.title)]);
    }

    fn line(&mut self, text: String, style: Style) {
        self.lines.push(vec![(text, style)]);
    }
}

fn add_state(page: &mut Page<'_>, view: &ModelView, process: &ProcessView) {
    let theme = &page.state.theme;
    if let Some(text) = process_text::stopped(process) {
        let style = if process_text::is_fault(&process.state) { theme.bad } else { theme.text };
        page.pair("state", &text, style);
    } else {
        let since = process.started_unix_ms.map_or_else(String::new, |at| {
            format!(", the oldest since {}", format::time_of_day(at, &page.state.zone))
        });
        page.fact("state", &format!("running: {}{since}", process_text::counted(process)));
    }
    page.fact("selected by", &process.selector);
    if let Some(reason) = &process.read_only {
        page.problem("read-only", reason);
    }
    if let Some(difference) = &view.actual.difference {
        page.problem("differs", difference);
    }
}

fn add_budget(page: &mut Page<'_>, view: &ModelView, row: &Row, process: &ProcessView) {
    page.heading("Budget: requested and in force");
    let reserve = if row.budget.reserve { ", reserved" } else { "" };
    let in_force = cores_phrase(&view.actual.cores);
    let cores = if row.cores.is_empty() {
        format!("none requested: runs on all cores that no row has reserved; now on {in_force}")
    } else {
        let requested = match row.budget.cores {
            CoreRequest::List(set) => cores_phrase(&set),
            CoreRequest::Count(count) => format!("{count}"),
            CoreRequest::Share(share) => format!("{}%", number(share)),
        };
        let placed = cores_phrase(&row.cores);
        format!("requested {requested}{reserve}; placed on {placed}; in force on {in_force}")
    };
    page.fact("cores", &format!("{cores}{}", by(&process.cores_by)));
    let weight = row.budget.weight;
    if let Some(reason) = &process.weight_refused {
        page.problem("weight", &format!("{weight}, not enforced: {reason}"));
    } else {
        let text = format!("{weight} on shared cores{}", by(&process.weight_by));
        page.fact("weight", &text);
    }
    let memory = match (row.budget.memory, process.memory_by.as_str()) {
        (None, _) => "no limit".to_owned(),
        (Some(limit), "") => format!("{limit}; only reported, nothing enforces it"),
        (Some(limit), means) => format!("{limit}{}", by(means)),
    };
    page.fact("memory", &memory);
    let slo = row.budget.slo.map_or_else(
        || "none".to_owned(),
        |slo| format!("p{} within {}", number(slo.percentile), print_duration(slo.bound)),
    );
    page.fact("SLO", &slo);
    let name = &view.row.budget.name;
    for loan in &page.state.snapshot.loans {
        if loan.borrower == *name || loan.lender.as_ref() == Some(name) {
            page.fact("loan", &loan_text::sentence(page.state, loan));
        }
    }
}

/// Returns the means that enforce a setting: "; by affinity of each thread".
fn by(means: &str) -> String {
    if means.is_empty() { String::new() } else { format!("; by {means}") }
}

fn add_use(page: &mut Page<'_>, view: &ModelView, process: &ProcessView) {
    page.heading("Use of the machine");
    let wait = view.wait.map_or_else(
        || "wait not measured".to_owned(),
        |wait| format!("wait {}% of the time that threads can run", format::percent(wait)),
    );
    let cpu = format!(
        "{} cores; {wait}; {:.1} threads ran or waited on average; {} in total",
        format::cores(view.cpu),
        process.runnable,
        format::clock(view.cpu_total_us)
    );
    page.fact("CPU", &cpu);
    let pss = process.pss_bytes.map_or_else(
        || "PSS not measured yet".to_owned(),
        |bytes| {
            format!("PSS {}, with shared pages divided among their users", format::bytes(bytes))
        },
    );
    page.fact("resident", &format!("RSS {}; {pss}", format::bytes(process.rss_bytes)));
    let bandwidth = &process.bandwidth;
    let figures = [
        bandwidth.bytes_per_s.map(|bytes| format!("{}/s", format::traffic(bytes.max(0.0) as u64))),
        bandwidth
            .cache_bytes
            .map(|bytes| format!("{} of the last-level cache", format::traffic(bytes))),
    ];
    let figures: Vec<String> = figures.into_iter().flatten().collect();
    match &bandwidth.missing {
        Some(reason) => page.fact("bandwidth", &format!("not measured: {reason}")),
        None if figures.is_empty() => page.fact("bandwidth", "not measured"),
        None => page.fact("bandwidth", &figures.join(", ")),
    }
}

fn add_requests(page: &mut Page<'_>, process: &ProcessView) {
    page.heading("Requests that the program reports");
    let Some(requests) = &process.requests else {
        let text = "Set `metrics` in the row to the URL of its Prometheus page.";
        return page.fact("none", text);
    };
    if let Some(fault) = &requests.fault {
        page.problem("fault", fault);
    }
    if !requests.source.is_empty() {
        let span = requests.span_us as f64 / 1e6;
        page.fact("source", &format!("{}, over {span:.0} s", requests.source));
    }
    let rate = |per_s: Option<f64>| per_s.map_or_else(|| "-".to_owned(), format::rate);
    let failed = rate(requests.failed_per_s);
    page.fact("rate", &format!("{} req/s, {failed} failed", rate(requests.per_s)));
    let latency = |us: Option<f64>| {
        us.map_or_else(|| "-".to_owned(), |us| format::millis(us.max(0.0) as u64))
    };
    let resolution = match requests.resolution.as_str() {
        "" => String::new(),
        text => format!(" ({text})"),
    };
    let text = format!(
        "mean {}, p50 {}, p99 {} ms{resolution}",
        latency(requests.mean_us),
        latency(requests.p50_us),
        latency(requests.p99_us)
    );
    page.fact("latency", &text);
}

fn add_processes(page: &mut Page<'_>, process: &ProcessView) {
    let theme = &page.state.theme;
    page.heading("    PID user     threads   CPU   mem  command");
    if process.processes.is_empty() {
        page.line("no process".to_owned(), theme.dim);
    }
    for entry in &process.processes {
        let user = format::left(&entry.user, 8, page.state.glyphs.ellipsis);
        let text = format!(
            "{:>7} {user} {:>7} {:>5} {:>5}  {}",
            entry.pid,
            entry.threads,
            format::cores(entry.cpu),
            format::bytes(entry.rss_bytes),
            entry.command
        );
        page.line(text, theme.text);
    }
    let more = process.process_count.saturating_sub(process.processes.len());
    if more > 0 {
        page.line(format!("{more} less busy: not listed"), theme.dim);
    }
}

fn add_threads(page: &mut Page<'_>, view: &ModelView) {
    let theme = &page.state.theme;
    page.heading("Thread    may run on     last on  nice  CPU %  wait %");
    if view.actual.threads.is_empty() {
        page.line(
            "threads of rows without cores are not measured one by one".to_owned(),
            theme.dim,
        );
    }
    let desired = view.actual.effective_cores.unwrap_or(view.row.cores);
    for thread in &view.actual.threads {
        let last = thread.last_core.map_or_else(|| "-".to_owned(), |core| core.to_string());
        let wait = thread.wait.map_or_else(|| "hidden".to_owned(), format::percent);
        let nice = thread.nice.map_or_else(|| "-".to_owned(), |nice| nice.to_string());
        let allowed = thread.allowed.to_string();
        // a program may limit its own threads further
        let is_placed = desired.is_empty() || thread.allowed.is_subset(&desired);
        let style = if is_placed { theme.text } else { theme.warn };
        page.lines.push(vec![
            (format!("{:<10}", thread.id), theme.text),
            (format!("{:<15}", format::fit(&allowed, 14, page.state.glyphs.ellipsis)), style),
            (
                format!("{last:>7}  {nice:>4}  {:>5}  {wait:>6}", format::percent(thread.cpu)),
                theme.text,
            ),
        ]);
    }
}

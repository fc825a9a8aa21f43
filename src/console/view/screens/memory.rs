//! The process's memory: divvy's own parts, each model's, and the unattributed rest of the resident
//! set that the kernel counts. Estimates are marked.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use crate::console::format;
use crate::console::state::{ConsoleState, ScrollArea};
use crate::console::view::canvas::{Canvas, PaneFrame, StyledLine};
use crate::engine::MemorySource;
use crate::layout::short_name;
use crate::telemetry::{MemoryRow, MemoryTable};

/// Columns of a name.
const NAME: usize = 20;

/// Names that a list shows; further ones are counted.
const NAMED: usize = 3;

/// Columns of a figure.
const FIGURE: usize = 8;

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let note = "MiB now   ~ estimated, all others measured";
    let inside = canvas.frame(PaneFrame::boxed(area, "Memory").note(note));
    canvas.put_lines(
        ScrollArea::Screen,
        inside,
        &lines(state, &state.snapshot.memory_table),
        state.scroll,
    );
}

fn lines(state: &ConsoleState, table: &MemoryTable) -> Vec<StyledLine> {
    let theme = &state.theme;
    let line = |name: &str, figure: String, note: &str| -> StyledLine {
        let name = format::fit(name, NAME - 1, state.glyphs.ellipsis);
        vec![
            (format!("{name:<NAME$}"), theme.text),
            (format!("{figure:>FIGURE$}"), theme.text),
            (format!("  {note}"), theme.dim),
        ]
    };
    let part = |name: &str, bytes: i64, note: &str| line(name, mebibytes(bytes), note);
    let own = |bytes: u64| bytes.cast_signed();
    let models: u64 = table.models.iter().map(MemoryRow::total).sum();
    let share = format::percent(table.unattributed_share().abs());
    let limit = state
        .snapshot
        .ledger
        .memory_limit
        .map_or_else(String::new, |limit| format!(", {} allowed", format::bytes(limit)));
    let mut lines: Vec<StyledLine> = table
        .parts()
        .iter()
        .map(|part| line(part.name, marked(part.bytes, part.source), part.note))
        .collect();
    let stray = mebibytes(own(table.stray_bytes));
    let unknown = table.unattributed_bytes;
    let (name, rest) = if rounds_to_zero(unknown) || unknown > 0 {
        ("unattributed", format!("{share}% of the resident set, {stray} of it in the heap"))
    } else {
        ("over-attributed", "the estimates above are too high by this".to_owned())
    };
    lines.extend([
        part("models", own(models), "the table below"),
        part(name, unknown.abs(), &rest),
        part("resident set", own(table.process_bytes), &format!("counted by the kernel{limit}")),
        StyledLine::new(),
    ]);
    let head = ["weights", "graph", "arenas", "reqs", "total", "budget"]
        .map(|title| format!("{title:>FIGURE$}"))
        .concat();
    lines.push(vec![(format!("{:<NAME$}{head}  copies", "Model"), theme.title)]);
    if table.models.is_empty() {
        lines.push(vec![("no model is loaded yet".to_owned(), theme.dim)]);
    }
    for model in &table.models {
        lines.extend(model_lines(state, model));
    }
    lines.extend(shared_lines(state, table));
    lines.extend(process_lines(state));
    lines
}

/// Returns the resident memory of the rows of processes, which is not part of this process.
fn process_lines(state: &ConsoleState) -> Vec<StyledLine> {
    let theme = &state.theme;
    let mut lines = Vec::new();
    for view in &state.snapshot.models {
        let Some(process) = &view.process else { continue };
        if lines.is_empty() {
            let head = ["RSS", "PSS", "budget"].map(|title| format!("{title:>FIGURE$}")).concat();
            let title = format!("{:<NAME$}{head}", "Processes");
            lines.extend([StyledLine::new(), vec![(title, theme.title)]]);
        }
        let figure = |bytes: Option<u64>, none: &str| {
            let text =
                bytes.map_or_else(|| none.to_owned(), |bytes| mebibytes(bytes.cast_signed()));
            format!("{text:>FIGURE$}")
        };
        let limit = view.row.budget.memory.map(|limit| limit.0);
        let is_over = limit.is_some_and(|limit| process.rss_bytes > limit);
        let figures = [
            figure(Some(process.rss_bytes), "?"),
            figure(process.pss_bytes, "?"),
            figure(limit, "none"),
        ];
        lines.push(vec![
            (format::left(&view.row.budget.name, NAME - 1, state.glyphs.ellipsis), theme.text),
            (" ".to_owned(), theme.text),
            (figures.concat(), if is_over { theme.warn } else { theme.text }),
        ]);
    }
    lines
}

/// Returns the loaded models that several rows share, and why other rows have their own copy.
fn shared_lines(state: &ConsoleState, table: &MemoryTable) -> Vec<StyledLine> {
    let theme = &state.theme;
    let mut lines = Vec::new();
    for loaded in table.loaded.iter().filter(|loaded| loaded.models.len() > 1) {
        if lines.is_empty() {
            let title = "Shared, in equal parts among the rows above";
            lines.extend([StyledLine::new(), vec![(title.to_owned(), theme.title)]]);
        }
        let name = format::fit(&loaded.file, NAME - 1, state.glyphs.ellipsis);
        let pad = NAME.saturating_sub(unicode_width::UnicodeWidthStr::width(name.as_ref()));
        let sizes = [loaded.weights_bytes, loaded.graph_bytes, loaded.arena_bytes]
            .map(|bytes| format!("{:>FIGURE$}", mebibytes(bytes.cast_signed())))
            .concat();
        let total = mebibytes(loaded.total().cast_signed());
        lines.push(vec![
            (format!("{name}{:pad$}", ""), theme.text),
            (format!("{sizes}{:>FIGURE$}{total:>FIGURE$}", ""), theme.text),
            (format!("{:>FIGURE$}  by {}", "", first_names(&loaded.models)), theme.dim),
        ]);
    }
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for model in &table.models {
        if let Some(reason) = &model.not_shared {
            reasons.entry(reason).or_default().push(model.model.clone());
        }
    }
    for (reason, models) in reasons {
        lines.push(vec![(format!("not shared: {}: {reason}", first_names(&models)), theme.dim)]);
    }
    lines
}

/// Returns the first names and the number of the others: "a, b, c and 4 more".
fn first_names(names: &[String]) -> String {
    let first: Vec<_> = names.iter().take(NAMED).map(|name| short_name(name)).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Returns a model's line, and the reason if it is above its budget.
fn model_lines(state: &ConsoleState, model: &MemoryRow) -> Vec<StyledLine> {
    let theme = &state.theme;
    let figure = |bytes: Option<u64>, source: MemorySource| {
        let text =
            bytes.map_or_else(|| "?".to_owned(), |bytes| marked(bytes.cast_signed(), source));
        format!("{text:>FIGURE$}")
    };
    let measured = |bytes: u64| figure(Some(bytes), MemorySource::Measured);
    let figures = [
        figure(Some(model.weights_bytes), model.weights_source),
        figure(Some(model.graph_bytes), MemorySource::Estimated),
        figure(model.arena_bytes, model.arena_source),
        measured(model.requests_bytes + model.prepared_bytes),
        measured(model.total()),
        model.limit_bytes.map_or_else(|| format!("{:>FIGURE$}", "none"), measured),
    ];
    let copies = if (model.copies as usize) < model.instances {
        format!("  {}, {} share", model.copies, model.instances)
    } else {
        format!("  {}", model.copies)
    };
    let name = format::fit(&model.model, NAME - 1, state.glyphs.ellipsis);
    let pad = NAME.saturating_sub(unicode_width::UnicodeWidthStr::width(name.as_ref()));
    let style = if model.over.is_some() { theme.warn } else { theme.text };
    let mut lines = vec![vec![
        (format!("{name}{:pad$}", ""), theme.text),
        (figures.concat(), style),
        (copies, theme.dim),
    ]];
    if let Some(over) = &model.over {
        lines.push(vec![(format!("  above its budget: {over}"), theme.warn)]);
    }
    lines
}

/// Returns a size in MiB, with a mark if it is an estimate.
fn marked(bytes: i64, source: MemorySource) -> String {
    let mark = if source == MemorySource::Estimated && bytes != 0 { "~" } else { "" };
    format!("{mark}{}", mebibytes(bytes))
}

/// Returns true if a size is shown as "0.0".
fn rounds_to_zero(bytes: i64) -> bool {
    bytes.unsigned_abs() < (1 << 20) / 20
}

/// Returns a size in MiB, without the unit: "12.3".
fn mebibytes(bytes: i64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

//! One field of a row.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::columns::Field;
use super::process_fields::{self, ProcessRowView};
use super::table_row::{TableModel, TableRow};
use crate::console::format;
use crate::console::state::{ConsoleState, Target};
use crate::console::view::canvas::{Canvas, Pen};
use crate::layout::{CoreOwner, GpuId, Row};
use crate::telemetry::{ModelState, ModelView};

/// Draws a field, `size` columns wide.
pub(super) fn draw(
    canvas: &mut Canvas,
    pen: &mut Pen,
    of: &TableRow<'_>,
    (field, size): (Field, usize),
) {
    let state = canvas.state;
    if *of.owner == CoreOwner::Free {
        return draw_free(canvas, pen, field, size);
    }
    let Some(TableModel { index, view, row, tag }) = of.model else {
        return;
    };
    let name = &view.row.budget.name;
    let theme = &state.theme;
    let own = theme.model(index);
    let minute = &view.minute;
    let quiet = minute.total.count == 0;
    if let Some(process) = view.process.as_deref()
        && process_fields::draw(canvas, pen, ProcessRowView { view, row, process }, (field, size))
    {
        return;
    }
    let staged = field == Field::Name
        && state.staged_plan.is_some()
        && state.live(name).is_some_and(|live| live != row);
    match field {
        Field::Tag => canvas.put_left(pen, tag, size, own),
        Field::Name => {
            let mark = if staged { "*" } else { "" };
            canvas.put_left(pen, &format!("{name}{mark}"), size, theme.text);
        }
        Field::Cells => {
            let cells = row.cores.len();
            draw_cells(canvas, *pen, cells, own, &Target::RowCore(of.owner.clone()));
            if cells == 0 {
                canvas.put_fit(pen, "none", theme.warn);
            }
        }
        Field::Cores => {
            let style = if view.actual.difference.is_some() { theme.warn } else { theme.text };
            let text = match (&view.actual.difference, view.actual.effective_cores) {
                (Some(_), _) => format!("{}!", row.cores.len()),
                // the cores that it has during a loan, marked as in the cores pane
                (None, Some(effective)) => format!("{}>", effective.len()),
                (None, None) => row.cores.len().to_string(),
            };
            canvas.put_right(pen, &text, size, style);
        }
        Field::Split => draw_split(canvas, pen, size, (view, row)),
        Field::Pips => draw_pips(canvas, *pen, (view, row), own),
        Field::Queue => {
            let limit = row.budget.queue.limit as u64;
            let waiting = view.counts.queued + view.counts.blocked;
            let full = waiting >= limit;
            let style = if full {
                theme.bad
            } else if waiting * 2 >= limit {
                theme.warn
            } else {
                theme.text
            };
            let text = format!("{}/{}", format::count(waiting), format::count(limit));
            canvas.put_right(pen, &text, size, style);
        }
        Field::Rate => {
            let text = format::rate(view.second.completed_per_s);
            canvas.put_right(pen, &text, size, theme.text);
        }
        Field::Outside | Field::Refused => draw_served(canvas, pen, (field, size), name),
        Field::Load => {
            let text = view.offered_per_s.map_or_else(|| "-".to_owned(), format::rate);
            canvas.put_right(pen, &text, size, theme.dim);
        }
        Field::P50 | Field::P99 if quiet => canvas.put_right(pen, "-", size, theme.dim),
        Field::P50 => canvas.put_right(pen, &latency(view, minute.total.p50_us), size, theme.text),
        Field::P99 => canvas.put_right(pen, &latency(view, minute.total.p99_us), size, theme.text),
        Field::Slo => draw_slo(canvas, pen, size, (view, row)),
        Field::Gpu => draw_gpu(canvas, pen, size, row),
        Field::Cpu => canvas.put_right(pen, &format::cores(view.cpu), size, theme.text),
        Field::Memory => {
            let held = view.memory_bytes();
            canvas.put_right(pen, &format::bytes(held), size, theme.text);
        }
        Field::Trend => {
            canvas.put(pen, &trend(state, row), own);
        }
    }
}

/// Draws the requests of clients, in red while some are refused.
fn draw_served(canvas: &mut Canvas, pen: &mut Pen, (field, size): (Field, usize), name: &str) {
    let state = canvas.state;
    let theme = &state.theme;
    let served = state.snapshot.server.as_ref().and_then(|server| server.model(name));
    let Some(served) = served else {
        return canvas.put_right(pen, "-", size, theme.dim);
    };
    let refused = served.recently_refused();
    let style = if refused > 0 { theme.bad } else { theme.text };
    let text = match field {
        Field::Outside => format::rate(served.requests_per_s),
        _ => format::count(refused),
    };
    canvas.put_right(pen, &text, size, style);
}

/// Returns a latency in milliseconds, marked if the sizes of the requests are guessed.
fn latency(view: &ModelView, us: u64) -> String {
    let mark = if view.guessed_dims.is_empty() { "" } else { "~" };
    format!("{mark}{}", format::millis(us))
}

/// Columns of the trend.
const TREND: usize = 12;

/// Returns the p99 of the last seconds as a small graph.
pub(super) fn trend(state: &ConsoleState, row: &Row) -> String {
    let recent = state.history.p99_us(row);
    let most = recent.clone().max().unwrap_or(0).max(1) as f64;
    let shown = recent.len().saturating_sub(2 * TREND);
    let shares: Vec<f64> = recent.skip(shown).map(|us| us as f64 / most).collect();
    state.glyphs.trend(&shares, TREND)
}

/// Draws a field of the row of free cores.
fn draw_free(canvas: &mut Canvas, pen: &mut Pen, field: Field, size: usize) {
    let state = canvas.state;
    let theme = &state.theme;
    let count = state.ledger().free.len();
    match field {
        Field::Name => canvas.put_left(pen, "free", size, theme.good),
        Field::Cells if count == 0 => canvas.put_left(pen, "none", size, theme.dim),
        Field::Cells => {
            draw_cells(canvas, *pen, count, theme.good, &Target::RowCore(CoreOwner::Free));
        }
        Field::Cores => canvas.put_right(pen, &count.to_string(), size, theme.text),
        _ => {}
    }
}

/// Draws one cell per core, two columns each if they fit, with an ellipsis if some are left out.
fn draw_cells(canvas: &mut Canvas, pen: Pen, count: usize, style: Style, target: &Target) {
    let state = canvas.state;
    let room = pen.room() as usize;
    let step = if count * 2 <= room + 1 { 2 } else { 1 };
    let shown = if count * step <= room + 1 { count } else { room.saturating_sub(1) };
    let mut at = pen;
    for _ in 0..shown {
        canvas.put(&mut at, state.glyphs.core, style);
        if step == 2 {
            at.x += 1;
        }
    }
    if shown < count {
        canvas.put(&mut at, state.glyphs.ellipsis, style);
    }
    let width = at.x.min(pen.end).saturating_sub(pen.x);
    canvas.hit(Rect { x: pen.x, y: pen.y, width, height: 1 }, target.clone());
}

/// Draws instances and threads: "2x4".
fn draw_split(canvas: &mut Canvas, pen: &mut Pen, size: usize, (view, row): (&ModelView, &Row)) {
    let state = canvas.state;
    let theme = &state.theme;
    if matches!(view.state, ModelState::Warming { .. }) {
        return;
    }
    let text = format!("{}{}{}", row.concurrency, state.glyphs.times, row.threads);
    canvas.put_left(pen, &text, size, theme.text);
}

/// Draws how many instances are ready while others are being built, as long as fits.
pub(super) fn draw_building(canvas: &mut Canvas, mut pen: Pen, view: &ModelView) {
    let ModelState::Warming { ready, total } = view.state else { return };
    let texts = [
        format!("building {ready} of {total}"),
        format!("{ready} of {total}"),
        format!("{ready}/{total}"),
    ];
    let room = pen.room() as usize;
    let text = texts.iter().find(|text| text.len() <= room).unwrap_or(&texts[2]);
    let text = format::left(text, room, canvas.state.glyphs.ellipsis);
    canvas.put(&mut pen, &text, canvas.state.theme.warn);
}

/// Draws the GPU's index, the start of a MIG device's identifier, or "CPU".
fn draw_gpu(canvas: &mut Canvas, pen: &mut Pen, size: usize, row: &Row) {
    let theme = &canvas.state.theme;
    let (text, style) = match canvas.state.place_of(&row.budget.name) {
        None => ("CPU".to_owned(), theme.dim),
        Some(GpuId::Index(index)) => (format!("{index}"), theme.text),
        Some(GpuId::Uuid(uuid) | GpuId::Mig(uuid)) => {
            (uuid.chars().skip(4).take(size).collect(), theme.text)
        }
    };
    let style = if row.budget.gpu.is_some() { theme.title } else { style };
    canvas.put_left(pen, &text, size, style);
}

/// Draws one pip per instance, filled while it runs a request.
fn draw_pips(canvas: &mut Canvas, pen: Pen, (view, row): (&ModelView, &Row), style: Style) {
    let state = canvas.state;
    let room = pen.room() as usize;
    let count = row.concurrency;
    let working = (view.counts.executing as usize).min(count);
    let mut at = pen;
    if count > room {
        let text = format!("{working}/{count}");
        canvas.put_fit(&mut at, &text, style);
    } else {
        canvas.put(&mut at, &state.glyphs.busy.repeat(working), style);
        canvas.put(&mut at, &state.glyphs.idle.repeat(count - working), style);
    }
    let width = at.x.saturating_sub(pen.x);
    canvas.hit(
        Rect { x: pen.x, y: pen.y, width, height: 1 },
        Target::Instance(view.row.budget.name.clone()),
    );
}

/// Draws the target's bound and its slack: "20 ok 29%" or "200 MISS".
fn draw_slo(canvas: &mut Canvas, pen: &mut Pen, size: usize, (view, row): (&ModelView, &Row)) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(slo) = row.budget.slo else {
        return canvas.put(pen, "-", theme.dim);
    };
    let bound_us = slo.bound.as_micros() as u64;
    let bound = format!("{}", slo.bound.as_micros() as f64 / 1e3);
    let mut text = bound;
    if (slo.percentile - 99.0).abs() > f64::EPSILON {
        let whole = format!("p{} {text}", slo.percentile);
        // without room for both, show the bound; the detail screen shows both
        if whole.len() + " 100%".len() <= size {
            text = whole;
        }
    }
    // as wide as the longest slack allows, so that the text does not move with the figure
    let room = size.saturating_sub(format::width(&text) + 1);
    let word = if room >= "ok 100%".len() { "ok " } else { "" };
    let bound_size = text.len().max(4).min(size.saturating_sub(word.len() + "100%".len() + 1));
    canvas.put_left(pen, &text, bound_size, theme.dim);
    canvas.put(pen, " ", theme.dim);
    match view.slo_us() {
        None => canvas.put_fit(pen, if room >= 7 { "no data" } else { "?" }, theme.dim),
        Some(now) if now <= bound_us => {
            let slack = 1.0 - now as f64 / bound_us.max(1) as f64;
            let text = format!("{word}{:>3}%", format::percent(slack));
            canvas.put(pen, &text, theme.good);
        }
        Some(_) => canvas.put(pen, "MISS", theme.bad),
    }
}

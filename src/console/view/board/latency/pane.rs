//! The latency histogram of the selected model: each bar split into compute and queue time, with the
//! percentiles and the target marked below.

use ratatui::layout::Rect;

use super::marks;
use super::process_list;
use super::scale::{OCTAVE, Scale, bar, bound_of};
use crate::console::format;
use crate::console::state::{ConsoleState, Pane};
use crate::console::view::canvas::{Border, Canvas, PaneFrame, Pen, row};
use crate::console::view::key::Key;
use crate::layout::short_name;
use crate::telemetry::ModelView;

/// Draws the pane.
pub(in crate::console::view::board) fn draw(canvas: &mut Canvas, area: Rect, border: Border) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(view) = state.selected_model() else {
        let inside = canvas.frame(PaneFrame::of_pane(Pane::Latency, area, border, "Latency"));
        return canvas.note(inside, "Select a row to see its latency.", theme.dim);
    };
    if let Some(process) = view.process.as_deref() {
        return process_list::draw(canvas, area, border, (view, process));
    }
    let name = &view.row.budget.name;
    let room = (area.width as usize).saturating_sub(28);
    let short = format::fit(name, room, state.glyphs.ellipsis);
    let title = format!("{short}: latency, last 60 s");
    let window = &view.minute.total;
    let noun = if window.count == 1 { "request" } else { "requests" };
    let note = format!("{} {noun}", format::count(window.count));
    let frame = PaneFrame::of_pane(Pane::Latency, area, border, &title).note(&note);
    let inside = canvas.frame(frame);
    let slo = state.row(name).and_then(|row| row.budget.slo);
    let scale = Scale::of(&view.histogram, slo, inside.width as usize);
    let Some(scale) = scale.filter(|_| window.count > 0) else {
        return canvas.note(inside, &empty_note(view), theme.dim);
    };
    let height = inside.height.saturating_sub(3);
    let bars = Rect { y: inside.y + 1, height, ..inside };
    draw_bars(canvas, bars, view, &scale);
    draw_percentiles(canvas, inside, view);
    draw_axis(canvas, Rect { y: bars.bottom(), height: 1, ..inside }, &scale);
    marks::draw(canvas, Rect { y: bars.bottom() + 1, height: 1, ..inside }, view, &scale);
}

/// Returns the key of what the pane is drawn from.
pub(in crate::console::view::board) fn key(state: &ConsoleState) -> Key {
    let mut key = Key::default();
    let Some(view) = state.selected_model() else { return key };
    let name = &view.row.budget.name;
    key.add(name);
    key.add(state.index(name));
    let histogram = &view.histogram;
    key.add((histogram.first, &histogram.total, &histogram.queue_us, &histogram.compute_us));
    let total = &view.minute.total;
    key.add((total.count, total.p50_us, total.p90_us, total.p99_us, total.p999_us));
    key.add(view.minute.slo_us);
    let counts = &view.counts;
    key.add((counts.submitted, counts.completed, counts.queued, counts.failed));
    if let Some(process) = view.process.as_deref() {
        process_list::add_to_key(&mut key, view, process);
    }
    if let Some(slo) = state.row(name).and_then(|row| row.budget.slo) {
        key.add_float(slo.percentile);
        key.add(slo.bound);
    }
    key
}

fn empty_note(view: &ModelView) -> String {
    let name = short_name(&view.row.budget.name);
    if view.counts.submitted == 0 {
        return format!("{name} has received no request yet.");
    }
    if view.counts.completed == 0 {
        return format!(
            "{name} has completed no request yet: {} submitted, {} waiting, {} failed.",
            view.counts.submitted, view.counts.queued, view.counts.failed
        );
    }
    format!("{name} has completed no request in the last 60 s.")
}

/// Draws the percentiles, and the legend of the two fills.
fn draw_percentiles(canvas: &mut Canvas, area: Rect, view: &ModelView) {
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    let state = canvas.state;
    let theme = &state.theme;
    let total = &view.minute.total;
    let index = state.index(&view.row.budget.name).unwrap_or(0);
    for (word, us) in [
        ("p50", total.p50_us),
        ("p90", total.p90_us),
        ("p99", total.p99_us),
        ("p99.9", total.p999_us),
    ] {
        canvas.put(&mut pen, word, theme.dim);
        // a fixed width, so that the text behind it does not move
        let figure = format::right(&format::millis(us), 5);
        canvas.put(&mut pen, &format!(" {figure} "), theme.text);
    }
    canvas.put(&mut pen, "ms", theme.dim);
    let queue = format!(" {} queue", state.glyphs.queue);
    let compute = format!(" {} compute", state.glyphs.level(1.0));
    let size = format::width(&queue) + format::width(&compute);
    if size > pen.room() as usize {
        // on the next line, where the bars leave room
        let Some(below) = row(area, 1) else {
            return;
        };
        pen = below;
    }
    canvas.put_end(&mut pen, &queue, theme.queue);
    canvas.put_end(&mut pen, &compute, theme.model(index));
}

fn draw_bars(canvas: &mut Canvas, area: Rect, view: &ModelView, scale: &Scale) {
    let state = canvas.state;
    let theme = &state.theme;
    let index = state.index(&view.row.budget.name).unwrap_or(0);
    let width = scale.width().min(area.width as usize);
    let bars: Vec<(u64, f64)> =
        (0..width).map(|column| bar(&view.histogram, scale, column)).collect();
    let most = bars.iter().map(|(count, _)| *count).max().unwrap_or(0).max(1);
    let steps = area.height as usize * 8;
    for (column, (count, queue)) in bars.iter().enumerate() {
        if *count == 0 {
            continue;
        }
        let tall = ((*count as f64 / most as f64) * steps as f64).round().max(1.0) as usize;
        // whole cells, so that the two fills meet at a cell's edge
        let cells = tall.div_ceil(8);
        let compute = cells - (cells as f64 * queue).round() as usize;
        for cell in 0..cells {
            let y = area.bottom() - 1 - cell as u16;
            let mut pen = Pen { x: area.x + column as u16, y, end: area.right() };
            let part = (tall - cell * 8).min(8) as f64 / 8.0;
            if cell < compute {
                canvas.put(&mut pen, state.glyphs.level(part), theme.model(index));
            } else {
                canvas.put(&mut pen, state.glyphs.queue, theme.queue);
            }
        }
    }
    // if the bars leave room: the requests of the tallest bar
    let text = format!("tallest bar: {}", format::count(most));
    let room = area.width as usize;
    let used = bars.iter().rposition(|(count, _)| *count * 2 > most).map_or(0, |at| at + 1);
    if used + text.len() + 1 < room
        && let Some(mut pen) = row(area, 1)
    {
        canvas.put_end(&mut pen, &text, theme.dim);
    }
}

/// Draws the axis: latencies in ms, one per octave if there is room.
fn draw_axis(canvas: &mut Canvas, area: Rect, scale: &Scale) {
    let theme = &canvas.state.theme;
    let across = canvas.state.glyphs.frame[0];
    let Some(pen) = row(area, 0) else {
        return;
    };
    canvas.put_repeated(&mut pen.clone(), across, area.width as usize, theme.frame);
    let mut free = 0;
    for bucket in (scale.low..scale.high).step_by(OCTAVE) {
        let column = (bucket - scale.low) / scale.buckets * scale.columns;
        let text = format!("{} ", tick(bound_of(bucket)));
        if column >= free && column + text.len() < area.width as usize {
            canvas.put(&mut Pen { x: pen.x + column as u16, ..pen }, &text, theme.dim);
            free = column + text.len() + 2;
        }
    }
}

/// Returns a latency in ms, as short as its size allows.
fn tick(us: u64) -> String {
    match us {
        0..1000 => format!("{:.2}", us as f64 / 1e3),
        1000..10_000 => format!("{:.1}", us as f64 / 1e3),
        _ => format!("{:.0}", us as f64 / 1e3),
    }
}

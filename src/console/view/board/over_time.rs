//! The heat map of the selected model: one column per second, one row per range of latencies, and a
//! mark above each second in which a change came into force or the process was stopped.

use ratatui::layout::Rect;

use super::cpu_over_time;
use crate::console::format;
use crate::console::state::{ConsoleState, HISTORY_BINS, HistoryPoint, Pane};
use crate::console::view::canvas::{Border, Canvas, PaneFrame, Pen, row};
use crate::console::view::key::Key;

/// Columns of the scale on the left.
pub(super) const SCALE: u16 = 7;

/// Returns the lower bound of a bin in microseconds: four bins per octave.
fn bound(bin: usize) -> u64 {
    (bin as f64 / 4.0).exp2().round() as u64
}

/// Draws the pane.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, border: Border) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(view) = state.selected_model() else {
        let inside = canvas.frame(PaneFrame::of_pane(Pane::OverTime, area, border, "Over time"));
        return canvas.note(inside, "Select a row to see its latency over time.", theme.dim);
    };
    if view.process.is_some() {
        return cpu_over_time::draw(canvas, area, border, view);
    }
    let name = &view.row.budget.name;
    let room = (area.width as usize).saturating_sub(32);
    let title = format!("{}: latency over time", format::fit(name, room, state.glyphs.ellipsis));
    let stops = if state.snapshot.stops.is_empty() { "" } else { ", | stopped" };
    let note = format!("ms, one column per second, {} change{stops}", state.glyphs.change);
    let inside = canvas.frame(PaneFrame::of_pane(Pane::OverTime, area, border, &title).note(&note));
    let width = inside.width.saturating_sub(SCALE) as usize;
    let moments = || state.history.of(&view.row).rev();
    let Some(now) = moments().next().map(|moment| moment.second) else {
        return canvas.note(inside, "Measuring the first second.", theme.dim);
    };
    // newest first
    let shown: Vec<&HistoryPoint> =
        moments().take_while(|moment| moment.second + (width as u64) > now).collect();
    // the largest count of each bin
    let mut peaks = [0; HISTORY_BINS];
    for moment in &shown {
        for (peak, count) in peaks.iter_mut().zip(&moment.bins) {
            *peak = (*peak).max(*count);
        }
    }
    let used = |count: &u16| *count > 0;
    let (Some(low), Some(high)) = (peaks.iter().position(used), peaks.iter().rposition(used))
    else {
        return canvas.note(inside, "No request completed in the time shown.", theme.dim);
    };
    let most = peaks.iter().copied().max().unwrap_or(1).max(1);
    let rows = inside.height.saturating_sub(2).max(1) as usize;
    // as many bins per row as needed, so that the slowest request is always on the map
    let per_row = (high + 1 - low).div_ceil(rows);
    let bands = (high + 1 - low).div_ceil(per_row);
    // if there are few bins, each gets several rows
    let tall = (rows / bands).max(1);
    let rows = bands * tall;
    let map =
        Rect { x: inside.x + SCALE, y: inside.y + 1, width: width as u16, height: rows as u16 };
    for index in 0..rows {
        let from = low + (rows - 1 - index) / tall * per_row;
        let Some(pen) = row(map, index) else {
            break;
        };
        let label = format::millis(bound(from));
        let mut scale = Pen { x: inside.x, y: pen.y, end: map.x };
        if (rows - 1 - index).is_multiple_of(tall) {
            canvas.put_right(&mut scale, &label, SCALE as usize - 1, theme.dim);
        }
        for moment in &shown {
            let bins = moment.bins.get(from..(from + per_row).min(HISTORY_BINS));
            let count: u32 = bins.unwrap_or_default().iter().copied().map(u32::from).sum();
            if count == 0 {
                continue;
            }
            let Some(column) = (width as u64 - 1).checked_sub(now - moment.second) else {
                continue;
            };
            // the square root keeps rare slow requests visible beside many fast ones
            let share = (f64::from(count) / f64::from(most)).min(1.0).sqrt();
            let mut at = Pen { x: map.x + column as u16, ..pen };
            canvas.put(&mut at, state.glyphs.shade(share), theme.heat(share));
        }
    }
    let marks = Rect { y: inside.y, height: 1, ..map };
    draw_changes(canvas, marks, now, name);
    draw_stops(canvas, marks, now);
    let Some(mut pen) = row(Rect { y: map.bottom(), height: 1, ..map }, 0) else {
        return;
    };
    let ago = format!("{} s ago", width.min(shown.len()));
    canvas.put_end(&mut pen, "now", theme.dim);
    let start = width.saturating_sub(shown.len()) as u16;
    if shown.len() > ago.len() + 4 {
        canvas.put(&mut Pen { x: map.x + start, ..pen }, &ago, theme.dim);
    }
}

/// Returns the key of what the pane is drawn from. Only the newest moment changes; older ones stay.
pub(super) fn key(state: &ConsoleState) -> Key {
    let mut key = Key::default();
    let Some(view) = state.selected_model() else { return key };
    let name = &view.row.budget.name;
    key.add(name);
    let moments = state.history.of(&view.row);
    key.add(moments.size_hint());
    if let Some(newest) = moments.last() {
        key.add((newest.second, newest.bins));
        if view.process.is_some() {
            key.add_float(newest.cpu);
        }
    }
    key.add(state.history.of(&view.row).next().map(|oldest| oldest.second));
    for entry in &state.snapshot.changes {
        key.add((entry.uptime_us, &entry.models));
    }
    for stop in &state.snapshot.stops {
        key.add(stop.uptime_us);
    }
    key
}

/// Draws a mark above each second in which the process was stopped. The time of the stop itself has no
/// column.
pub(super) fn draw_stops(canvas: &mut Canvas, area: Rect, now: u64) {
    let style = canvas.state.theme.warn;
    for stop in &canvas.state.snapshot.stops {
        let ago = now.checked_sub(stop.uptime_us / 1_000_000);
        let column = ago.and_then(|ago| u64::from(area.width).checked_sub(ago + 1));
        if let Some(column) = column {
            let mut pen = Pen { x: area.x + column as u16, y: area.y, end: area.right() };
            canvas.put(&mut pen, "|", style);
        }
    }
}

/// Draws a mark above the second of each change, bright if the change touched this model.
pub(super) fn draw_changes(canvas: &mut Canvas, area: Rect, now: u64, model: &str) {
    let state = canvas.state;
    let theme = &state.theme;
    for entry in &state.snapshot.changes {
        let second = entry.uptime_us / 1_000_000;
        let Some(column) =
            now.checked_sub(second).and_then(|ago| u64::from(area.width).checked_sub(ago + 1))
        else {
            continue;
        };
        let touched = entry.models.iter().any(|touched| touched == model);
        let style = if touched { theme.accent } else { theme.dim };
        let mut pen = Pen { x: area.x + column as u16, y: area.y, end: area.right() };
        canvas.put(&mut pen, state.glyphs.change, style);
    }
}

//! The CPU time of a row of processes: one bar per second, and a mark above each second in which a change
//! came into force or divvy was stopped.

use ratatui::layout::Rect;

use super::over_time::{SCALE, draw_changes, draw_stops};
use crate::console::format;
use crate::console::state::Pane;
use crate::console::view::canvas::{Border, Canvas, PaneFrame, Pen, row};
use crate::telemetry::ModelView;

/// Draws the pane.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, border: Border, view: &ModelView) {
    let state = canvas.state;
    let theme = &state.theme;
    let name = &view.row.budget.name;
    let room = (area.width as usize).saturating_sub(36);
    let title = format!("{}: CPU over time", format::fit(name, room, state.glyphs.ellipsis));
    let note = format!("cores, one column per second, {} change", state.glyphs.change);
    let inside = canvas.frame(PaneFrame::of_pane(Pane::OverTime, area, border, &title).note(&note));
    let width = inside.width.saturating_sub(SCALE) as usize;
    let moments = || state.history.of(&view.row).rev();
    let Some(now) = moments().next().map(|moment| moment.second) else {
        return canvas.note(inside, "Measuring the first second.", theme.dim);
    };
    let shown = || moments().take_while(|moment| moment.second + (width as u64) > now);
    let top = shown().map(|moment| moment.cpu).fold(1.0, f64::max).ceil();
    let rows = inside.height.saturating_sub(2).max(1) as usize;
    let map =
        Rect { x: inside.x + SCALE, y: inside.y + 1, width: width as u16, height: rows as u16 };
    let style = theme.model(state.index(name).unwrap_or(0));
    for index in 0..rows {
        let Some(pen) = row(map, index) else { break };
        let below = rows - 1 - index;
        for moment in shown() {
            let height = moment.cpu.max(0.0) / top * rows as f64;
            let part = (height - below as f64).clamp(0.0, 1.0);
            let column = (width as u64 - 1).checked_sub(now - moment.second);
            if let (true, Some(column)) = (part > 0.0, column) {
                let mut at = Pen { x: map.x + column as u16, ..pen };
                canvas.put(&mut at, state.glyphs.level(part), style);
            }
        }
    }
    for (index, label) in [(0, top), (rows, 0.0)] {
        let place = Rect { x: inside.x, width: SCALE, height: rows as u16 + 1, ..map };
        if let Some(mut pen) = row(place, index) {
            canvas.put_right(&mut pen, &format!("{label:.0}"), SCALE as usize - 1, theme.dim);
        }
    }
    let marks = Rect { y: inside.y, height: 1, ..map };
    draw_changes(canvas, marks, now, name);
    draw_stops(canvas, marks, now);
    if let Some(mut pen) = row(Rect { y: map.bottom(), height: 1, ..map }, 0) {
        canvas.put_end(&mut pen, "now", theme.dim);
    }
}

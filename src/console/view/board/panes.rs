//! The panes of the board and where each is drawn.

use ratatui::layout::Rect;

use super::heights::{HeightDemand, Heights};
use super::models::Labels;
use super::{changes, cores, latency, models, over_time, resources};
use crate::console::state::Pane;
use crate::console::view::canvas::{Border, Canvas};
use crate::console::view::key::Key;

/// Draws the board, or the expanded pane alone.
pub(in crate::console::view) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    if state.expanded {
        let border = if area.height >= 20 { Border::Box } else { Border::Rule };
        return draw_pane(canvas, area, border, state.focus);
    }
    let boxed = area.height >= 26 && area.width >= 80;
    let border = if boxed { Border::Box } else { Border::Rule };
    let inside = area.width - border.columns();
    let wanted = HeightDemand {
        border: border.rows(),
        models: u16::try_from(state.rows().len()).unwrap_or(u16::MAX),
        resources: resources::height(state),
    };
    let heights = Heights::divide(area.height, wanted, |room| {
        cores::height(state, inside, room.saturating_sub(border.rows())) + border.rows()
    });
    let mut y = area.y;
    let mut next = |height: u16| {
        let part = Rect { y, height, ..area };
        y += height;
        part
    };
    draw_pane(canvas, next(heights.cores), border, Pane::Cores);
    let room = heights.cores.saturating_sub(border.rows());
    let letters = heights.cores > 0 && cores::shows_letters(state, inside, room);
    let labels = if letters { Labels::Letters } else { Labels::Tags };
    models::draw(canvas, next(heights.models), border, labels);
    let middle = next(heights.latency);
    if area.width >= 100 {
        let left = Rect { width: area.width * 11 / 20, ..middle };
        let right = Rect { x: left.right(), width: area.width - left.width, ..middle };
        draw_pane(canvas, left, border, Pane::Latency);
        draw_pane(canvas, right, border, Pane::OverTime);
    } else {
        let which = if state.focus == Pane::OverTime { Pane::OverTime } else { Pane::Latency };
        draw_pane(canvas, middle, border, which);
    }
    draw_pane(canvas, next(heights.changes), border, Pane::Changes);
    let resources = next(heights.resources);
    canvas.part(resources, None, |canvas| resources::draw(canvas, resources));
}

fn draw_pane(canvas: &mut Canvas, area: Rect, border: Border, pane: Pane) {
    if area.height == 0 {
        return;
    }
    let state = canvas.state;
    let (key, draw): (Key, fn(&mut Canvas, Rect, Border)) = match pane {
        Pane::Cores => (cores::key(state), cores::draw),
        Pane::Latency => (latency::key(state), latency::draw),
        Pane::OverTime => (over_time::key(state), over_time::draw),
        Pane::Changes => (changes::key(state), changes::draw),
        // its rows are parts
        Pane::Models => return models::draw(canvas, area, border, Labels::Tags),
    };
    canvas.part(area, Some(key.finish()), |canvas| draw(canvas, area, border));
}

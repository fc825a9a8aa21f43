//! The panes of the board and where each is drawn.

use ratatui::layout::Rect;

use super::cores::Arranger;
use super::heights::{ChangesDemand, HeightDemand, Heights};
use super::models::Labels;
use super::{changes, clients, cores, latency, models, over_time, resources};
use crate::console::state::{ConsoleState, Pane};
use crate::console::view::canvas::{Border, Canvas};
use crate::console::view::key::Key;

/// The key and the drawing of a pane that depends on nothing but the state.
type Drawing = (fn(&ConsoleState) -> Key, fn(&mut Canvas, Rect, Border));

const LATENCY: Drawing = (latency::key, latency::draw);
const OVER_TIME: Drawing = (over_time::key, over_time::draw);
const CHANGES: Drawing = (changes::key, changes::draw);

/// Draws the board, or the expanded pane alone.
pub(in crate::console::view) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    if state.expanded {
        let border = if area.height >= 20 { Border::Box } else { Border::Rule };
        return match state.focus {
            Pane::Cores => {
                let inside = area.width.saturating_sub(border.columns());
                draw_cores(canvas, area, border, Arranger::new(state, inside));
            }
            Pane::Models => models::draw(canvas, area, border, Labels::Tags),
            Pane::Latency => draw_pane(canvas, area, border, LATENCY),
            Pane::OverTime => draw_pane(canvas, area, border, OVER_TIME),
            Pane::Changes => draw_pane(canvas, area, border, CHANGES),
        };
    }
    let (border, heights, arranger) = divide(state, area);
    let mut y = area.y;
    let mut next = |height: u16| {
        let part = Rect { y, height, ..area };
        y += height;
        part
    };
    let labels = draw_cores(canvas, next(heights.cores), border, arranger);
    models::draw(canvas, next(heights.models), border, labels);
    let middle = next(heights.latency);
    if area.width >= 100 {
        let left = Rect { width: area.width * 11 / 20, ..middle };
        let right = Rect { x: left.right(), width: area.width - left.width, ..middle };
        draw_pane(canvas, left, border, LATENCY);
        draw_pane(canvas, right, border, OVER_TIME);
    } else {
        let which = if state.focus == Pane::OverTime { OVER_TIME } else { LATENCY };
        draw_pane(canvas, middle, border, which);
    }
    draw_pane(canvas, next(heights.changes), border, CHANGES);
    let resources = next(heights.resources);
    let server = u16::from(state.has_server()).min(resources.height);
    let (first, rest) = (
        Rect { height: server, ..resources },
        Rect { y: resources.y + server, height: resources.height - server, ..resources },
    );
    canvas.part(resources, None, |canvas| {
        clients::draw(canvas, first);
        resources::draw(canvas, rest);
    });
}

/// Divides the area among the panes: in boxes if there is room, else below ruled titles, which take
/// fewer rows.
fn divide(state: &ConsoleState, area: Rect) -> (Border, Heights, Arranger<'_>) {
    if area.height >= 26 && area.width >= 80 {
        let (heights, arranger) = divide_with(state, area, Border::Box);
        if heights.latency > 0 {
            return (Border::Box, heights, arranger);
        }
    }
    let (heights, arranger) = divide_with(state, area, Border::Rule);
    (Border::Rule, heights, arranger)
}

/// The lowest body on which the clients leave the memory its line.
const MEMORY_FROM: u16 = 22;

/// Returns the rows of clients, memory and GPUs.
fn resources_height(state: &ConsoleState, height: u16) -> u16 {
    match (state.has_server(), resources::height(state)) {
        (false, rows) => rows,
        // only the clients
        (true, 1) if height < MEMORY_FROM => 1,
        (true, rows) => rows + 1,
    }
}

fn divide_with(state: &ConsoleState, area: Rect, border: Border) -> (Heights, Arranger<'_>) {
    let height = area.height;
    let changes = if state.snapshot.changes.is_empty() {
        ChangesDemand::Empty
    } else {
        ChangesDemand::Filled
    };
    let wanted = HeightDemand {
        border: border.rows(),
        models: u16::try_from(state.table_lines()).unwrap_or(u16::MAX),
        resources: resources_height(state, height),
        changes,
    };
    let mut arranger = Arranger::new(state, area.width - border.columns());
    let heights = Heights::divide(area.height, wanted, |room| {
        arranger.height(room.saturating_sub(border.rows())) + border.rows()
    });
    (heights, arranger)
}

/// Draws the cores. Returns the short names of models that match it.
fn draw_cores(canvas: &mut Canvas, area: Rect, border: Border, arranger: Arranger) -> Labels {
    if area.height == 0 {
        return Labels::Tags;
    }
    let plan = arranger.choose(area.height.saturating_sub(border.rows()));
    let key = cores::key(canvas.state, plan.density()).finish();
    canvas.part(area, Some(key), |canvas| cores::draw(canvas, area, border, &plan));
    if plan.shows_letters() { Labels::Letters } else { Labels::Tags }
}

fn draw_pane(canvas: &mut Canvas, area: Rect, border: Border, (key, draw): Drawing) {
    if area.height == 0 {
        return;
    }
    let key = key(canvas.state).finish();
    canvas.part(area, Some(key), |canvas| draw(canvas, area, border));
}

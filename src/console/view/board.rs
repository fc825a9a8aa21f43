//! The home screen: how the height is divided between its panes. Integer arithmetic throughout.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::{changes, cores, latency, models, over_time, resources};
use crate::console::state::Pane;

/// Rows of each pane, from the top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heights {
    cores: u16,
    models: u16,
    latency: u16,
    changes: u16,
    resources: u16,
}

/// The least height of the histogram, without its frame.
const LATENCY: u16 = 6;
/// More rows than this do not make the histogram easier to read.
const LATENCY_MOST: u16 = 28;

/// Divides `height` rows. `chrome` is what a frame costs, `rows` what the table wants inside it.
fn divide(
    height: u16,
    chrome: u16,
    rows: u16,
    resources: u16,
    cores_for: impl Fn(u16) -> u16,
) -> Heights {
    let mut heights = Heights::default();
    let mut rest = height;
    let mut take = |wanted: u16, keep: u16| {
        let taken = if rest >= wanted + keep { wanted } else { 0 };
        rest -= taken;
        taken
    };
    let table_least = chrome + 1 + rows.min(4);
    heights.resources = take(resources, table_least);
    heights.changes = take(
        chrome
            + match height {
                0..20 => 1,
                20..26 => 2,
                26..32 => 3,
                32..44 => 4,
                _ => 7,
            },
        table_least,
    );
    let reserve = if height >= 18 { chrome + LATENCY } else { 0 };
    let room = rest.saturating_sub(table_least + reserve).min(height * 2 / 5);
    heights.cores = Some(cores_for(room)).filter(|cores| *cores <= room).unwrap_or(0);
    rest -= heights.cores;
    heights.models =
        (chrome + 1 + rows).min(rest.saturating_sub(reserve)).max(table_least.min(rest));
    rest -= heights.models;
    if rest >= chrome + LATENCY {
        heights.latency = rest.min(chrome + LATENCY_MOST);
        rest -= heights.latency;
    }
    if heights.changes > 0 {
        heights.changes += rest;
    } else {
        heights.models += rest;
    }
    heights
}

/// Draws the board.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    if state.expanded {
        return pane(canvas, area, area.height >= 20, state.focus);
    }
    let boxed = area.height >= 26 && area.width >= 80;
    let chrome = if boxed { 2 } else { 1 };
    let inside = if boxed { area.width - 4 } else { area.width - 2 };
    let rows = u16::try_from(state.rows().len()).unwrap_or(u16::MAX);
    let heights = divide(area.height, chrome, rows, resources::height(state), |room| {
        cores::height(state, inside, room.saturating_sub(chrome)) + chrome
    });
    let mut y = area.y;
    let mut next = |height: u16| {
        let part = Rect { y, height, ..area };
        y += height;
        part
    };
    let parts = [(next(heights.cores), Pane::Cores), (next(heights.models), Pane::Models)];
    let letters =
        heights.cores > 0 && cores::is_strip(state, inside, heights.cores.saturating_sub(chrome));
    for (part, which) in parts {
        if which == Pane::Models {
            models::draw(canvas, part, boxed, letters);
        } else {
            pane(canvas, part, boxed, which);
        }
    }
    let middle = next(heights.latency);
    if area.width >= 100 {
        let left = Rect { width: area.width * 11 / 20, ..middle };
        let right = Rect { x: left.right(), width: area.width - left.width, ..middle };
        pane(canvas, left, boxed, Pane::Latency);
        pane(canvas, right, boxed, Pane::OverTime);
    } else {
        let which = if state.focus == Pane::OverTime { Pane::OverTime } else { Pane::Latency };
        pane(canvas, middle, boxed, which);
    }
    pane(canvas, next(heights.changes), boxed, Pane::Changes);
    resources::draw(canvas, next(heights.resources));
}

fn pane(canvas: &mut Canvas, area: Rect, boxed: bool, which: Pane) {
    if area.height == 0 {
        return;
    }
    match which {
        Pane::Cores => cores::draw(canvas, area, boxed),
        Pane::Models => models::draw(canvas, area, boxed, false),
        Pane::Latency => latency::draw(canvas, area, boxed),
        Pane::OverTime => over_time::draw(canvas, area, boxed),
        Pane::Changes => changes::draw(canvas, area, boxed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_panes_fill_the_height_and_the_table_is_always_there(
            height in 9u16..300, rows in 1u16..200, chrome in 1u16..3, cores in 2u16..40,
        ) {
            let heights = divide(height, chrome, rows, 1, |_| cores);
            let sum = heights.cores + heights.models + heights.latency + heights.changes
                + heights.resources;
            prop_assert!(sum <= height);
            prop_assert!(heights.models > chrome + 1, "{heights:?}");
            prop_assert!(heights.latency == 0 || heights.latency >= chrome + LATENCY);
        }
    }
}

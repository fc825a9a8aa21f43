//! The cores pane: each logical CPU with its owner, use and wait. On a machine with many cores each
//! gets one column.

use ratatui::layout::Rect;

use super::arrangement::{Arrangement, Density};
use super::cell::{CONTENDED, IN_USE, Names, draw_cell, draw_strip, filled_columns};
use super::lent_cores::LentCores;
use super::owners::CoreOwners;
use crate::console::state::{ConsoleState, Pane, Target};
use crate::console::view::canvas::{Border, Canvas, PaneFrame, Pen};
use crate::console::view::key::Key;
use crate::console::view::{loan_text, tags};
use crate::telemetry::CoreView;

/// Draws the pane.
pub(in crate::console::view::board) fn draw(
    canvas: &mut Canvas,
    area: Rect,
    border: Border,
    plan: &Arrangement,
) {
    let state = canvas.state;
    let theme = &state.theme;
    let note = match plan.density {
        Density::Letters => "owner   . free   + several owners",
        Density::Strip => "owner above use now   . free   + several owners",
        Density::Full | Density::Compact => "use and wait now   [name] reserved   +n more owners",
    };
    let loans = loan_text::summary(state);
    let note = loans.as_deref().unwrap_or(note);
    let frame = PaneFrame::of_pane(Pane::Cores, area, border, "Cores").note(note);
    let inside = canvas.frame(frame);
    if state.snapshot.cores.is_empty() {
        return canvas.note(inside, "Waiting for the first snapshot.", theme.dim);
    }
    for (text, x, y) in &plan.labels {
        if *y < inside.height {
            let mut pen = Pen { x: inside.x + x, y: inside.y + y, end: inside.right() };
            canvas.put_fit(&mut pen, text, theme.dim);
        }
    }
    let names = Names {
        tags: tags::tags(&state.snapshot),
        owners: CoreOwners::of(state),
        loans: LentCores::of(state),
    };
    for (index, x, y) in &plan.places {
        let Some(view) = state.snapshot.cores.get(*index) else {
            continue;
        };
        if y + plan.cell.1 > inside.height || *x >= inside.width {
            continue;
        }
        let (width, height) = plan.cell;
        let place = Rect { x: inside.x + x, y: inside.y + y, width, height }.intersection(inside);
        if plan.shows_letters() {
            draw_strip(canvas, place, view, &names);
        } else {
            draw_cell(canvas, place, view, (&names, plan.density));
        }
        canvas.hit(place, Target::Core(view.core.id));
        tint_core(canvas, place, view);
    }
}

/// Returns the key of what the pane is drawn from: metrics as the density shows them.
pub(in crate::console::view::board) fn key(state: &ConsoleState, density: Density) -> Key {
    let mut key = Key::default();
    let owners = CoreOwners::of(state);
    for view in &state.snapshot.cores {
        let core = &view.core;
        key.add((core.id.0, core.online, core.node, core.l3));
        key.add((view.allowed, view.reserved));
        key.add(owners.on(core.id));
        match density {
            Density::Letters => {}
            Density::Strip => {
                key.add((state.glyphs.level(view.busy), state.theme.heat(view.busy)));
            }
            Density::Full | Density::Compact => add_metrics(&mut key, view),
        }
    }
    if matches!(density, Density::Full | Density::Compact) {
        for view in &state.snapshot.models {
            key.add(&view.row.budget.name);
        }
    }
    key.add(&state.snapshot.loans);
    key
}

/// Adds what a cell of two or three rows shows: percentages, and a bar of the models' shares.
fn add_metrics(key: &mut Key, view: &CoreView) {
    key.add_percent(view.busy);
    key.add(filled_columns(view));
    key.add((view.busy > IN_USE, view.wait.is_some_and(|wait| wait > CONTENDED)));
    key.add(view.wait.is_some());
    key.add_percent(view.wait.unwrap_or(0.0));
    for used in &view.by_model {
        key.add(used.model);
        key.add_float(used.share);
    }
}

/// Tints a core that is selected, dragged, or the receiver of a drag.
fn tint_core(canvas: &mut Canvas, place: Rect, view: &CoreView) {
    let state = canvas.state;
    let row = Rect { height: 1, width: place.width.saturating_sub(1).max(1), ..place };
    if let Some(drag) = &state.drag {
        if drag.item.cores().contains(view.core.id) {
            return canvas.tint(row, state.theme.ghost);
        }
        let owner = state.core_owner(view.core.id);
        if owner.is_some() && owner == drag.receiver {
            canvas.tint(row, state.theme.receiver);
        }
    } else if state.picked.contains(view.core.id)
        || state.focus == Pane::Cores && state.core == Some(view.core.id)
    {
        canvas.tint(row, state.theme.field);
    }
}

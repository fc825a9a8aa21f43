//! The saved layouts: a list, and the changes that applying the selected one would make.

use ratatui::layout::Rect;

use super::layout_preview;
use crate::console::state::{Command, ScrollArea, Target, offers};
use crate::console::view::canvas::{Canvas, PaneFrame, StyledLine, row, wrap};

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let list_width = if area.width >= 90 { area.width * 2 / 5 } else { area.width / 2 };
    let left = Rect { width: list_width, ..area };
    let right = Rect { x: left.right(), width: area.width - list_width, ..area };
    draw_list(canvas, left);
    draw_preview(canvas, right);
}

fn draw_list(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let known = state.layouts.known().len();
    let note = match known {
        0 => String::new(),
        known => format!("{} of {known}", state.layouts.at + 1),
    };
    let inside = canvas.frame(PaneFrame::boxed(area, "Layouts").note(&note));
    match &state.layouts.profiles {
        None => return canvas.note(inside, "Reading the saved layouts ...", theme.dim),
        Some(Err(reason)) => return canvas.note(inside, reason, theme.bad),
        Some(Ok(profiles)) if profiles.is_empty() => {
            let key = state.keymap.shown(Command::SaveAs);
            let mut text = "No saved layouts yet.".to_owned();
            if offers(state, Command::SaveAs) {
                text = format!("{text} {key} saves the live layout.");
            }
            return canvas.note(inside, &text, theme.dim);
        }
        Some(Ok(_)) => {}
    }
    let visible = (inside.height as usize / 2).max(1);
    let first = (state.layouts.at + 1).saturating_sub(visible);
    for (index, profile) in state.layouts.known().iter().enumerate().skip(first) {
        let line = (index - first) * 2;
        let Some(mut pen) = row(inside, line) else {
            break;
        };
        let place = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 2 };
        let chosen = index == state.layouts.at;
        canvas.put(&mut pen, if chosen { state.glyphs.pointer } else { " " }, theme.accent);
        pen.x += 1;
        let current = state.profile.as_ref() == Some(&profile.name);
        let mark = match (current, current && state.modified()) {
            (true, true) => "   live, modified",
            (true, false) => "   live",
            _ if state.layouts.last.as_ref() == Some(&profile.name) => "   used last",
            _ if profile.read_only => "   comes with divvy",
            _ => "",
        };
        canvas.put_fit(&mut pen, &profile.name, theme.title);
        canvas.put_fit(&mut pen, mark, theme.dim);
        if let Some(mut pen) = row(inside, line + 1) {
            pen.x += 2;
            let text =
                if profile.description.is_empty() { &profile.place } else { &profile.description };
            canvas.put_fit(&mut pen, text, theme.dim);
        }
        if chosen {
            canvas.tint_plain(place.intersection(inside), theme.selected);
        }
        canvas.hit(place.intersection(inside), Target::Item(index));
    }
}

fn draw_preview(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let inside = canvas.frame(PaneFrame::boxed(area, "Changes if applied"));
    match &state.layouts.preview {
        None => canvas.note(inside, "Select a layout.", theme.dim),
        Some(Err(reason)) => {
            let lines = wrap(reason, inside.width as usize);
            let lines: Vec<StyledLine> =
                lines.into_iter().map(|line| vec![(line, theme.bad)]).collect();
            canvas.put_lines(ScrollArea::Preview, inside, &lines, state.layouts.scroll);
        }
        Some(Ok(Some(plan))) => {
            let lines = layout_preview::lines(state, plan, inside.width as usize);
            canvas.put_lines(ScrollArea::Preview, inside, &lines, state.layouts.scroll);
        }
        Some(Ok(None)) => {
            canvas.note(inside, "No changes: the live layout is the same.", theme.dim);
        }
    }
}

//! One core of the cores pane.

use ratatui::layout::Rect;

use super::arrangement::{BAR, Density};
use super::lent_cores::LentCores;
use super::owners::CoreOwners;
use crate::console::format;
use crate::console::state::ConsoleState;
use crate::console::view::canvas::{Canvas, Pen, StyledText};
use crate::console::view::tags;
use crate::telemetry::CoreView;

/// The models on each core, and their short names.
pub(super) struct Names {
    pub(super) tags: Vec<String>,
    pub(super) owners: CoreOwners,
    pub(super) loans: LentCores,
}

impl Names {
    fn tag(&self, model: usize) -> &str {
        self.tags.get(model).map_or("?", |tag| tag.trim_end())
    }
}

/// A wait above this share of the time is marked.
pub(super) const CONTENDED: f64 = 0.10;

/// A use above this share of the time is bright.
pub(super) const IN_USE: f64 = 0.005;

/// Returns the short name of a core's owner, and its colour; for a lent core also that of its borrower.
fn owner(state: &ConsoleState, view: &CoreView, names: &Names, density: Density) -> StyledText {
    let theme = &state.theme;
    if !view.core.online {
        return ("offline".to_owned(), theme.dim);
    }
    if !view.allowed {
        return ("n/a".to_owned(), theme.dim);
    }
    let owners = names.owners.on(view.core.id);
    if let Some(borrower) = names.loans.borrower(view.core.id, owners) {
        let lender = owners.first().filter(|_| density == Density::Full);
        let lender = lender.map_or("", |lender| names.tag(*lender));
        return (format!("{lender}>{}", names.tag(borrower)), theme.model(borrower));
    }
    let Some(first) = owners.first() else {
        return ("free".to_owned(), theme.good);
    };
    let tag = names.tags.get(*first).map_or("?", String::as_str);
    let style = theme.model(*first);
    match owners.len() {
        1 if view.reserved => (format!("[{}]", tag.trim_end()), style),
        1 => (tag.to_owned(), style),
        more => (format!("{}+{}", tag.trim_end(), more - 1), style),
    }
}

/// Draws a core in a cell of two or three rows.
pub(super) fn draw_cell(
    canvas: &mut Canvas,
    place: Rect,
    view: &CoreView,
    (names, density): (&Names, Density),
) {
    let state = canvas.state;
    let theme = &state.theme;
    let end = place.right().saturating_sub(1);
    let mut pen = Pen { x: place.x, y: place.y, end };
    canvas.put(&mut pen, &format!("{} ", view.core.id), theme.dim);
    let (text, style) = owner(state, view, names, density);
    canvas.put_fit(&mut pen, &text, style);
    let mut pen = Pen { x: place.x, y: place.y + 1, end };
    if !view.allowed {
        return;
    }
    if density == Density::Full {
        draw_bar(canvas, &mut pen, view);
    }
    let use_style = if view.busy > IN_USE { theme.text } else { theme.dim };
    canvas.put_right(&mut pen, &format::percent(view.busy), 4, use_style);
    canvas.put(&mut pen, "%", theme.dim);
    if density == Density::Full {
        let mut pen = Pen { x: place.x, y: place.y + 2, end };
        canvas.put(&mut pen, "wait", theme.dim);
        match view.wait {
            Some(wait) => {
                let style = if wait > CONTENDED { theme.warn } else { theme.dim };
                canvas.put_right(&mut pen, &format::percent(wait), 4, style);
                canvas.put(&mut pen, if wait > CONTENDED { "!" } else { "%" }, style);
            }
            // hardened containers hide it
            None => canvas.put_right(&mut pen, "-", 4, theme.dim),
        }
    }
}

/// Returns the filled columns of a bar of use.
pub(super) fn filled_columns(view: &CoreView) -> usize {
    (view.busy.clamp(0.0, 1.0) * BAR as f64).round() as usize
}

/// Draws a bar of use: each model's share in its colour, other processes in grey.
fn draw_bar(canvas: &mut Canvas, pen: &mut Pen, view: &CoreView) {
    let state = canvas.state;
    let theme = &state.theme;
    let filled = filled_columns(view);
    let mut reach = 0.0;
    let mut users = view.by_model.iter().map(|used| {
        reach += used.share;
        (used.model, reach)
    });
    let mut user = users.next();
    for column in 0..BAR {
        if column >= filled {
            canvas.put(pen, state.glyphs.empty, theme.frame);
            continue;
        }
        let middle = (column as f64 + 0.5) / BAR as f64;
        while user.is_some_and(|(_, reach)| reach < middle) {
            user = users.next();
        }
        let style = user.map_or(theme.dim, |(index, _)| theme.model(index));
        canvas.put(pen, state.glyphs.bar, style);
    }
}

/// Draws a core in one column.
pub(super) fn draw_strip(canvas: &mut Canvas, place: Rect, view: &CoreView, names: &Names) {
    let state = canvas.state;
    let theme = &state.theme;
    let owners = names.owners.on(view.core.id);
    let used_by = names.loans.borrower(view.core.id, owners).map(|borrower| [borrower]);
    let users = used_by.as_ref().map_or(owners, |borrower| borrower.as_slice());
    let (letter, style) = match users {
        _ if !view.allowed => ('-', theme.dim),
        [] => ('.', theme.dim),
        [one] => (tags::letter(*one), theme.model(*one)),
        [first, ..] => ('+', theme.model(*first)),
    };
    let mut pen = Pen { x: place.x, y: place.y, end: place.right() };
    canvas.put(&mut pen, letter.encode_utf8(&mut [0; 4]), style);
    if place.height < 2 {
        return;
    }
    let mut pen = Pen { x: place.x, y: place.y + 1, end: place.right() };
    canvas.put(&mut pen, state.glyphs.level(view.busy), theme.heat(view.busy));
}

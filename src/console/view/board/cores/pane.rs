//! The cores pane: each logical CPU with its owner, use and wait, grouped by node and cache. Many
//! cores become a strip of one column each.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Pen};
use super::tags;
use crate::console::format;
use crate::console::state::{ConsoleState, Pane, Target};
use crate::telemetry::CoreView;

/// How much room a core gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Density {
    /// Owner, use and wait below each other.
    Full,
    /// Owner above use.
    Compact,
    /// One column: a letter above a level.
    Strip,
    /// One column and one row: the letter alone, without titles of groups.
    Letters,
}

/// From this many cores on, a core is one column.
const STRIP_FROM: usize = 64;
/// Waiting longer than this share of the time is marked.
const CONTENDED: f64 = 0.10;
const BAR: usize = 4;

impl Density {
    /// Columns and rows of a core, the gap behind it included.
    fn cell(self, digits: u16) -> (u16, u16) {
        match self {
            Self::Full => ((digits + 7).max(BAR as u16 + 6), 3),
            Self::Compact => (digits + 7, 2),
            Self::Strip => (1, 2),
            Self::Letters => (1, 1),
        }
    }
}

/// Where everything goes: cores by index, group labels, rows in all.
struct Plan {
    density: Density,
    cell: (u16, u16),
    places: Vec<(usize, u16, u16)>,
    labels: Vec<(String, u16, u16)>,
    height: u16,
}

fn label(state: &ConsoleState, members: &[usize], nodes: bool) -> String {
    let Some(view) = members.first().and_then(|index| state.snapshot.cores.get(*index)) else {
        return String::new();
    };
    let cache = view.core.l3.map_or_else(|| "cores".to_owned(), |l3| format!("L3 {l3}"));
    if nodes { format!("node {} {cache}", view.core.node) } else { cache }
}

fn plan(state: &ConsoleState, width: u16, density: Density) -> Plan {
    let digits = state.snapshot.cores.iter().map(|view| view.core.id.0).max().unwrap_or(0);
    let cell = density.cell(digits.to_string().len() as u16);
    let groups = state.core_groups();
    let labelled = u16::from(groups.len() > 1 && density != Density::Letters);
    let nodes = state.snapshot.cores.iter().any(|view| view.core.node > 0);
    let mut plan = Plan { density, cell, places: Vec::new(), labels: Vec::new(), height: 0 };
    let (mut x, mut y) = (0, 0);
    let line = cell.1 + labelled;
    for members in &groups {
        let title = label(state, members, nodes);
        let needs = cell.0.saturating_mul(members.len() as u16).max(format::width(&title) as u16);
        // a group that fits on a line of its own is not broken
        if x > 0 && x + needs > width {
            (x, y) = (0, y + line);
        }
        if labelled == 1 {
            plan.labels.push((title.clone(), x, y));
        }
        let start = x;
        for index in members {
            if x > 0 && x + cell.0 > width + 1 {
                (x, y) = (0, y + line);
            }
            plan.places.push((*index, x, y + labelled));
            x += cell.0;
        }
        let label_end = start + format::width(&title) as u16;
        x = if labelled == 1 { x.max(label_end) } else { x } + 2;
        plan.height = y + line;
    }
    plan
}

/// The roomiest plan that fits into `room` rows, else the tightest.
fn choose(state: &ConsoleState, width: u16, room: u16) -> Plan {
    let most: &[Density] = if state.snapshot.cores.len() >= STRIP_FROM {
        &[Density::Strip]
    } else {
        &[Density::Full, Density::Compact, Density::Strip]
    };
    most.iter()
        .map(|density| plan(state, width, *density))
        .find(|plan| plan.height <= room)
        .unwrap_or_else(|| plan(state, width, Density::Letters))
}

/// Rows that the pane wants inside its frame.
pub(super) fn height(state: &ConsoleState, width: u16, room: u16) -> u16 {
    choose(state, width, room).height.max(1)
}

/// Whether a pane of so many rows inside shows owners by their letters only.
pub(super) fn is_strip(state: &ConsoleState, width: u16, room: u16) -> bool {
    matches!(choose(state, width, room).density, Density::Strip | Density::Letters)
}

/// Draws the pane.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, boxed: bool) {
    let state = canvas.state;
    let theme = &state.theme;
    let width = if boxed { area.width.saturating_sub(4) } else { area.width.saturating_sub(2) };
    let chrome = if boxed { 2 } else { 1 };
    let plan = choose(state, width, area.height.saturating_sub(chrome));
    let note = match plan.density {
        Density::Letters => "owners; . free, + several owners",
        Density::Strip => "owner above use now; . free, + several owners",
        Density::Full | Density::Compact => "use and wait now   [reserved]   +n more owners",
    };
    let inside = canvas.frame(area, boxed, Some(Pane::Cores), "Cores", note);
    if state.snapshot.cores.is_empty() {
        return canvas.note(
            inside,
            "no core was read yet: waiting for the first figures",
            theme.dim,
        );
    }
    for (text, x, y) in &plan.labels {
        if *y < inside.height {
            let mut pen = Pen { x: inside.x + x, y: inside.y + y, end: inside.right() };
            canvas.put_fit(&mut pen, text, theme.dim);
        }
    }
    let tags = tags::tags(&state.snapshot);
    for (index, x, y) in &plan.places {
        let Some(view) = state.snapshot.cores.get(*index) else {
            continue;
        };
        if y + plan.cell.1 > inside.height || *x >= inside.width {
            continue;
        }
        let (width, height) = plan.cell;
        let place = Rect { x: inside.x + x, y: inside.y + y, width, height }.intersection(inside);
        if matches!(plan.density, Density::Strip | Density::Letters) {
            draw_strip(canvas, place, view);
        } else {
            draw_cell(canvas, place, view, &tags, plan.density);
        }
        canvas.hit(place, Target::Core(view.core.id));
        mark(canvas, place, view);
    }
}

/// Tints a core that is selected, carried, or under the carried one.
fn mark(canvas: &mut Canvas, place: Rect, view: &CoreView) {
    let state = canvas.state;
    let row = Rect { height: 1, width: place.width.saturating_sub(1).max(1), ..place };
    if let Some(carry) = &state.carry {
        if carry.token.cores().contains(view.core.id) {
            return canvas.tint(row, state.theme.ghost);
        }
        let party = state.core_party(view.core.id);
        if party.is_some() && party == carry.to {
            canvas.tint(row, state.theme.receiver);
        }
    } else if state.picked.contains(view.core.id)
        || state.focus == Pane::Cores && state.core == Some(view.core.id)
    {
        canvas.tint(row, state.theme.field);
    }
}

/// Who has a core, in words for a cell, and its colour.
fn owner(state: &ConsoleState, view: &CoreView, tags: &[String]) -> (String, Style) {
    let theme = &state.theme;
    if !view.core.online {
        return ("offline".to_owned(), theme.dim);
    }
    if !view.allowed {
        return ("n/a".to_owned(), theme.dim);
    }
    let owners = state.owners(view.core.id);
    let Some(first) = owners.first() else {
        return ("free".to_owned(), theme.good);
    };
    let tag = tags.get(*first).map_or("?", String::as_str);
    let style = theme.model(*first);
    match owners.len() {
        1 if view.reserved => (format!("[{}]", tag.trim_end()), style),
        1 => (tag.to_owned(), style),
        more => (format!("{}+{}", tag.trim_end(), more - 1), style),
    }
}

fn draw_cell(canvas: &mut Canvas, place: Rect, view: &CoreView, tags: &[String], density: Density) {
    let state = canvas.state;
    let theme = &state.theme;
    let end = place.right().saturating_sub(1);
    let mut pen = Pen { x: place.x, y: place.y, end };
    canvas.put(&mut pen, &format!("{} ", view.core.id), theme.dim);
    let (text, style) = owner(state, view, tags);
    canvas.put_fit(&mut pen, &text, style);
    let mut pen = Pen { x: place.x, y: place.y + 1, end };
    if !view.allowed {
        return;
    }
    if density == Density::Full {
        draw_bar(canvas, &mut pen, view);
    }
    let use_style = if view.busy > 0.005 { theme.text } else { theme.dim };
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
            // the kernel hides it (hardened containers)
            None => canvas.put_right(&mut pen, "-", 4, theme.dim),
        }
    }
}

/// A bar of the busy share: a colour for each model, the rest of the world in grey.
fn draw_bar(canvas: &mut Canvas, pen: &mut Pen, view: &CoreView) {
    let state = canvas.state;
    let theme = &state.theme;
    let filled = (view.busy.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    let mut reach = 0.0;
    let mut users = view.by_model.iter().map(|(index, share)| {
        reach += share;
        (*index, reach)
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

fn draw_strip(canvas: &mut Canvas, place: Rect, view: &CoreView) {
    let state = canvas.state;
    let theme = &state.theme;
    let owners = state.owners(view.core.id);
    let (letter, style) = match owners.as_slice() {
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

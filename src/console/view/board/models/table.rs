//! The table of models: what each has, what waits, how fast it answers, and how far that is from
//! its target.

mod columns;
mod fields;

use ratatui::layout::Rect;

use super::canvas::{Canvas, Pen, row};
use super::tags;
use crate::console::format;
use crate::console::state::{ConsoleState, Pane, Target};
use crate::layout::CoreOwner;
use crate::telemetry::ModelState;
use columns::{Field, columns};

/// Draws the table. With `letters`, rows carry the letter that the strip of cores shows instead of
/// their tag.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, boxed: bool, letters: bool) {
    let state = canvas.state;
    let note = if area.width >= 100 {
        "req/s over 1 s   p50, p99 in ms over 60 s   CPU in cores now"
    } else if area.width >= 60 {
        "req/s over 1 s, ms over 60 s"
    } else {
        "ms over 60 s"
    };
    let mut title = "Models".to_owned();
    if !state.filter.is_empty() {
        title = format!("Models with \"{}\"", state.filter);
    }
    if let Some(words) = state.sorting.words() {
        title = format!("{title} {words}");
    }
    let inside = canvas.frame(area, boxed, Some(Pane::Models), &title, note);
    let columns = columns(inside.width as usize, canvas.state.has_gpus());
    if let Some(mut pen) = row(inside, 0) {
        pen.x += 2;
        for (field, size) in &columns {
            let start = pen.x;
            let mark = match field.sort() {
                Some(key) if key != state.sorting.key() => "",
                Some(_) if state.sorting.rising() => state.glyphs.mark,
                Some(_) => state.glyphs.change,
                None => "",
            };
            let text = format!("{}{mark}", field.title());
            let style = if field.column() == Some(state.column) && state.focus == Pane::Models {
                state.theme.focus
            } else {
                state.theme.dim
            };
            if field.numeric() {
                canvas.put_right(&mut pen, &text, *size, style);
            } else {
                canvas.put_left(&mut pen, &text, *size, style);
            }
            if let Some(key) = field.sort() {
                let width = pen.x.saturating_sub(start);
                canvas.hit(Rect { x: start, y: pen.y, width, height: 1 }, Target::Title(key));
            }
            pen.x += 1;
        }
    }
    let rows = state.rows();
    let tags = if letters {
        (0..state.snapshot.models.len()).map(|index| tags::letter(index).to_string()).collect()
    } else {
        tags::tags(&state.snapshot)
    };
    let visible = inside.height.saturating_sub(1) as usize;
    let selected = rows.iter().position(|row| *row == state.selected).unwrap_or(0);
    let first = first_row(rows.len(), selected, visible);
    let last = first + visible;
    for (index, party) in rows.iter().enumerate().skip(first).take(visible) {
        let Some(pen) = row(inside, index - first + 1) else {
            break;
        };
        draw_row(canvas, pen, party, &columns, &tags);
        if index + 1 == last && last < rows.len() {
            let more = format!(" {} more below ", rows.len() - last);
            let mut pen = Pen { end: inside.right(), ..pen };
            canvas.put_end(&mut pen, &more, state.theme.ghost);
        }
    }
    if state.snapshot.models.is_empty()
        && let Some(mut pen) = row(inside, 2)
    {
        canvas.put_fit(&mut pen, "no model yet: waiting for the first figures", state.theme.dim);
    }
}

/// The first row shown, so that the selected one is in the middle where the table is longer than
/// the pane.
fn first_row(rows: usize, selected: usize, visible: usize) -> usize {
    if rows <= visible {
        return 0;
    }
    selected.saturating_sub(visible / 2).min(rows - visible)
}

fn draw_row(
    canvas: &mut Canvas,
    pen: Pen,
    party: &CoreOwner,
    columns: &[(Field, usize)],
    tags: &[String],
) {
    let state = canvas.state;
    let theme = &state.theme;
    let line = Rect { x: pen.x, y: pen.y, width: pen.end - pen.x, height: 1 };
    canvas.hit(line, Target::Row(party.clone()));
    let selected = *party == state.selected;
    let mut pen = pen;
    let (mark, style) = marker(state, party, selected);
    canvas.put(&mut pen, mark, style);
    pen.x = line.x + 2;
    for (field, size) in columns {
        let mut cell = Pen { x: pen.x, y: pen.y, end: (pen.x + *size as u16).min(pen.end) };
        let place = Rect { x: cell.x, y: cell.y, width: cell.room(), height: 1 };
        if let (Some(column), CoreOwner::Model(name)) = (field.column(), party) {
            canvas.hit(place, Target::Field(name.clone(), column));
        }
        fields::draw(canvas, &mut cell, *field, *size, party, tags);
        if selected
            && state.carry.is_none()
            && state.focus == Pane::Models
            && field.column() == Some(state.column)
            && *party != CoreOwner::Free
        {
            canvas.tint(place, theme.field);
        }
        pen.x += *size as u16 + 1;
    }
    tint_row(canvas, line, party, selected);
    troubles(canvas, line, party, columns);
}

/// The sign before a row: selected, giver, possible receiver.
fn marker(
    state: &ConsoleState,
    party: &CoreOwner,
    selected: bool,
) -> (&'static str, ratatui::style::Style) {
    let theme = &state.theme;
    match &state.carry {
        Some(carry) if carry.refusal(party).is_some() => (" ", theme.blocked),
        Some(carry) if carry.to.as_ref() == Some(party) => (state.glyphs.pointer, theme.receiver),
        Some(carry) if carry.token.is_of(party) => ("-", theme.warn),
        Some(_) => (state.glyphs.target, theme.lit),
        None if selected => (state.glyphs.pointer, theme.accent),
        None => (" ", theme.text),
    }
}

fn tint_row(canvas: &mut Canvas, line: Rect, party: &CoreOwner, selected: bool) {
    let state = canvas.state;
    let theme = &state.theme;
    match &state.carry {
        Some(carry) if carry.to.as_ref() == Some(party) => {
            let refused =
                matches!(carry.consequence, Some(Err(_))) || carry.refusal(party).is_some();
            canvas.tint(line, if refused { theme.blocked } else { theme.receiver });
        }
        Some(carry) if carry.refusal(party).is_some() => canvas.tint(line, theme.blocked),
        None if selected => {
            // the background only: the field keeps its own
            let style = theme.selected;
            for x in line.x..line.right() {
                canvas.tint_under(x, line.y, style);
            }
        }
        _ => {}
    }
}

/// Over the figures of a row that serves nothing, or that can't take what is carried: why.
fn troubles(canvas: &mut Canvas, line: Rect, party: &CoreOwner, columns: &[(Field, usize)]) {
    let state = canvas.state;
    let theme = &state.theme;
    let start: usize = 2 + columns
        .iter()
        .take_while(|(field, _)| *field != Field::Rate)
        .map(|(_, size)| size + 1)
        .sum::<usize>();
    let mut pen = Pen { x: line.x + start as u16, y: line.y, end: line.right() };
    if let Some(reason) = state.carry.as_ref().and_then(|carry| carry.refusal(party)) {
        let text =
            format::left(&format!("no: {reason}"), pen.room() as usize, state.glyphs.ellipsis);
        return canvas.put(&mut pen, &text, theme.blocked);
    }
    let CoreOwner::Model(name) = party else {
        return;
    };
    let Some(view) = state.snapshot.model(name) else {
        return;
    };
    let (text, style) = match &view.state {
        ModelState::Loading => ("loading".to_owned(), theme.dim),
        ModelState::Failed { reason } => (format!("failed: {reason}"), theme.bad),
        ModelState::Draining => {
            ("draining: will be gone when its requests are answered".to_owned(), theme.dim)
        }
        ModelState::Paused if view.row.budget.paused => {
            ("paused: its queue holds".to_owned(), theme.warn)
        }
        ModelState::Paused => ("paused: it has no core".to_owned(), theme.warn),
        ModelState::Running | ModelState::Warming { .. } => return,
    };
    let text = format::left(&text, pen.room() as usize, state.glyphs.ellipsis);
    canvas.put(&mut pen, &text, style);
}

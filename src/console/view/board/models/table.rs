//! The table of models: cores, instances, queue, latency and the distance to each target.

use ratatui::layout::Rect;

use super::columns::{Field, columns};
use super::others_line;
use super::row::draw_row;
use super::table_row::TableRow;
use crate::console::format;
use crate::console::state::{ConsoleState, Pane, Target};
use crate::console::view::canvas::{Border, Canvas, PaneFrame, hidden_rows, row};
use crate::console::view::key::Key;
use crate::console::view::tags;

/// The short name at the start of a row, the same as in the cores pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::console::view::board) enum Labels {
    /// Three letters of the model's name.
    Tags,
    /// One letter.
    Letters,
}

/// Draws the table.
pub(in crate::console::view::board) fn draw(
    canvas: &mut Canvas,
    area: Rect,
    border: Border,
    labels: Labels,
) {
    let state = canvas.state;
    let note = if area.width >= 100 {
        "req/s over 1 s   p50 and p99 in ms over 60 s   CPU in cores"
    } else if area.width >= 60 {
        "req/s over 1 s, ms over 60 s"
    } else {
        "ms over 60 s"
    };
    let what = if has_processes(state) { "Models and processes" } else { "Models" };
    let mut title = what.to_owned();
    if !state.filter.is_empty() {
        title = format!("{what} with \"{}\"", state.filter);
    }
    if let Some(words) = state.sorting.words() {
        title = format!("{title} {words}");
    }
    let inside = border.inside(area);
    let columns = columns(inside.width as usize, &left_out(state));
    let rows = state.rows();
    let visible = inside.height.saturating_sub(1) as usize;
    let selected = if state.on_others {
        rows.len()
    } else {
        rows.iter().position(|row| *row == state.selected).unwrap_or(0)
    };
    let others = state.snapshot.others.as_deref();
    let lines = rows.len() + usize::from(others.is_some());
    let first = first_row(lines, selected, visible);
    let hidden = hidden_rows(first, lines.saturating_sub(first + visible));
    let note = match (&hidden, border) {
        (Some(hidden), Border::Rule) => {
            // the units give way where the title leaves no room for both
            let both = format!("{hidden}   {note}");
            let room = (area.width as usize).saturating_sub(format::width(&title) + 9);
            if format::width(&both) <= room { both } else { hidden.clone() }
        }
        _ => note.to_owned(),
    };
    let mut key = Key::default();
    key.add((&title, &note, &hidden, state.snapshot.models.is_empty()));
    canvas.part(area, Some(key.finish()), |canvas| {
        canvas.frame(PaneFrame::of_pane(Pane::Models, area, border, &title).note(&note));
        if let (Some(hidden), Border::Box) = (&hidden, border) {
            canvas.note_hidden(inside, hidden);
        }
        draw_titles(canvas, inside, &columns);
        if state.snapshot.models.is_empty()
            && let Some(mut pen) = row(inside, 2)
        {
            canvas.put_fit(&mut pen, "Waiting for the first snapshot.", state.theme.dim);
        }
    });
    let tags = match labels {
        Labels::Letters => {
            (0..state.snapshot.models.len()).map(|index| tags::letter(index).to_string()).collect()
        }
        Labels::Tags => tags::tags(&state.snapshot),
    };
    for (index, owner) in rows.iter().skip(first).take(visible).enumerate() {
        let Some(pen) = row(inside, index + 1) else {
            break;
        };
        let of = TableRow::new(state, owner, first + index, &tags);
        let line = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 1 };
        canvas.part(line, Some(of.key(state).finish()), |canvas| {
            draw_row(canvas, pen, &of, &columns);
        });
    }
    let below = rows.len().saturating_sub(first);
    if let Some(others) = others.filter(|_| below < visible)
        && let Some(pen) = row(inside, below + 1)
    {
        let line = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 1 };
        let key = others_line::key(state, others).finish();
        canvas.part(line, Some(key), |canvas| {
            others_line::draw(canvas, pen, others, &columns);
        });
    }
}

/// Returns true if a row is of processes.
fn has_processes(state: &ConsoleState) -> bool {
    state.snapshot.models.iter().any(|view| view.process.is_some())
}

/// Returns the columns that this run does not need.
fn left_out(state: &ConsoleState) -> Vec<Field> {
    let mut fields = Vec::new();
    if !state.has_gpus() {
        fields.push(Field::Gpu);
    }
    if !state.has_server() {
        fields.extend([Field::Outside, Field::Refused]);
    }
    if !state.has_load_beside_server() {
        fields.push(Field::Load);
    }
    fields
}

/// Draws the titles of the columns.
fn draw_titles(canvas: &mut Canvas, inside: Rect, columns: &[(Field, usize)]) {
    let state = canvas.state;
    let Some(mut pen) = row(inside, 0) else {
        return;
    };
    pen.x += 2;
    for (field, size) in columns {
        let start = pen.x;
        let mark = match field.sort() {
            Some(key) if key != state.sorting.key() => "",
            Some(_) if state.sorting.rising() => state.glyphs.mark,
            Some(_) => state.glyphs.change,
            None => "",
        };
        let name = match field {
            Field::Name if has_processes(state) => "name",
            _ => field.title(),
        };
        let text = format!("{name}{mark}");
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

/// Returns the first row shown: the selected one is in the middle if the table is longer than the
/// pane.
fn first_row(rows: usize, selected: usize, visible: usize) -> usize {
    if rows <= visible {
        return 0;
    }
    selected.saturating_sub(visible / 2).min(rows - visible)
}

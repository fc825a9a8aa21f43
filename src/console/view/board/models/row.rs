//! One row of the table of models.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::columns::Field;
use super::table_row::{TableModel, TableRow};
use super::{fields, process_fields};
use crate::console::format;
use crate::console::state::{ConsoleState, Pane, Target};
use crate::console::theme::Theme;
use crate::console::view::canvas::{Canvas, Pen, StyledText};
use crate::console::view::key::Key;
use crate::console::view::process_text;
use crate::layout::CoreOwner;
use crate::telemetry::{ModelState, ModelView, ProcessView, ServedModelView, text};

impl<'a> TableRow<'a> {
    /// Looks up the model of row `at` of the table.
    pub(super) fn new(
        state: &'a ConsoleState,
        owner: &'a CoreOwner,
        at: usize,
        tags: &'a [String],
    ) -> Self {
        // in the layout's order without a filter, the row is the model's place
        let is_at = |name: &String| {
            state.snapshot.models.get(at).is_some_and(|view| view.row.budget.name == *name)
        };
        let index = |name: &String| if is_at(name) { Some(at) } else { state.index(name) };
        let model = match owner {
            CoreOwner::Free => None,
            CoreOwner::Model(name) => index(name).and_then(|index| {
                let view = state.snapshot.models.get(index)?;
                let tag = tags.get(index).map_or("", String::as_str);
                Some(TableModel { index, view, row: state.row_of(view), tag })
            }),
        };
        Self { owner, model }
    }

    /// Returns the key of what the row is drawn from.
    pub(super) fn key(&self, state: &ConsoleState) -> Key {
        let mut key = Key::default();
        let Some(TableModel { index, view, row, tag }) = self.model else {
            key.add(state.ledger().free.len());
            return key;
        };
        let budget = &row.budget;
        key.add((index, tag, &budget.name, row.cores.len(), row.concurrency, row.threads));
        key.add((budget.queue.limit, budget.paused, view.row.budget.paused));
        if let Some(slo) = budget.slo {
            key.add_float(slo.percentile);
            key.add(slo.bound);
        }
        // the lookup by name is dear
        let place = budget.gpu.as_ref().and_then(|_| state.place_of(&budget.name));
        key.add(place.map(|gpu| gpu.to_string()));
        key.add(budget.gpu.is_some());
        key.add(std::mem::discriminant(&view.state));
        match &view.state {
            ModelState::Failed { reason } => key.add(reason),
            ModelState::Warming { ready, total } => key.add((ready, total)),
            _ => {}
        }
        key.add(view.actual.difference.is_some());
        key.add(view.actual.effective_cores.map(|cores| cores.len()));
        key.add((view.counts.queued, view.counts.blocked, view.counts.executing));
        let total = &view.minute.total;
        key.add((total.count == 0, total.p50_us, total.p99_us, view.minute.slo_us));
        key.add_float(view.second.completed_per_s);
        if view.state == ModelState::Paused {
            key.add_float(view.second.lost_per_s);
            key.add_float(view.offered_per_s.unwrap_or_default());
        }
        if let Some(server) = &state.snapshot.server {
            let served = server.model(&budget.name);
            key.add(served.map(ServedModelView::recently_refused));
            key.add_float(served.map_or(0.0, |served| served.requests_per_s));
            key.add_float(view.offered_per_s.unwrap_or(-1.0));
        }
        if let Some(process) = view.process.as_deref() {
            process_fields::add_to_key(&mut key, view, process);
        }
        key.add_float(view.cpu);
        key.add((view.memory.total(), view.guessed_dims.is_empty()));
        key.add(fields::trend(state, &view.row));
        key
    }
}

/// Draws a row.
pub(super) fn draw_row(
    canvas: &mut Canvas,
    pen: Pen,
    of: &TableRow<'_>,
    columns: &[(Field, usize)],
) {
    let state = canvas.state;
    let theme = &state.theme;
    let owner = of.owner;
    let line = Rect { x: pen.x, y: pen.y, width: pen.end - pen.x, height: 1 };
    canvas.hit(line, Target::Row(owner.clone()));
    let selected = *owner == state.selected && !state.on_others;
    let mut pen = pen;
    let (mark, style) = marker(state, owner);
    canvas.put(&mut pen, mark, style);
    draw_kind(canvas, Pen { x: line.x + 1, ..pen }, of);
    pen.x = line.x + 2;
    for (field, size) in columns {
        let mut cell = Pen { x: pen.x, y: pen.y, end: (pen.x + *size as u16).min(pen.end) };
        let place = Rect { x: cell.x, y: cell.y, width: cell.room(), height: 1 };
        if let (Some(column), CoreOwner::Model(name)) = (field.column(), owner) {
            canvas.hit(place, Target::Field(name.clone(), column));
        }
        fields::draw(canvas, &mut cell, of, (*field, *size));
        if selected
            && state.drag.is_none()
            && state.focus == Pane::Models
            && field.column() == Some(state.column)
            && *owner != CoreOwner::Free
        {
            canvas.tint(place, theme.field);
        }
        pen.x += *size as u16 + 1;
    }
    draw_building(canvas, line, of, columns);
    tint_row(canvas, line, owner);
    draw_state(canvas, line, of, columns);
}

/// Returns the sign before a row: selected, donor or possible receiver.
fn marker(state: &ConsoleState, owner: &CoreOwner) -> (&'static str, Style) {
    let theme = &state.theme;
    match &state.drag {
        Some(drag) if drag.refusal(owner).is_some() => (" ", theme.blocked),
        Some(drag) if drag.receiver.as_ref() == Some(owner) => {
            (state.glyphs.pointer, theme.receiver)
        }
        Some(drag) if drag.item.is_of(owner) => ("-", theme.warn),
        Some(_) => (state.glyphs.target, theme.lit),
        None if *owner == state.selected && !state.on_others => {
            (state.glyphs.pointer, theme.accent)
        }
        None => (" ", theme.text),
    }
}

fn tint_row(canvas: &mut Canvas, line: Rect, owner: &CoreOwner) {
    let state = canvas.state;
    let theme = &state.theme;
    match &state.drag {
        Some(drag) if drag.receiver.as_ref() == Some(owner) => {
            let refused = matches!(drag.outcome, Some(Err(_))) || drag.refusal(owner).is_some();
            canvas.tint(line, if refused { theme.blocked } else { theme.receiver });
        }
        Some(drag) if drag.refusal(owner).is_some() => canvas.tint(line, theme.blocked),
        None if *owner == state.selected && !state.on_others => {
            // the selected field keeps its own background
            canvas.tint_plain(line, theme.selected);
        }
        _ => {}
    }
}

/// Draws the mark of processes before their row's name; another one if divvy cannot change them.
fn draw_kind(canvas: &mut Canvas, mut pen: Pen, of: &TableRow<'_>) {
    let state = canvas.state;
    let Some(TableModel { index, view, .. }) = of.model else { return };
    let Some(process) = &view.process else { return };
    match process.read_only {
        Some(_) => canvas.put(&mut pen, state.glyphs.locked, state.theme.warn),
        None => canvas.put(&mut pen, state.glyphs.process, state.theme.model(index)),
    }
}

/// Draws the progress of builds, or the numbers of processes and threads, in place of instances and
/// pips.
fn draw_building(canvas: &mut Canvas, line: Rect, of: &TableRow<'_>, columns: &[(Field, usize)]) {
    let Some(TableModel { view, .. }) = of.model else { return };
    let (mut x, mut place) = (line.x + 2, None);
    for (field, size) in columns {
        let end = x + *size as u16;
        if matches!(field, Field::Split | Field::Pips) {
            let (start, _) = place.unwrap_or((x, end));
            place = Some((start, end));
        }
        x = end + 1;
    }
    if let Some((x, end)) = place {
        let pen = Pen { x, y: line.y, end: end.min(line.right()) };
        match view.process.as_deref() {
            Some(process) => process_fields::draw_counts(canvas, pen, process),
            None => fields::draw_building(canvas, pen, view),
        }
    }
}

/// Returns true for the columns from the first metric of requests on.
fn is_metric(field: Field) -> bool {
    matches!(field, Field::Rate | Field::Outside | Field::P50 | Field::P99 | Field::Slo)
}

/// Writes over a row's metrics why the model serves nothing, or why it cannot receive the drag.
fn draw_state(canvas: &mut Canvas, line: Rect, of: &TableRow<'_>, columns: &[(Field, usize)]) {
    let state = canvas.state;
    let theme = &state.theme;
    let start: usize = 2 + columns
        .iter()
        .take_while(|(field, _)| !is_metric(*field))
        .map(|(_, size)| size + 1)
        .sum::<usize>();
    let mut pen = Pen { x: line.x + start as u16, y: line.y, end: line.right() };
    if let Some(reason) = state.drag.as_ref().and_then(|drag| drag.refusal(of.owner)) {
        let text =
            format::left(&format!("no: {reason}"), pen.room() as usize, state.glyphs.ellipsis);
        return canvas.put(&mut pen, &text, theme.blocked);
    }
    let Some(TableModel { view, .. }) = of.model else {
        return;
    };
    let text = match view.process.as_deref() {
        Some(process) => process_state(view, process, theme),
        None => model_state(view, theme),
    };
    let Some((text, style)) = text else { return };
    let text = format::left(&text, pen.room() as usize, state.glyphs.ellipsis);
    canvas.put(&mut pen, &text, style);
}

/// Returns why the processes of a row do not run; `None` if they do.
fn process_state(view: &ModelView, process: &ProcessView, theme: &Theme) -> Option<StyledText> {
    if view.state == ModelState::Draining {
        return Some(("ends: divvy restores what it found".to_owned(), theme.dim));
    }
    let style = if process_text::is_fault(&process.state) { theme.bad } else { theme.dim };
    process_text::stopped(process).map(|text| (text, style))
}

/// Returns why a model serves nothing; `None` if it serves.
fn model_state(view: &ModelView, theme: &Theme) -> Option<StyledText> {
    Some(match &view.state {
        ModelState::Loading => ("loading".to_owned(), theme.dim),
        ModelState::Failed { reason } => (format!("failed: {reason}"), theme.bad),
        ModelState::Draining => {
            ("draining: removed when its requests have ended".to_owned(), theme.dim)
        }
        ModelState::Paused => (text::paused(view), theme.warn),
        ModelState::Running | ModelState::Warming { .. } | ModelState::Absent => return None,
    })
}

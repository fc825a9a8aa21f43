//! Fields of a row of processes that differ from those of a model. Fields that processes do not have
//! stay blank.

use super::columns::Field;
use crate::console::format;
use crate::console::view::canvas::{Canvas, Pen};
use crate::console::view::key::Key;
use crate::console::view::process_text;
use crate::layout::Row;
use crate::telemetry::{ModelView, ProcessView};

/// The processes of a row, with the row.
#[derive(Clone, Copy)]
pub(super) struct ProcessRowView<'a> {
    pub(super) view: &'a ModelView,
    pub(super) row: &'a Row,
    pub(super) process: &'a ProcessView,
}

/// Draws a field, `size` columns wide. Returns false if it is drawn as that of a model.
pub(super) fn draw(
    canvas: &mut Canvas,
    pen: &mut Pen,
    of: ProcessRowView<'_>,
    (field, size): (Field, usize),
) -> bool {
    let theme = &canvas.state.theme;
    let ProcessRowView { view, row, process } = of;
    let no_cores = row.cores.is_empty() && view.actual.difference.is_none();
    match field {
        // it runs on every core that no row has reserved
        Field::Cells if no_cores => canvas.put_fit(pen, "any", theme.dim),
        Field::Cores if no_cores => {}
        Field::Split
        | Field::Pips
        | Field::Queue
        | Field::Outside
        | Field::Refused
        | Field::Load
        | Field::Gpu => {}
        Field::Rate => {
            if let Some(per_s) = view.requests_per_s() {
                canvas.put_right(pen, &format::rate(per_s), size, theme.text);
            }
        }
        Field::P50 => draw_latency(canvas, pen, size, view.p50_us()),
        Field::P99 => draw_latency(canvas, pen, size, view.p99_us()),
        Field::Slo if row.budget.slo.is_none() => {}
        Field::Trend if process.requests.is_none() => {
            if let Some(wait) = view.wait {
                let text = format!("wait {:>3}%", format::percent(wait));
                canvas.put(pen, &text, theme.dim);
            }
        }
        _ => return false,
    }
    true
}

fn draw_latency(canvas: &mut Canvas, pen: &mut Pen, size: usize, us: Option<u64>) {
    let style = canvas.state.theme.text;
    if let Some(us) = us {
        canvas.put_right(pen, &format::millis(us), size, style);
    }
}

/// Draws the numbers of processes and threads, where models have instances and pips.
pub(super) fn draw_counts(canvas: &mut Canvas, mut pen: Pen, process: &ProcessView) {
    if process.process_count == 0 {
        return;
    }
    let style = canvas.state.theme.text;
    let room = pen.room() as usize;
    if let Some(text) =
        process_text::counts(process).iter().find(|text| format::width(text) <= room)
    {
        canvas.put(&mut pen, text, style);
    }
}

/// Adds what the fields of processes are drawn from.
pub(super) fn add_to_key(key: &mut Key, view: &ModelView, process: &ProcessView) {
    key.add((process.process_count, process.thread_count, process.rss_bytes));
    key.add(process.read_only.is_some());
    key.add(process_text::stopped(process));
    key.add_float(view.requests_per_s().unwrap_or(-1.0));
    key.add((view.p50_us(), view.p99_us(), view.slo_us()));
    key.add(process.requests.is_some());
    key.add_percent(view.wait.unwrap_or(-1.0));
}

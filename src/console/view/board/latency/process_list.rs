//! The pane of a row of processes, in place of the latency histogram: what is known of their requests, and
//! the busiest processes.

use ratatui::layout::Rect;

use crate::console::format;
use crate::console::state::Pane;
use crate::console::view::canvas::{Border, Canvas, PaneFrame, row, wrap};
use crate::console::view::key::Key;
use crate::console::view::process_text;
use crate::telemetry::{ModelView, ProcessView};

/// Draws the pane.
pub(super) fn draw(
    canvas: &mut Canvas,
    area: Rect,
    border: Border,
    (view, process): (&ModelView, &ProcessView),
) {
    let state = canvas.state;
    let theme = &state.theme;
    let room = (area.width as usize).saturating_sub(34);
    let name = format::fit(&view.row.budget.name, room, state.glyphs.ellipsis);
    let title = format!("{name}: processes");
    let note = process_text::counted(process);
    let frame = PaneFrame::of_pane(Pane::Latency, area, border, &title).note(&note);
    let inside = canvas.frame(frame);
    let text =
        process_text::stopped(process).unwrap_or_else(|| process_text::latency_note(view, process));
    let mut at = 0;
    for line in wrap(&text, inside.width as usize) {
        if let Some(mut pen) = row(inside, at) {
            canvas.put_fit(&mut pen, &line, theme.dim);
        }
        at += 1;
    }
    if process.processes.is_empty() {
        return;
    }
    if let Some(mut pen) = row(inside, at) {
        canvas.put_fit(&mut pen, "    PID threads   CPU   mem  command", theme.title);
    }
    for (index, entry) in process.processes.iter().enumerate() {
        let Some(mut pen) = row(inside, at + 1 + index) else { break };
        let text = format!(
            "{:>7} {:>7} {:>5} {:>5}  {}",
            entry.pid,
            entry.threads,
            format::cores(entry.cpu),
            format::bytes(entry.rss_bytes),
            entry.command
        );
        canvas.put_fit(&mut pen, &text, theme.text);
    }
}

/// Adds what the pane is drawn from.
pub(super) fn add_to_key(key: &mut Key, view: &ModelView, process: &ProcessView) {
    key.add(process_text::stopped(process));
    key.add(process_text::latency_note(view, process));
    key.add((process.process_count, process.thread_count));
    for entry in &process.processes {
        key.add((entry.pid, entry.threads, entry.rss_bytes, &entry.command));
        key.add_float(entry.cpu);
    }
}

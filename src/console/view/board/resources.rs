//! The line of memory, the GPUs, and a line if their driver is slow.

use ratatui::layout::Rect;

use super::gpus;
use crate::console::format;
use crate::console::state::{ConsoleState, Target};
use crate::console::view::canvas::{Canvas, row};

/// GPUs that are listed; further ones are counted.
const LISTED: usize = 4;

/// Returns the rows that it needs.
pub(super) fn height(state: &ConsoleState) -> u16 {
    let gpu = &state.snapshot.gpu;
    let gpu_height: u16 = gpu.devices.iter().take(LISTED).map(|gpu| gpus::height(state, gpu)).sum();
    1 + gpu_height + u16::from(gpu.slow.is_some())
}

/// Draws the lines.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    let state = canvas.state;
    let (theme, snapshot) = (&state.theme, &state.snapshot);
    let memory = &snapshot.memory;
    canvas.put(&mut pen, " Memory ", theme.title);
    // fixed widths, so that the line does not move
    let bytes = |size| format::right(&format::bytes(size), 5);
    let process = format!("divvy {}", bytes(memory.process));
    canvas.put(&mut pen, &process, theme.text);
    let weights: u64 = snapshot.models.iter().map(|model| model.memory.weights).sum();
    let arenas: u64 = snapshot.models.iter().filter_map(|model| model.memory.arena).sum();
    let parts = format!(" (weights {}, arenas {})", bytes(weights), bytes(arenas));
    if area.width >= 100 {
        canvas.put(&mut pen, &parts, theme.dim);
    }
    let of = format!(", {} of {} in use", bytes(memory.used), format::bytes(memory.total));
    canvas.put_fit(&mut pen, &of, theme.dim);
    canvas.put(&mut pen, "   GPU ", theme.title);
    let gpu = &snapshot.gpu;
    if let Some(slow) = &gpu.slow
        && let Some(mut pen) = row(area, 1)
    {
        pen.x += 2;
        canvas.put_fit(&mut pen, slow, theme.warn);
    }
    let first = 1 + usize::from(gpu.slow.is_some());
    if gpu.devices.is_empty() {
        let note = gpu.note.as_deref().unwrap_or("no reading yet");
        canvas.put_fit(&mut pen, note, theme.dim);
        return;
    }
    // a model dragged here leaves its GPU
    let place = Rect { x: pen.x, y: pen.y, width: 3, height: 1 };
    canvas.hit(place, Target::Gpu(None));
    canvas.put(&mut pen, "CPU", gpus::style(state, &None));
    canvas.put(&mut pen, "  ", theme.dim);
    let more = gpu.devices.len().saturating_sub(LISTED);
    let note = match (more, &gpu.note) {
        (0, Some(note)) => note.clone(),
        (0, None) => format!("{} found", gpu.devices.len()),
        (more, _) => format!("{} found, {more} not shown", gpu.devices.len()),
    };
    canvas.put_fit(&mut pen, &note, theme.dim);
    let mut line = first;
    for gpu in gpu.devices.iter().take(LISTED) {
        let height = gpus::height(state, gpu);
        let lines = (0..height as usize).map_while(|nth| row(area, line + nth));
        gpus::draw(canvas, lines.collect(), gpu);
        line += height as usize;
    }
}

//! The line of memory, and a line for each GPU, with one for its parts, and one for the driver where
//! that is slow.

use ratatui::layout::Rect;

use super::canvas::{Canvas, row};
use crate::console::format;
use crate::console::state::ConsoleState;
use crate::telemetry::GpuCard;

/// More cards than this are counted, not listed.
const CARDS: usize = 4;

/// Rows that are wanted.
pub fn height(state: &ConsoleState) -> u16 {
    let gpu = &state.snapshot.gpu;
    let cards: u16 = gpu.cards.iter().take(CARDS).map(rows_of).sum();
    1 + cards + u16::from(gpu.slow.is_some())
}

/// A line for the card, one for its parts.
fn rows_of(card: &GpuCard) -> u16 {
    1 + u16::from(card.fault.is_none() && !card.mig.is_empty())
}

/// Draws the lines.
pub fn draw(canvas: &mut Canvas, area: Rect) {
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    let state = canvas.state;
    let (theme, snapshot) = (&state.theme, &state.snapshot);
    let memory = &snapshot.memory;
    canvas.put(&mut pen, " Memory ", theme.title);
    // each figure as wide whatever it is, so that the line stays still
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
    if gpu.cards.is_empty() {
        let note = gpu.note.as_deref().unwrap_or("not read yet");
        canvas.put_fit(&mut pen, note, theme.dim);
        return;
    }
    let more = gpu.cards.len().saturating_sub(CARDS);
    let note = match (more, &gpu.note) {
        (0, Some(note)) => note.clone(),
        (0, None) => format!("{} found", gpu.cards.len()),
        (more, _) => format!("{} found, {more} not shown", gpu.cards.len()),
    };
    canvas.put_fit(&mut pen, &note, theme.dim);
    let mut line = first;
    for card in gpu.cards.iter().take(CARDS) {
        if let Some(pen) = row(area, line) {
            draw_card(canvas, pen, card);
        }
        if let Some(pen) = row(area, line + 1).filter(|_| rows_of(card) > 1) {
            draw_parts(canvas, pen, card);
        }
        line += rows_of(card) as usize;
    }
}

fn draw_card(canvas: &mut Canvas, mut pen: super::canvas::Pen, card: &GpuCard) {
    let state = canvas.state;
    let theme = &state.theme;
    canvas.put(&mut pen, &format!("  {} ", card.index), theme.text);
    canvas.put_left(&mut pen, &card.name, 24, theme.text);
    if let Some(fault) = &card.fault {
        return canvas.put_fit(&mut pen, &format!("  {fault}"), theme.bad);
    }
    let unknown = || "?".to_owned();
    let used = card.memory_used_bytes.map_or_else(unknown, format::bytes);
    let total = card.memory_total_bytes.map_or_else(unknown, format::bytes);
    let busy = card.utilisation.map_or_else(unknown, format::percent);
    let power = card.power_w.map_or_else(unknown, |watts| format!("{watts:.0}"));
    let heat = card.temperature_c.map_or_else(unknown, |degrees| degrees.to_string());
    let level = state.glyphs.level(card.utilisation.unwrap_or(0.0));
    let text =
        format!("  use now {busy:>3}% {level}  mem {used}/{total}  {power:>4} W  {heat:>3} °C");
    canvas.put_fit(&mut pen, &text, theme.text);
    let throttle = card.throttle.iter().flatten().map(String::as_str).collect::<Vec<_>>();
    if !throttle.is_empty() {
        canvas.put_fit(&mut pen, &format!("  slowed by: {}", throttle.join(", ")), theme.warn);
    }
}

/// The parts that a card is divided into: as many as fit whole, then how many more there are.
fn draw_parts(canvas: &mut Canvas, mut pen: super::canvas::Pen, card: &GpuCard) {
    let theme = &canvas.state.theme;
    let unknown = || "?".to_owned();
    canvas.put(&mut pen, "    MIG", theme.dim);
    for (index, part) in card.mig.iter().enumerate() {
        let used = part.memory_used_bytes.map_or_else(unknown, format::bytes);
        let total = part.memory_total_bytes.map_or_else(unknown, format::bytes);
        // the card's own name stands before the profile
        let profile = part.name.rsplit(' ').next().unwrap_or_default();
        let (text, style) = match &part.fault {
            Some(fault) => (format!("  {} {fault}", part.index), theme.bad),
            None => (format!("  {} {profile} {used}/{total}", part.index), theme.dim),
        };
        let left = card.mig.len() - index - 1;
        let more = format!("  +{} more", left + 1);
        let kept = if left > 0 { more.len() } else { 0 };
        if format::width(&text) + kept > pen.room() as usize && index > 0 {
            return canvas.put_fit(&mut pen, &more, theme.dim);
        }
        canvas.put_fit(&mut pen, &text, style);
    }
}

//! The first line: which layout, the account of cores, the engine, live or staged, how long.

use ratatui::layout::Rect;

use super::canvas::{Canvas, row};
use crate::console::format;
use crate::console::state::Mode;

/// Draws the line. What matters least is left out first where the line is short.
pub fn draw(canvas: &mut Canvas, area: Rect) {
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    let state = canvas.state;
    let theme = &state.theme;
    let (mode, mode_style) = match (state.readonly, state.mode) {
        (true, _) => ("READ-ONLY".to_owned(), theme.warn),
        (false, Mode::Live) => ("LIVE".to_owned(), theme.good),
        (false, Mode::Staged) => (format!("STAGED {}", state.staged.len()), theme.warn),
    };
    canvas.put(&mut pen, " divvy  ", theme.accent);
    let mark = if state.modified() { "*" } else { "" };
    let name = format::fit(state.profile_name(), 24, state.glyphs.ellipsis);
    canvas.put(&mut pen, &format!("{name}{mark}   "), theme.title);
    pen.end = pen.end.saturating_sub(1);
    canvas.put_end(&mut pen, &mode, mode_style);
    if area.width >= 64 {
        let clock = format!("{}   ", format::clock(state.snapshot.uptime_us));
        canvas.put_end(&mut pen, &clock, theme.dim);
    }
    let ledger = state.ledger();
    let count = ledger.allowed.len();
    if area.width < 64 {
        let text = format!("{} of {count} free", ledger.free.len());
        pen.end = pen.end.saturating_sub(1);
        return canvas.put_fit(&mut pen, &text, theme.text);
    }
    let word = if count == 1 { "core" } else { "cores" };
    canvas.put(&mut pen, &format!("{count} {word}: "), theme.text);
    canvas.put(&mut pen, &format!("{} allotted, ", ledger.allotted.len()), theme.text);
    let free = if ledger.free.is_empty() { theme.dim } else { theme.good };
    canvas.put(&mut pen, &format!("{} free", ledger.free.len()), free);
    if !ledger.shared.is_empty() {
        canvas.put(&mut pen, &format!(", {} shared", ledger.shared.len()), theme.text);
    }
    if !ledger.oversubscribed.is_empty() {
        let text = format!("  oversubscribed: {}", ledger.oversubscribed);
        canvas.put_fit(&mut pen, &text, theme.warn);
    }
    if let Some(quota) = ledger.quota {
        canvas.put(&mut pen, &format!("  quota {quota:.1} CPUs"), theme.warn);
    }
    let mut titles: Vec<&str> =
        state.snapshot.models.iter().map(|model| model.engine_title.as_str()).collect();
    titles.retain(|title| !title.is_empty());
    titles.dedup();
    titles.sort_unstable();
    titles.dedup();
    let mut engines = titles.join(" + ");
    if state.snapshot.simulated {
        engines = format!("simulated machine, {engines}");
    }
    let memory = &state.snapshot.memory;
    let memory = if memory.total > 0 {
        format!("mem {}/{}", format::bytes(memory.used), format::bytes(memory.total))
    } else {
        String::new()
    };
    for text in [engines, memory] {
        if !text.is_empty() && format::width(&text) + 3 < pen.room() as usize {
            canvas.put(&mut pen, &format!("   {text}"), theme.dim);
        }
    }
}

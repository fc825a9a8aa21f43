//! The first line: the layout's name, the cores, the engine, live or staged, and the uptime.

use ratatui::layout::Rect;

use super::canvas::{Canvas, StyledLine, StyledText, row};
use super::server_text;
use crate::console::format;
use crate::console::state::{ConsoleState, Mode};
use crate::layout::cores_phrase;
use crate::machine::CpuSet;

/// Draws the line. On a narrow terminal the least important parts are left out.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    let state = canvas.state;
    let theme = &state.theme;
    let (mode, mode_style) = match (state.readonly, state.mode) {
        _ if state.connection_loss().is_some() => ("LOST".to_owned(), theme.bad),
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
    if let Some(attached) = &state.attached {
        let name = format::fit(&attached.name, 24, state.glyphs.ellipsis);
        let text =
            if area.width < 100 { "attached".to_owned() } else { format!("attached to {name}") };
        canvas.put_end(&mut pen, &format!("{text}   "), theme.accent);
    }
    if state.snapshot.server.as_ref().is_some_and(|server| server.is_draining) {
        canvas.put_end(&mut pen, "draining   ", theme.warn);
    }
    let room = pen.room() as usize;
    let fits = |parts: &[StyledText]| {
        parts.iter().map(|(text, _)| format::width(text)).sum::<usize>() < room
    };
    let clock = format!("   {}", format::clock(state.snapshot.uptime_us));
    let forms = forms(state);
    // leave out whole parts, the uptime first, until the rest fits
    let timed = forms
        .first()
        .is_some_and(|first| fits(&[first.as_slice(), &[(clock.clone(), theme.dim)]].concat()));
    if timed {
        pen.end = pen.end.saturating_sub(3);
        canvas.put_end(&mut pen, clock.trim_start(), theme.dim);
    }
    let Some(form) = forms.iter().find(|form| fits(form)) else {
        return;
    };
    for (text, style) in form {
        canvas.put(&mut pen, text, *style);
    }
    if let Some(server) = state.snapshot.server.as_deref() {
        let clients = server_text::clients(server);
        let whole = format!("{}  {clients}", server_text::listeners(server));
        let fits = |text: &&String| format::width(text) + 3 < pen.room() as usize;
        if let Some(text) = [&whole, &clients].into_iter().find(fits) {
            canvas.put(&mut pen, &format!("   {text}"), theme.text);
        }
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
        let used = format::right(&format::bytes(memory.used), 5);
        format!("mem {used}/{}", format::bytes(memory.total))
    } else {
        String::new()
    };
    for text in [engines, memory] {
        if !text.is_empty() && format::width(&text) + 3 < pen.room() as usize {
            canvas.put(&mut pen, &format!("   {text}"), theme.dim);
        }
    }
}

/// Returns true if models of different weights share each of these cores. More threads than cores are
/// intended there.
fn are_weighted(state: &ConsoleState, cores: &CpuSet) -> bool {
    cores.iter().all(|core| {
        let models = state.owners(core).into_iter().filter_map(|at| state.snapshot.models.get(at));
        let mut weights = models.map(|view| state.row_of(view).budget.weight);
        let first = weights.next();
        weights.any(|weight| Some(weight) != first)
    })
}

/// Returns the numbers of cores, from the longest form to the shortest.
fn forms(state: &ConsoleState) -> Vec<StyledLine> {
    let theme = &state.theme;
    let ledger = state.ledger();
    let count = ledger.allowed.len();
    let word = if count == 1 { "core" } else { "cores" };
    let free_style = if ledger.free.is_empty() { theme.dim } else { theme.good };
    let free = ledger.free.len();
    let long = vec![
        (format!("{count} {word}: {} allotted, ", ledger.allotted.len()), theme.text),
        (format!("{free} free"), free_style),
    ];
    let way = if are_weighted(state, &ledger.shared) { " by weight" } else { "" };
    let shared = (!ledger.shared.is_empty())
        .then(|| (format!(", {} shared{way}", ledger.shared.len()), theme.text));
    let quota = ledger.quota.map(|quota| (format!("  quota {quota:.1} CPUs"), theme.warn));
    let over = match &ledger.oversubscribed {
        over if are_weighted(state, over) => &CpuSet::EMPTY,
        over => over,
    };
    let named = cores_phrase(over);
    let listed = (!over.is_empty()).then(|| (format!("  {named} oversubscribed"), theme.warn));
    let number = format::counted(over.len(), "core");
    let counted = (!over.is_empty()).then(|| (format!("  {number} oversubscribed"), theme.warn));
    let brief = (!over.is_empty()).then(|| ("  over!".to_owned(), theme.warn));
    let short = vec![(format!("{free} of {count} free"), free_style)];
    let form = |head: &[StyledText], rest: [&Option<StyledText>; 3]| {
        head.iter().chain(rest.into_iter().flatten()).cloned().collect::<StyledLine>()
    };
    vec![
        form(&long, [&shared, &listed, &quota]),
        form(&long, [&shared, &counted, &quota]),
        form(&long, [&counted, &quota, &None]),
        form(&short, [&counted, &quota, &None]),
        form(&short, [&brief, &quota, &None]),
        form(&short, [&brief, &None, &None]),
        short,
    ]
}

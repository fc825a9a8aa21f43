//! The map of the machine: sockets, nodes, caches, physical cores with their SMT siblings and owners,
//! and the GPUs.

use ratatui::layout::Rect;

use super::gpu_readings;
use crate::console::format;
use crate::console::state::{ConsoleState, ScrollArea, Target};
use crate::console::view::board::CoreOwners;
use crate::console::view::canvas::{Canvas, PaneFrame, Pen, row};
use crate::console::view::tags;
use crate::layout::cores_phrase;
use crate::machine::{CoreId, CoreKind};
use crate::telemetry::CoreView;

/// A line of the map. Cores are grouped by physical core.
enum MapLine {
    Heading(String),
    Text(String),
    Cores(Vec<Vec<CoreId>>),
}

/// Columns of one logical CPU.
const CELL: usize = 13;

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let note = "one cell per logical CPU: owner and use now; SMT siblings joined by =";
    let inside = canvas.frame(PaneFrame::boxed(area, "Machine").note(note));
    if state.snapshot.cores.is_empty() {
        return canvas.note(inside, "Waiting for the first snapshot.", theme.dim);
    }
    let lines = lines(state, inside.width as usize);
    let first = canvas.scroll_to(ScrollArea::Screen, inside, lines.len(), state.scroll);
    canvas.note_more_below(inside, lines.len() - first);
    let tags = tags::tags(&state.snapshot);
    let owners = CoreOwners::of(state);
    for (index, line) in lines.iter().skip(first).enumerate() {
        let Some(mut pen) = row(inside, index) else {
            break;
        };
        match line {
            MapLine::Heading(text) => canvas.put_fit(&mut pen, text, theme.title),
            MapLine::Text(text) => canvas.put_fit(&mut pen, text, theme.text),
            MapLine::Cores(groups) => {
                for siblings in groups {
                    for (nth, id) in siblings.iter().enumerate() {
                        let place = Rect { x: pen.x, y: pen.y, width: CELL as u16 - 1, height: 1 };
                        canvas.hit(place.intersection(inside), Target::Core(*id));
                        draw_cell(canvas, &mut pen.clone(), *id, (&tags, &owners));
                        pen.x += CELL as u16 - 1;
                        let join = if nth + 1 < siblings.len() { "=" } else { " " };
                        canvas.put(&mut pen, join, theme.dim);
                    }
                }
            }
        }
    }
}

fn draw_cell(
    canvas: &mut Canvas,
    pen: &mut Pen,
    id: CoreId,
    (tags, owners): (&[String], &CoreOwners),
) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(view) = state.snapshot.cores.iter().find(|view| view.core.id == id) else {
        return;
    };
    canvas.put_right(pen, &id.to_string(), 3, theme.dim);
    let (text, style) = match owners.on(id) {
        _ if !view.core.online => ("off".to_owned(), theme.dim),
        _ if !view.allowed => ("n/a".to_owned(), theme.dim),
        [] => ("-".to_owned(), theme.good),
        [one] => (tags.get(*one).cloned().unwrap_or_default(), theme.model(*one)),
        [first, ..] => {
            let tag = tags.get(*first).cloned().unwrap_or_default();
            (format!("{}+", format::fit(&tag, 2, "")), theme.model(*first))
        }
    };
    canvas.put(pen, " ", theme.dim);
    canvas.put_left(pen, &text, 3, style);
    canvas.put_right(pen, &format::percent(view.busy), 4, theme.text);
    canvas.put(pen, "%", theme.dim);
}

fn kind(view: &CoreView) -> &'static str {
    match view.core.kind {
        CoreKind::Uniform => "",
        CoreKind::Performance => ", performance cores",
        CoreKind::Efficiency => ", efficiency cores",
    }
}

fn lines(state: &ConsoleState, width: usize) -> Vec<MapLine> {
    let mut views: Vec<&CoreView> = state.snapshot.cores.iter().collect();
    let place = |view: &CoreView| {
        let core = &view.core;
        (core.package, core.node, core.l3, core.kind)
    };
    views.sort_by_key(|view| (place(view), view.core.physical, view.core.id));
    let mut lines: Vec<MapLine> = Vec::new();
    let per_line = (width / CELL).max(1);
    let mut groups = views.chunk_by(|a, b| place(a) == place(b));
    for group in &mut groups {
        let Some(first) = group.first() else {
            continue;
        };
        let core = &first.core;
        let cache =
            core.l3.map_or_else(|| "last-level cache unknown".to_owned(), |l3| format!("L3 {l3}"));
        let physical = group.chunk_by(|a, b| a.core.physical == b.core.physical);
        let physical: Vec<Vec<CoreId>> =
            physical.map(|siblings| siblings.iter().map(|view| view.core.id).collect()).collect();
        lines.push(MapLine::Heading(format!(
            "socket {}, node {}, {cache}{}: {} on {}",
            core.package,
            core.node,
            kind(first),
            format::counted(group.len(), "logical CPU"),
            format::counted(physical.len(), "core")
        )));
        let threads = physical.iter().map(Vec::len).max().unwrap_or(1);
        for chunk in physical.chunks((per_line / threads).max(1)) {
            lines.push(MapLine::Cores(chunk.to_vec()));
        }
        lines.push(MapLine::Heading(String::new()));
    }
    for gpu in &state.snapshot.gpu.devices {
        let names = [&gpu.name, &gpu.uuid].map(|name| format!(" {name}"));
        let names = names.concat();
        lines.push(MapLine::Heading(format!("GPU {}{}", gpu.index, names.trim_end())));
        lines.extend(gpu_readings::lines(state, gpu).into_iter().map(MapLine::Text));
        lines.push(MapLine::Heading(String::new()));
    }
    let ledger = state.ledger();
    lines.push(MapLine::Heading("Cores".to_owned()));
    for (what, set) in [
        ("allowed", &ledger.allowed),
        ("allotted", &ledger.allotted),
        ("free", &ledger.free),
        ("shared", &ledger.shared),
        ("reserved", &ledger.reserved),
        ("oversubscribed", &ledger.oversubscribed),
    ] {
        let list = if set.is_empty() { "none".to_owned() } else { cores_phrase(set) };
        lines.push(MapLine::Heading(format!("  {what:<15}{:>4}   {list}", set.len())));
    }
    lines
}

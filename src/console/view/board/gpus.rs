//! A GPU's lines: use, memory, power and temperature, its MIG devices, and the memory of its models.
//! The driver reports memory per process only, so a model's memory is its engine's own count.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::format;
use crate::console::state::gpus::{self, DeviceChoice};
use crate::console::state::{ConsoleState, DragItem, Target};
use crate::console::view::canvas::{Canvas, Pen};
use crate::layout::GpuId;
use crate::telemetry::{GpuDevice, ModelView};

/// Columns of the graph of the last minute.
const TREND: usize = 20;

/// Returns the style of a place, highlighted while a model is dragged over it.
pub(super) fn style(state: &ConsoleState, place: &DeviceChoice) -> Style {
    match state.drag.as_ref().map(|drag| &drag.item) {
        Some(DragItem::Placed { onto: Some(onto), .. }) if onto == place => state.theme.ghost,
        Some(DragItem::Gpu { place: carried }) if carried == place => state.theme.ghost,
        _ => state.theme.text,
    }
}

fn on<'s>(state: &'s ConsoleState, gpu: &GpuDevice) -> impl Iterator<Item = &'s ModelView> {
    let names = gpus::names(gpu);
    state.snapshot.models.iter().filter(move |view| {
        let place = state.place_of(&view.row.budget.name);
        place.is_some_and(|place| names.contains(&place))
    })
}

/// Returns the rows of a GPU: its own, one for its MIG devices, one for its models.
pub(super) fn height(state: &ConsoleState, gpu: &GpuDevice) -> u16 {
    1 + u16::from(has_parts(gpu)) + u16::from(has_models(state, gpu))
}

/// Draws a GPU into as many of its rows as there are.
pub(super) fn draw(canvas: &mut Canvas, rows: Vec<Pen>, of: &GpuDevice) {
    let mut rows = rows.into_iter();
    if let Some(pen) = rows.next() {
        gpu(canvas, pen, of);
    }
    if has_parts(of)
        && let Some(pen) = rows.next()
    {
        parts(canvas, pen, of);
    }
    if has_models(canvas.state, of)
        && let Some(pen) = rows.next()
    {
        models(canvas, pen, of);
    }
}

fn has_parts(gpu: &GpuDevice) -> bool {
    gpu.fault.is_none() && !gpu.mig.is_empty()
}

/// Returns true if a model runs, or is to run, on a GPU.
fn has_models(state: &ConsoleState, gpu: &GpuDevice) -> bool {
    on(state, gpu).next().is_some()
}

/// Draws the line of the models on a GPU.
fn models(canvas: &mut Canvas, mut pen: Pen, gpu: &GpuDevice) {
    let state = canvas.state;
    let theme = &state.theme;
    canvas.put(&mut pen, "    ", theme.dim);
    for (nth, view) in on(state, gpu).enumerate() {
        let budget = &view.row.budget;
        let held = view
            .memory
            .gpu
            .map_or_else(|| "memory unknown".to_owned(), |bytes| format::bytes(bytes) + " used");
        let limit =
            budget.gpu_memory.map_or_else(|| "no limit".to_owned(), |to| format!("of {to}"));
        let gap = if nth == 0 { "" } else { ";  " };
        let own = state.index(&budget.name).map_or(theme.text, |index| theme.model(index));
        canvas.put_fit(&mut pen, &format!("{gap}{} ", budget.name), own);
        canvas.put_fit(&mut pen, &format!("{held}, {limit}"), theme.dim);
    }
    if let Some(own) = gpu.own_memory_bytes {
        let text = format!(";  divvy {} by the driver", format::bytes(own));
        canvas.put_fit(&mut pen, &text, theme.dim);
    }
}

/// Draws the GPU's own line.
fn gpu(canvas: &mut Canvas, mut pen: Pen, gpu: &GpuDevice) {
    let state = canvas.state;
    let theme = &state.theme;
    let own = Some(GpuId::Index(gpu.index)).filter(|_| gpu.mig_enabled != Some(true));
    let cell = Rect { x: pen.x, y: pen.y, width: 28, height: 1 };
    let named = own.as_ref().map_or(theme.text, |_| style(state, &own));
    if own.is_some() && gpu.fault.is_none() {
        canvas.hit(cell, Target::Gpu(own));
    }
    canvas.put(&mut pen, &format!("  {}", gpu.index), named);
    // the reason may have no room here; the machine screen shows it
    let mark = if slowed(gpu).is_empty() { " " } else { "!" };
    canvas.put(&mut pen, mark, theme.warn);
    canvas.put_left(&mut pen, &gpu.name, 24, named);
    if let Some(fault) = &gpu.fault {
        return canvas.put_fit(&mut pen, &format!("  {fault}"), theme.bad);
    }
    let unknown = || "?".to_owned();
    let used = gpu.memory_used_bytes.map_or_else(unknown, format::bytes);
    let total = gpu.memory_total_bytes.map_or_else(unknown, format::bytes);
    let busy = gpu.utilisation.map_or_else(unknown, format::percent);
    let power = gpu.power_w.map_or_else(unknown, |watts| format!("{watts:.0}"));
    let heat = gpu.temperature_c.map_or_else(unknown, |degrees| degrees.to_string());
    let level = state.glyphs.level(gpu.utilisation.unwrap_or(0.0));
    let text =
        format!("  use now {busy:>3}% {level}  mem {used}/{total}  {power:>4} W  {heat:>3} °C");
    canvas.put_fit(&mut pen, &text, theme.text);
    let uses = state.history.gpu(gpu.index, |moment| moment.utilisation);
    if pen.room() as usize > TREND + 2 && uses.len() > 1 {
        canvas.put(&mut pen, &format!("  {}", state.glyphs.trend(&uses, TREND)), theme.dim);
    }
    let slowed = slowed(gpu);
    if !slowed.is_empty() {
        canvas.put_fit(&mut pen, &format!("  throttled: {}", slowed.join(", ")), theme.warn);
    }
}

/// Returns the reasons for which the driver throttles a GPU.
fn slowed(gpu: &GpuDevice) -> Vec<&str> {
    gpu.throttle.iter().flatten().map(String::as_str).collect()
}

/// Draws a GPU's MIG devices: as many as fit whole, then the number of the others.
fn parts(canvas: &mut Canvas, mut pen: Pen, gpu: &GpuDevice) {
    let state = canvas.state;
    let theme = &state.theme;
    let unknown = || "?".to_owned();
    canvas.put(&mut pen, "    MIG", theme.dim);
    for (index, part) in gpu.mig.iter().enumerate() {
        let used = part.memory_used_bytes.map_or_else(unknown, format::bytes);
        let total = part.memory_total_bytes.map_or_else(unknown, format::bytes);
        // a MIG device's name is the GPU's name and the profile
        let profile = part.name.rsplit(' ').next().unwrap_or_default();
        let place: DeviceChoice = part.uuid.parse().ok();
        let (text, named) = match &part.fault {
            Some(fault) => (format!("  {} {fault}", part.index), theme.bad),
            None if style(state, &place) == theme.ghost && place.is_some() => {
                (format!("  {} {profile} {used}/{total}", part.index), theme.ghost)
            }
            None => (format!("  {} {profile} {used}/{total}", part.index), theme.dim),
        };
        let rest = gpu.mig.len() - index - 1;
        let more = format!("  +{} more", rest + 1);
        let reserved = if rest > 0 { more.len() } else { 0 };
        if format::width(&text) + reserved > pen.room() as usize && index > 0 {
            return canvas.put_fit(&mut pen, &more, theme.dim);
        }
        let start = pen.x;
        canvas.put_fit(&mut pen, &text, named);
        if part.fault.is_none() && place.is_some() {
            let width = pen.x.saturating_sub(start);
            canvas.hit(Rect { x: start, y: pen.y, width, height: 1 }, Target::Gpu(place));
        }
    }
}

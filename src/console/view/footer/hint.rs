//! The hint: the line above the keys. It shows the plan of a drag, the last message, the first alert
//! or the next thing to try.

use ratatui::layout::Rect;

use super::owner_name::owner_name;
use crate::console::format;
use crate::console::state::{
    Command, ConsoleState, Dialog, Drag, DragInput, DragItem, Screen, Tone,
};
use crate::console::view::canvas::{Canvas, Pen, StyledText, row, wrap};
use crate::console::view::plan_text::describe_plan;
use crate::console::view::text_field::draw_text_field;

/// Draws the hint.
pub(in crate::console::view) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    pen.x += 1;
    if let Some(Dialog::Filter { editor }) = &state.dialog {
        canvas.put(&mut pen, "filter: ", state.theme.accent);
        return draw_text_field(canvas, pen, editor);
    }
    let (text, style) = hint(state, area.width);
    // a plan or a message must be readable: if it is long, it also covers the line above
    let lines = wrap(&text, pen.room() as usize);
    let important = state.drag.is_some() || state.message.is_some() || state.staged_plan.is_some();
    if let ([first, rest @ ..], true) = (lines.as_slice(), important && lines.len() > 1) {
        let above = Rect { y: area.y.saturating_sub(1), ..area };
        canvas.clear(above);
        let mut upper = Pen { y: above.y, ..pen };
        canvas.put_fit(&mut upper, first, style);
        return canvas.put_fit(&mut pen, &rest.join(" "), style);
    }
    canvas.put_fit(&mut pen, &text, style);
}

/// Returns the most important hint right now.
fn hint(state: &ConsoleState, width: u16) -> StyledText {
    let theme = &state.theme;
    if let Some(drag) = &state.drag {
        return drag_hint(state, drag);
    }
    if let Some(message) = &state.message {
        let style = match message.tone {
            Tone::Info => theme.text,
            Tone::Good => theme.good,
            Tone::Bad => theme.bad,
        };
        return (message.text.clone(), style);
    }
    if !state.picked.is_empty() {
        let keys = (state.keymap.shown(Command::Lift), state.keymap.shown(Command::Cancel));
        let text = format!(
            "cores {} selected: {} lifts them, a drag moves them all, {} clears the selection",
            state.picked, keys.0, keys.1
        );
        return (text, theme.text);
    }
    if let Some(plan) = &state.staged_plan {
        let keys = (state.keymap.shown(Command::Accept), state.keymap.shown(Command::Cancel));
        let text = format!(
            "{} staged: {}; {} applies it, {} drops it",
            state.staged.len(),
            describe_plan(plan),
            keys.0,
            keys.1
        );
        return (text, theme.warn);
    }
    if let Some(alert) = state.snapshot.alerts.first() {
        let more = state.snapshot.alerts.len() - 1;
        let more = match more {
            0 => String::new(),
            more if width < 60 => format!(" +{more}"),
            more => format!("   (and {more} more)"),
        };
        // before the first change, an alert leaves room for how to make one
        let learns = state.snapshot.changes.is_empty() && !state.readonly && state.mouse;
        let how = match state.screen {
            Screen::Board if learns && width >= 60 => {
                if width < 100 {
                    format!("   Drag a {} onto another row.", state.glyphs.core)
                } else {
                    format!("   Try it: drag a {} onto another row.", state.glyphs.core)
                }
            }
            _ => String::new(),
        };
        // keep room for the number of further alerts
        let room = (width as usize).saturating_sub(format::width(&more) + format::width(&how) + 1);
        let text = format::fit(&alert.text, room, state.glyphs.ellipsis);
        return (format!("{text}{more}{how}"), theme.warn);
    }
    if state.readonly {
        return ("Read-only: nothing can be changed.".to_owned(), theme.dim);
    }
    let lift = state.keymap.shown(Command::Lift);
    let (core, pip) = (state.glyphs.core, state.glyphs.idle);
    let text = match (state.screen, state.mouse) {
        (Screen::Board, true) if width < 60 => format!("Drag a {core} onto another row."),
        (Screen::Board, true) if width < 110 => {
            format!(
                "Drag a {core} onto another row to move a core, or press {lift}, arrows, enter."
            )
        }
        (Screen::Board, true) => format!(
            "Drag a {core} onto another row to move a core, a {pip} to move an instance. By keys: {lift} lifts a core, arrows choose a row, enter drops it."
        ),
        (Screen::Board, false) => {
            format!(
                "{lift} lifts a core of the selected row, arrows choose the row to receive it, enter drops it."
            )
        }
        (Screen::Layouts, _) => {
            "On the right: the changes that applying the selected layout would make.".to_owned()
        }
        _ => String::new(),
    };
    (text, theme.dim)
}

/// Returns the plan of a drop at the pointer, or how to continue the drag.
fn drag_hint(state: &ConsoleState, drag: &Drag) -> StyledText {
    let theme = &state.theme;
    let (what, receiver) = match &drag.item {
        DragItem::Several(parts) => {
            let names: Vec<&str> = parts.iter().map(|(from, _)| owner_name(from)).collect();
            let what = format!("{} of {}", drag.item.title(), names.join(" and "));
            (what, "the row to receive it")
        }
        DragItem::Gpu { .. } => (drag.item.title(), "the row to receive it"),
        DragItem::Placed { .. } => (drag.item.title(), "a GPU, or CPU"),
        token @ (DragItem::Cores { .. } | DragItem::Instances { .. }) => {
            let donor = token.donor();
            (format!("{} of {}", token.title(), owner_name(&donor)), "the row to receive it")
        }
    };
    match (&drag.receiver, &drag.outcome) {
        (Some(_), Some(Ok(plan))) => {
            let style = if plan.warnings.is_empty() { theme.good } else { theme.warn };
            (describe_plan(plan), style)
        }
        (Some(_), Some(Err(refusal))) => (format!("not possible: {refusal}"), theme.bad),
        (Some(to), None) => {
            (format!("{what} {} {}", state.glyphs.arrow, owner_name(to)), theme.text)
        }
        (None, _) => {
            let how = match drag.input {
                DragInput::ButtonHeld { .. } => format!("drop it on {receiver}"),
                DragInput::Clicked => format!("click {receiver}"),
                DragInput::Keyboard => {
                    "arrows or digits choose a row, enter drops it there".to_owned()
                }
            };
            let back = state.keymap.shown(Command::Cancel);
            let share = state.keymap.shown(Command::Share);
            let shared = if drag.shares() { " (shared)" } else { "" };
            let text = format!(
                "{what}{shared}: {how}; {back} cancels, {share} shares instead of moving, + and - change how many"
            );
            (text, theme.text)
        }
    }
}

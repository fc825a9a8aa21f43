//! The hint: the line above the keys. It shows the plan of a drag, the last message, the first alert
//! or the next thing to try.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::owner_name::owner_name;
use crate::console::format;
use crate::console::state::{
    Command, ConsoleState, Dialog, Drag, DragInput, DragItem, Screen, Target, Tone,
};
use crate::console::view::canvas::{Canvas, StyledText, row, wrap};
use crate::console::view::plan_text::describe_plan;
use crate::console::view::text_field::draw_text_field;
use crate::layout::cores_phrase;
use crate::telemetry::Alert;

/// The hint on the lines that it needs.
pub(in crate::console::view) struct Hint {
    lines: Vec<String>,
    style: Style,
    /// Effect of a click on the hint.
    target: Option<Target>,
}

impl Hint {
    /// Returns the hint for a terminal of this width. A plan or a message takes up to `most` lines, any
    /// other hint one.
    pub(in crate::console::view) fn of(state: &ConsoleState, width: u16, most: u16) -> Self {
        let room = usize::from(width).saturating_sub(1);
        let HintText { text, style, target } = hint(state, width);
        let important = state.drag.is_some()
            || state.message.is_some()
            || state.staged_plan.is_some()
            || state.connection_loss().is_some();
        let filter = matches!(state.dialog, Some(Dialog::Filter { .. }));
        let most = if important && !filter { usize::from(most.max(1)) } else { 1 };
        let mut lines = if most > 1 { wrap(&text, room) } else { vec![text] };
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                last.push(' ');
                last.push_str(state.glyphs.ellipsis);
            }
        }
        Self { lines, style, target }
    }

    /// Returns the number of lines, at least one.
    pub(in crate::console::view) fn height(&self) -> u16 {
        u16::try_from(self.lines.len()).unwrap_or(u16::MAX).max(1)
    }
}

/// Draws the hint. Lines above the last one cover other panes.
pub(in crate::console::view) fn draw(canvas: &mut Canvas, area: Rect, hint: &Hint) {
    let state = canvas.state;
    if let (Some(Dialog::Filter { editor }), Some(mut pen)) = (&state.dialog, row(area, 0)) {
        pen.x += 1;
        canvas.put(&mut pen, "filter: ", state.theme.accent);
        return draw_text_field(canvas, pen, editor);
    }
    if area.height > 1 {
        canvas.clear(area);
        // during a drag, the covered rows remain targets, so that the receiver stays the same
        if state.drag.is_none() {
            canvas.hit(area, Target::Nothing);
        }
    }
    if let Some(target) = &hint.target {
        canvas.hit(area, target.clone());
    }
    for (index, line) in hint.lines.iter().enumerate() {
        if let Some(mut pen) = row(area, index) {
            pen.x += 1;
            canvas.put_fit(&mut pen, line, hint.style);
        }
    }
}

/// The text of a hint.
struct HintText {
    text: String,
    style: Style,
    target: Option<Target>,
}

impl HintText {
    /// A hint that a click on it does nothing with.
    fn plain(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style, target: None }
    }
}

/// Returns the most important hint right now.
fn hint(state: &ConsoleState, width: u16) -> HintText {
    let theme = &state.theme;
    if let Some(drag) = &state.drag {
        let (text, style) = drag_hint(state, drag);
        return HintText::plain(text, style);
    }
    if let Some(message) = &state.message {
        let style = match message.tone {
            Tone::Info => theme.text,
            Tone::Good => theme.good,
            Tone::Bad => theme.bad,
        };
        return HintText::plain(&message.text, style);
    }
    if let Some(loss) = state.connection_loss() {
        return HintText::plain(loss, theme.bad);
    }
    if !state.picked.is_empty() {
        let keys = (state.keymap.shown(Command::Lift), state.keymap.shown(Command::Cancel));
        let text = format!(
            "{} selected: {} lifts them, a drag moves them all, {} clears the selection",
            cores_phrase(&state.picked),
            keys.0,
            keys.1
        );
        return HintText::plain(text, theme.text);
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
        return HintText::plain(text, theme.warn);
    }
    // the alerts screen shows them whole
    if let (Some(alert), false) = (state.snapshot.alerts.first(), state.screen == Screen::Alerts) {
        return HintText {
            text: alert_hint(state, width, alert),
            style: theme.warn,
            target: Some(Target::Command(Command::Alerts)),
        };
    }
    if state.readonly {
        return HintText::plain("Read-only: nothing can be changed.", theme.dim);
    }
    HintText::plain(next_step(state, width), theme.dim)
}

/// Returns the first alert, and the key that lists all if there are more or it does not fit.
fn alert_hint(state: &ConsoleState, width: u16, alert: &Alert) -> String {
    let more = state.snapshot.alerts.len() - 1;
    let key = state.keymap.shown(Command::Alerts);
    let room = usize::from(width).saturating_sub(1);
    let list = match more {
        0 if format::width(&alert.text) <= room => String::new(),
        0 if width < 60 => format!(" {key}"),
        0 => format!("   ({key} shows all of it)"),
        more if width < 60 => format!(" +{more} {key}"),
        more => format!("   ({key} lists {more} more)"),
    };
    let room = room.saturating_sub(format::width(&list));
    let text = format::fit(&alert.text, room, state.glyphs.ellipsis);
    format!("{text}{list}")
}

/// Returns what to try next, as much as fits on the line.
fn next_step(state: &ConsoleState, width: u16) -> String {
    let lift = state.keymap.shown(Command::Lift);
    let (core, pip) = (state.glyphs.core, state.glyphs.idle);
    let forms = match (state.screen, state.mouse) {
        (Screen::Board, true) => vec![
            format!(
                "Drag a {core} onto another row to move a core, a {pip} to move an instance. By keys: {lift} lifts a core, arrows choose a row, enter drops it."
            ),
            format!(
                "Drag a {core} onto another row to move a core, a {pip} to move an instance. By keys: {lift}, arrows, enter."
            ),
            format!(
                "Drag a {core} onto another row to move a core, or press {lift}, arrows, enter."
            ),
            format!("Drag a {core} onto another row."),
        ],
        (Screen::Board, false) => vec![
            format!(
                "{lift} lifts a core of the selected row, arrows choose the row to receive it, enter drops it."
            ),
            format!("{lift} lifts a core, arrows choose a row, enter drops it."),
            format!("{lift}, arrows, enter: move a core."),
        ],
        (Screen::Layouts, _) => vec![
            "On the right: the changes that applying the selected layout would make.".to_owned(),
            "Right: changes if applied.".to_owned(),
        ],
        _ => Vec::new(),
    };
    let fits = |form: &&String| format::width(form) < usize::from(width);
    forms.iter().find(fits).or(forms.last()).cloned().unwrap_or_default()
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
        item @ (DragItem::Cores { .. } | DragItem::Instances { .. }) => {
            let donor = item.donor();
            (format!("{} of {}", item.title(), owner_name(&donor)), "the row to receive it")
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

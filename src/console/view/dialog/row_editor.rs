//! The row editor, which shows and sets the keys of a row, and the field for the path of a model to add.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::dialog_box::DialogBox;
use crate::console::format;
use crate::console::state::{ConsoleState, InputPrompt, Mode, RowEditor, Target, Tone};
use crate::console::view::canvas::{Canvas, Pen, hidden_rows, row, wrap};
use crate::console::view::plan_text::describe_plan;
use crate::console::view::text_field::draw_text_field;
use crate::layout::RowKey;

/// Rows below the list: a gap, the text field, and its explanation.
const FOOT: u16 = 5;

/// Draws the keys of a row, and below them the selected key's help or the field for its new value.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, editor: &RowEditor) {
    let state = canvas.state;
    let theme = &state.theme;
    let keys = state.row_keys(&editor.model);
    let staged = if state.mode == Mode::Staged { ", staged" } else { "" };
    let title = format!("{}: keys of its row{staged}", editor.model);
    let note = if editor.prompt.is_some() {
        "enter sets the value, esc cancels"
    } else if state.readonly {
        "esc closes"
    } else {
        "enter edits, esc closes"
    };
    let height = keys.len() as u16 + FOOT + 2;
    let inside = DialogBox { width: 100, height, title: &title, note }.draw(canvas, area);
    if keys.is_empty() {
        let text = format!(
            "{} was removed, or it has a value that a layout file cannot hold.",
            editor.model
        );
        return canvas.note(inside, &text, theme.dim);
    }
    let visible = inside.height.saturating_sub(FOOT).max(1) as usize;
    let first = (editor.at + 1).saturating_sub(visible);
    for (index, key) in keys.iter().enumerate().skip(first).take(visible) {
        let Some(mut pen) = row(inside, index - first) else {
            break;
        };
        let line = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 1 };
        let chosen = index == editor.at;
        canvas.put(&mut pen, if chosen { state.glyphs.pointer } else { " " }, theme.accent);
        pen.x = line.x + 2;
        draw_value(canvas, pen, key);
        if chosen {
            canvas.tint(line, theme.field);
        }
        canvas.hit(line, Target::Item(index));
    }
    let height = inside.height.min(FOOT - 1);
    let foot = Rect { y: inside.bottom() - height, height, ..inside };
    // in the gap below the list, so that it covers no value
    let hidden = hidden_rows(first, keys.len().saturating_sub(first + visible));
    let gap = row(inside, visible).filter(|pen| pen.y < foot.y);
    if let (Some(hidden), Some(mut pen)) = (hidden, gap) {
        canvas.put_end(&mut pen, &hidden, theme.title);
    }
    let Some(key) = keys.get(editor.at) else {
        return;
    };
    if let Some(prompt) = &editor.prompt {
        let help = format!("{} Leave it empty for the default.", key.help());
        field(canvas, foot, &format!("{} = ", key.name), prompt, &help);
    } else {
        let (text, style) = last_message(state).unwrap_or_else(|| (key.help(), theme.dim));
        draw_message(canvas, foot, &text, style);
    }
}

fn draw_value(canvas: &mut Canvas, mut pen: Pen, key: &RowKey) {
    let theme = &canvas.state.theme;
    canvas.put_left(&mut pen, key.name, 13, theme.title);
    let style = if key.default { theme.dim } else { theme.text };
    let text = key.value.as_deref().unwrap_or("-");
    // the mark goes first where the value leaves no room for both
    if key.default {
        let mark = "   default";
        let room = pen.room() as usize;
        let text = format::fit(text, room.saturating_sub(mark.len()), canvas.state.glyphs.ellipsis);
        canvas.put(&mut pen, &text, style);
        return canvas.put_fit(&mut pen, mark, theme.dim);
    }
    canvas.put_fit(&mut pen, text, style);
}

/// Draws the text field for the path of a model to add.
pub(super) fn draw_path(canvas: &mut Canvas, area: Rect, prompt: &InputPrompt) {
    let note = "enter adds, tab lists processes, esc cancels";
    let inside =
        DialogBox { width: 100, height: FOOT + 1, title: "Add a row", note }.draw(canvas, area);
    let help = "The path of an ONNX file, relative to the current folder. The model starts with one \
                core and a light synthetic load; edit its row to change them. Tab lists the processes \
                that run, to add one of them.";
    field(canvas, inside, "path: ", prompt, help);
}

/// Draws a text field and, below it, the plan of its text, the reason why it is refused, or help.
fn field(canvas: &mut Canvas, area: Rect, label: &str, prompt: &InputPrompt, help: &str) {
    let theme = &canvas.state.theme;
    if let Some(mut pen) = row(area, 0) {
        canvas.put(&mut pen, label, theme.accent);
        draw_text_field(canvas, pen, &prompt.editor);
    }
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if let Some(excess) = prompt.editor.excess() {
        return draw_message(canvas, below, &excess, theme.bad);
    }
    match &prompt.answer {
        None => draw_message(canvas, below, help, theme.dim),
        Some(Err(reason)) => draw_message(canvas, below, reason, theme.bad),
        Some(Ok(None)) => {
            draw_message(canvas, below, "no change: the value is the same", theme.dim);
        }
        Some(Ok(Some(meant))) => {
            let style = if meant.plan.warnings.is_empty() { theme.good } else { theme.warn };
            let text = describe_plan(&meant.plan);
            draw_message(canvas, below, &text, style);
        }
    }
}

/// Returns the last message in the colour of its tone.
pub(super) fn last_message(state: &ConsoleState) -> Option<(String, Style)> {
    let message = state.message.as_ref()?;
    let style = match message.tone {
        Tone::Info => state.theme.text,
        Tone::Good => state.theme.good,
        Tone::Bad => state.theme.bad,
    };
    Some((message.text.clone(), style))
}

/// Writes a message on as many rows as there are, with an ellipsis if it does not fit.
pub(super) fn draw_message(canvas: &mut Canvas, area: Rect, text: &str, style: Style) {
    let lines = wrap(text, area.width as usize);
    let height = area.height as usize;
    for (index, line) in lines.iter().take(height).enumerate() {
        let more = index + 1 == height && lines.len() > height;
        let line =
            if more { format!("{line} {}", canvas.state.glyphs.ellipsis) } else { line.clone() };
        if let Some(mut pen) = row(area, index) {
            canvas.put_fit(&mut pen, &line, style);
        }
    }
}

//! The dialogs that take a new value: the keys of a row, and the path of a model to add.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Pen, row, wrap};
use super::dialogs::{open, text_field};
use crate::console::format;
use crate::console::state::{ConsoleState, Mode, Prompt, RowEditor, Target, Tone};
use crate::layout::RowKey;

/// Lines below the list: a gap, the field, and what it means.
const FOOT: u16 = 5;

/// Draws the keys of a row, the chosen one with its help or with the field for its new value.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, editor: &RowEditor) {
    let state = canvas.state;
    let theme = &state.theme;
    let keys = state.row_keys(&editor.model);
    let staged = if state.mode == Mode::Staged { ", staged" } else { "" };
    let title = format!("{}: as a layout file writes it{staged}", editor.model);
    let note = if editor.prompt.is_some() {
        "enter sets it, esc leaves it"
    } else {
        "enter edits, esc closes"
    };
    let inside = open(canvas, area, 100, keys.len() as u16 + FOOT + 2, &title, note);
    if keys.is_empty() {
        let text = format!("{} is gone, or holds what no layout file can hold.", editor.model);
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
        value(canvas, pen, key);
        if chosen {
            canvas.tint(line, theme.field);
        }
        let more = keys.len() - index - 1;
        if index + 1 == first + visible && more > 0 {
            let mut end = Pen { x: line.x, y: line.y, end: line.right() };
            canvas.put_end(&mut end, &format!(" {more} more below "), theme.ghost);
        }
        canvas.hit(line, Target::Item(index));
    }
    let height = inside.height.min(FOOT - 1);
    let foot = Rect { y: inside.bottom() - height, height, ..inside };
    let Some(key) = keys.get(editor.at) else {
        return;
    };
    if let Some(prompt) = &editor.prompt {
        let help = format!("{} Empty: the default.", key.help());
        field(canvas, foot, &format!("{} = ", key.name), prompt, &help);
    } else {
        let (text, style) = last_word(state).unwrap_or_else(|| (key.help(), theme.dim));
        sentence(canvas, foot, &text, style);
    }
}

fn value(canvas: &mut Canvas, mut pen: Pen, key: &RowKey) {
    let theme = &canvas.state.theme;
    canvas.put_left(&mut pen, key.name, 13, theme.title);
    let style = if key.default { theme.dim } else { theme.text };
    let text = key.value.as_deref().unwrap_or("-");
    // what it is comes before that it is the default
    if key.default {
        let mark = "   default";
        let room = pen.room() as usize;
        let text = format::fit(text, room.saturating_sub(mark.len()), canvas.state.glyphs.ellipsis);
        canvas.put(&mut pen, &text, style);
        return canvas.put_fit(&mut pen, mark, theme.dim);
    }
    canvas.put_fit(&mut pen, text, style);
}

/// Draws the field for the path of a model.
pub(super) fn draw_path(canvas: &mut Canvas, area: Rect, prompt: &Prompt) {
    let note = "enter adds it, esc leaves";
    let inside = open(canvas, area, 100, FOOT + 1, "Add a model", note);
    let help = "The path of an ONNX file, from the current folder on. It gets one core and one \
                gentle caller; its row can be edited then.";
    field(canvas, inside, "path: ", prompt, help);
}

/// A text field and, below it, what its text would do, what is wrong with it, or what to type.
fn field(canvas: &mut Canvas, area: Rect, label: &str, prompt: &Prompt, help: &str) {
    let theme = &canvas.state.theme;
    if let Some(mut pen) = row(area, 0) {
        canvas.put(&mut pen, label, theme.accent);
        text_field(canvas, pen, &prompt.editor);
    }
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if let Some(excess) = prompt.editor.excess() {
        return sentence(canvas, below, &excess, theme.bad);
    }
    match &prompt.answer {
        None => sentence(canvas, below, help, theme.dim),
        Some(Err(reason)) => sentence(canvas, below, reason, theme.bad),
        Some(Ok(None)) => sentence(canvas, below, "as it is: nothing would change", theme.dim),
        Some(Ok(Some(meant))) => {
            let style = if meant.plan.warnings.is_empty() { theme.good } else { theme.warn };
            let text = super::footer::in_words(&meant.plan);
            sentence(canvas, below, &text, style);
        }
    }
}

/// What came of the last value.
fn last_word(state: &ConsoleState) -> Option<(String, Style)> {
    let message = state.message.as_ref()?;
    let style = match message.tone {
        Tone::Info => state.theme.text,
        Tone::Good => state.theme.good,
        Tone::Bad => state.theme.bad,
    };
    Some((message.text.clone(), style))
}

/// A sentence over as many lines as there are; what does not fit is cut with a sign.
fn sentence(canvas: &mut Canvas, area: Rect, text: &str, style: Style) {
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

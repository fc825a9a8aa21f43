//! What lies over the screen: help, palette, text fields, questions.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::canvas::{Canvas, Pen, row, wrap};
use crate::console::format;
use crate::console::state::{Command, ConsoleState, Dialog, Editor, Target, matching};

/// Columns of a box with a question or a text field.
const FIELD: u16 = 60;

/// Columns between two answers.
const APART: usize = 3;

/// Draws the open dialog, if any.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let Some(dialog) = &state.dialog else {
        return;
    };
    match dialog {
        Dialog::Filter { .. } => {}
        Dialog::Help { scroll } => help(canvas, area, *scroll),
        Dialog::Palette { editor, at } => palette(canvas, area, editor, *at),
        Dialog::SaveAs { editor } => {
            field(canvas, area, "Save the live layout as", editor, "enter saves, esc leaves");
        }
        Dialog::Row(editor) => super::row_editor::draw(canvas, area, editor),
        Dialog::Add(prompt) => super::row_editor::draw_path(canvas, area, prompt),
        Dialog::Rename { from, editor } => {
            let title = format!("Rename {from} to");
            field(canvas, area, &title, editor, "enter renames, esc leaves");
        }
        Dialog::Confirm { question, .. } => {
            ask(canvas, area, question, &[("y", "yes"), ("n", "no")]);
        }
        Dialog::Quit => {
            let staged = state.staged.len();
            let text = match staged {
                0 if state.profile.is_none() => "What is in force is saved nowhere.".to_owned(),
                0 => format!("The layout {} was modified and not saved.", state.profile_name()),
                1 => "1 staged change was not applied.".to_owned(),
                _ => format!("{staged} staged changes were not applied."),
            };
            ask(canvas, area, &text, &state.ways_out().map(|(key, answer, _)| (key, answer)));
        }
    }
}

/// An empty framed box in the middle of the screen; answers its inside.
pub(super) fn open(
    canvas: &mut Canvas,
    area: Rect,
    width: u16,
    height: u16,
    title: &str,
    note: &str,
) -> Rect {
    let width = width.min(area.width.saturating_sub(2));
    let height = height.min(area.height.saturating_sub(2));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    canvas.clear(place);
    canvas.hit(area, Target::Nothing);
    canvas.frame(place, true, None, title, note)
}

/// Text that is being typed, with its cursor; the end is kept in view.
pub(super) fn text_field(canvas: &mut Canvas, mut pen: Pen, editor: &Editor) {
    let theme = &canvas.state.theme;
    let room = pen.room() as usize;
    let mut before = editor.before();
    // no more than could be in view is measured, each time anew
    if let Some((start, _)) = before.char_indices().rev().nth(room.saturating_mul(4)) {
        before = before.get(start..).unwrap_or_default();
    }
    while format::width(before) + 1 > room && !before.is_empty() {
        let mut letters = before.chars();
        letters.next();
        before = letters.as_str();
    }
    canvas.put(&mut pen, before, theme.text);
    let mut rest = editor.after().chars();
    let under = rest.next().unwrap_or(' ');
    let cursor = theme.text.add_modifier(Modifier::REVERSED);
    canvas.put(&mut pen, under.encode_utf8(&mut [0; 4]), cursor);
    canvas.put(&mut pen, rest.as_str(), theme.text);
}

/// Columns inside a box that is to be `width` wide, as [`open`] makes it.
fn room(area: Rect, width: u16) -> usize {
    width.min(area.width.saturating_sub(2)).saturating_sub(4).into()
}

fn field(canvas: &mut Canvas, area: Rect, title: &str, editor: &Editor, note: &str) {
    // a name that was refused stays on screen with the reason
    let excess = editor.excess();
    let message = canvas.state.message.as_ref().map(|message| message.text.as_str());
    let message = excess.as_deref().or(message);
    let lines = wrap(message.unwrap_or(note), room(area, FIELD));
    let inside = open(canvas, area, FIELD, lines.len() as u16 + 4, title, "");
    if let Some(pen) = row(inside, 0) {
        text_field(canvas, pen, editor);
    }
    let style = if message.is_some() { canvas.state.theme.bad } else { canvas.state.theme.dim };
    let below = Rect { y: inside.y + 2, height: inside.height.saturating_sub(2), ..inside };
    for (index, line) in lines.iter().enumerate() {
        if let Some(mut pen) = row(below, index) {
            canvas.put_fit(&mut pen, line, style);
        }
    }
}

/// A question, and its answers on as many lines as they need.
fn ask(canvas: &mut Canvas, area: Rect, question: &str, answers: &[(&str, &str)]) {
    let width = room(area, FIELD);
    let question = wrap(question, width);
    let mut lines: Vec<Vec<(&str, &str)>> = Vec::new();
    let mut used = 0;
    for (key, answer) in answers {
        let size = format::width(key) + 1 + format::width(answer);
        match lines.last_mut() {
            Some(line) if used + APART + size <= width => {
                line.push((key, answer));
                used += APART + size;
            }
            _ => {
                lines.push(vec![(key, answer)]);
                used = size;
            }
        }
    }
    let height = question.len() + 1 + lines.len() + 2;
    let inside = open(canvas, area, FIELD, height as u16, "Question", "");
    let theme = &canvas.state.theme;
    // the answers are there however long the question is
    let shown = (inside.height as usize).saturating_sub(lines.len() + 1);
    for (index, line) in question.iter().take(shown).enumerate() {
        if let Some(mut pen) = row(inside, index) {
            canvas.put_fit(&mut pen, line, theme.text);
        }
    }
    for (index, line) in lines.iter().enumerate() {
        let Some(mut pen) = row(inside, question.len().min(shown) + 1 + index) else {
            break;
        };
        for (key, answer) in line {
            let start = pen.x;
            canvas.put(&mut pen, key, theme.accent);
            canvas.put(&mut pen, &format!(" {answer}"), theme.text);
            let place = Rect { x: start, y: pen.y, width: pen.x - start, height: 1 };
            if let Some(code) = code(key) {
                canvas.hit(place, Target::Press(code));
            }
            pen.x += APART as u16;
        }
    }
}

/// The key that a word in a dialog's answers stands for.
pub(super) fn code(word: &str) -> Option<KeyCode> {
    let mut letters = word.chars();
    match (word, letters.next(), letters.next()) {
        ("enter", ..) => Some(KeyCode::Enter),
        ("esc", ..) => Some(KeyCode::Esc),
        (_, Some(letter), None) => Some(KeyCode::Char(letter)),
        _ => None,
    }
}

/// What the gestures are, for people who have not read anything.
const GESTURES: [(&str, &str); 9] = [
    ("drag a core", "from a row or from the cores pane onto another row, or onto free"),
    ("drag an instance", "a pip of \"busy\", from one row onto another row"),
    ("click, then click", "does the same as a drag"),
    ("wheel", "over a field: one step; while dragging: one more or one fewer"),
    ("ctrl or alt", "held while dropping: share the core instead of moving it"),
    (
        "shift and arrows",
        "in the cores pane: a range of cores, lifted together; or shift and click",
    ),
    ("ctrl and click", "a core more, or one fewer, to lift or drag together"),
    ("digits", "jump to a row; 0 is the row of free cores"),
    ("title of a pane", "click it: the pane on the whole screen, and back"),
];

/// The lines of the help page, from the keymap itself.
fn help_lines(state: &ConsoleState) -> Vec<(String, String)> {
    let gestures = GESTURES.iter().map(|(what, text)| ((*what).to_owned(), (*text).to_owned()));
    let keys = Command::ALL.iter().map(|command| {
        let keys: Vec<String> = state.keymap.keys(*command).map(|key| key.to_string()).collect();
        (keys.join(" "), command.to_string())
    });
    let gap = std::iter::once((String::new(), String::new()));
    gestures.chain(gap).chain(keys).collect()
}

fn help(canvas: &mut Canvas, area: Rect, scroll: usize) {
    let state = canvas.state;
    let theme = &state.theme;
    let size = if area.width < 60 { 11 } else { 18 };
    let room = (area.width.min(100) as usize).saturating_sub(size + 6);
    let mut lines: Vec<(String, String)> = Vec::new();
    for (key, text) in help_lines(state) {
        let parts = wrap(&text, room);
        let first = parts.first().cloned().unwrap_or_default();
        lines.push((key, first));
        lines.extend(parts.into_iter().skip(1).map(|part| (String::new(), part)));
    }
    let wanted = lines.len() as u16 + 2;
    let inside = open(canvas, area, 100, wanted, "Help", "arrows scroll, any other key closes");
    let most = lines.len().saturating_sub(inside.height as usize);
    for (index, (key, text)) in lines.iter().skip(scroll.min(most)).enumerate() {
        if let Some(mut pen) = row(inside, index) {
            canvas.put_left(&mut pen, key, size, theme.accent);
            canvas.put_fit(&mut pen, text, theme.text);
        }
    }
}

fn palette(canvas: &mut Canvas, area: Rect, editor: &Editor, at: usize) {
    let state = canvas.state;
    let theme = &state.theme;
    let inside = open(canvas, area, 90, 16, "Command", "type to search, enter runs it");
    if let Some(mut pen) = row(inside, 0) {
        canvas.put(&mut pen, ": ", theme.accent);
        text_field(canvas, pen, editor);
    }
    let found = matching(&editor.text());
    // the same for all of them, so that nothing moves while one types
    let widest = |of: &dyn Fn(&Command) -> String| {
        Command::ALL.iter().map(|one| format::width(&of(one))).max().unwrap_or(0) + 1
    };
    let names = widest(&|command| command.name().to_owned());
    let keys = widest(&|command| state.keymap.shown(*command));
    let visible = inside.height.saturating_sub(2) as usize;
    let first = (at + 1).saturating_sub(visible);
    for (index, command) in found.iter().enumerate().skip(first) {
        let Some(mut pen) = row(inside, index - first + 2) else {
            break;
        };
        let line = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 1 };
        canvas.put_left(&mut pen, command.name(), names, theme.title);
        canvas.put_left(&mut pen, &state.keymap.shown(*command), keys, theme.accent);
        canvas.put_fit(&mut pen, command.help(), theme.dim);
        if index == at {
            canvas.tint(line, theme.field);
        }
        canvas.hit(line, Target::Item(index));
    }
    if found.is_empty()
        && let Some(mut pen) = row(inside, 2)
    {
        canvas.put(&mut pen, "no command has these words", theme.dim);
    }
}

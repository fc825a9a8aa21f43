//! Dialogs that ask for a name or for an answer.

use ratatui::layout::Rect;

use super::dialog_box::{DialogBox, columns_inside};
use crate::console::format;
use crate::console::state::{Target, TextField};
use crate::console::view::answer_keys::key_code;
use crate::console::view::canvas::{Canvas, row, wrap};
use crate::console::view::text_field::draw_text_field;

/// Columns of the box.
const WIDTH: u16 = 60;

/// Columns between two answers.
const GAP: usize = 3;

/// Draws a text field for a name. `labels` are the title of its box and the note below the field.
pub(super) fn draw_name(
    canvas: &mut Canvas,
    area: Rect,
    editor: &TextField,
    (title, note): (&str, &str),
) {
    // a refused name stays on the screen, with the reason below it
    let excess = editor.excess();
    let message = canvas.state.message.as_ref().map(|message| message.text.as_str());
    let message = excess.as_deref().or(message);
    let lines = wrap(message.unwrap_or(note), columns_inside(area, WIDTH));
    let inside = DialogBox { width: WIDTH, height: lines.len() as u16 + 4, title, note: "" }
        .draw(canvas, area);
    if let Some(pen) = row(inside, 0) {
        draw_text_field(canvas, pen, editor);
    }
    let style = if message.is_some() { canvas.state.theme.bad } else { canvas.state.theme.dim };
    let below = Rect { y: inside.y + 2, height: inside.height.saturating_sub(2), ..inside };
    for (index, line) in lines.iter().enumerate() {
        if let Some(mut pen) = row(below, index) {
            canvas.put_fit(&mut pen, line, style);
        }
    }
}

/// Draws a question with its answers, each a key and what it does.
pub(super) fn draw_question(
    canvas: &mut Canvas,
    area: Rect,
    question: &str,
    answers: &[(&str, &str)],
) {
    let width = columns_inside(area, WIDTH);
    let question = wrap(question, width);
    let lines = answer_lines(answers, width);
    let height = question.len() + 1 + lines.len() + 2;
    let question_box =
        DialogBox { width: WIDTH, height: height as u16, title: "Question", note: "esc cancels" };
    let inside = question_box.draw(canvas, area);
    let theme = &canvas.state.theme;
    // the answers keep their lines, however long the question is
    let shown = (inside.height as usize).saturating_sub(lines.len() + 1);
    for (index, line) in question.iter().take(shown).enumerate() {
        if let Some(mut pen) = row(inside, index) {
            canvas.put_fit(&mut pen, line, theme.text);
        }
    }
    let skipped = question.len().min(shown) as u16 + 1;
    let height = inside.height.saturating_sub(skipped);
    draw_answers(canvas, Rect { y: inside.y + skipped, height, ..inside }, &lines);
}

/// A line of answers, each a key and its effect.
pub(super) type AnswerLine<'t> = Vec<(&'t str, &'t str)>;

/// Divides answers among lines of at most `width` columns.
pub(super) fn answer_lines<'t>(
    answers: &[(&'t str, &'t str)],
    width: usize,
) -> Vec<AnswerLine<'t>> {
    let mut lines: Vec<AnswerLine<'t>> = Vec::new();
    let mut used = 0;
    for (key, answer) in answers {
        let size = format::width(key) + 1 + format::width(answer);
        match lines.last_mut() {
            Some(line) if used + GAP + size <= width => {
                line.push((key, answer));
                used += GAP + size;
            }
            _ => {
                lines.push(vec![(key, answer)]);
                used = size;
            }
        }
    }
    lines
}

/// Draws lines of answers. A click on an answer presses its key.
pub(super) fn draw_answers(canvas: &mut Canvas, area: Rect, lines: &[AnswerLine<'_>]) {
    let theme = &canvas.state.theme;
    for (index, line) in lines.iter().enumerate() {
        let Some(mut pen) = row(area, index) else {
            break;
        };
        for (key, answer) in line {
            let start = pen.x;
            canvas.put(&mut pen, key, theme.accent);
            canvas.put(&mut pen, &format!(" {answer}"), theme.text);
            let place = Rect { x: start, y: pen.y, width: pen.x - start, height: 1 };
            if let Some(code) = key_code(key) {
                canvas.hit(place, Target::Press(code));
            }
            pen.x += GAP as u16;
        }
    }
}

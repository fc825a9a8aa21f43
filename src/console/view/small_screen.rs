//! The frame of a terminal that is too small for the console: a message, the help page or the question
//! before quitting, without boxes.

use ratatui::layout::Rect;

use super::answer_keys::key_code;
use super::canvas::{Canvas, Pen, wrap};
use super::dialog::{help_lines, quit_question};
use super::frame::MIN_SIZE;
use crate::console::format;
use crate::console::state::{Command, Dialog, Target};

/// Draws the frame.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    canvas.set_too_small();
    match &canvas.state.dialog {
        Some(Dialog::Help { scroll }) => draw_help(canvas, area, *scroll),
        Some(Dialog::Quit) => draw_quit(canvas, area),
        _ => draw_message(canvas, area),
    }
}

fn draw_message(canvas: &mut Canvas, area: Rect) {
    let (width, height) = MIN_SIZE;
    let keymap = &canvas.state.keymap;
    let text = format!(
        "divvy needs {width}x{height}; this terminal is {}x{}. The models keep running. {} help, {} quit",
        area.width,
        area.height,
        keymap.shown(Command::Help),
        keymap.shown(Command::Quit)
    );
    draw_lines(canvas, area, &wrap(&text, area.width as usize));
}

fn draw_help(canvas: &mut Canvas, area: Rect, scroll: usize) {
    let lines: Vec<String> = help_lines(canvas.state)
        .iter()
        .flat_map(|(keys, text)| wrap(&format!("{keys}  {text}"), area.width as usize))
        .collect();
    let most = lines.len().saturating_sub(area.height as usize);
    canvas.set_dialog_limit(most);
    draw_lines(canvas, area, lines.get(scroll.min(most)..).unwrap_or_default());
}

/// Draws the answers, and above them as much of the question as there is room for.
fn draw_quit(canvas: &mut Canvas, area: Rect) {
    let answers = canvas.state.ways_out();
    let question = wrap(&quit_question(canvas.state), area.width as usize);
    let room = (area.height as usize).saturating_sub(answers.len());
    let shown = question.get(..question.len().min(room)).unwrap_or_default();
    draw_lines(canvas, area, shown);
    let theme = &canvas.state.theme;
    for (y, (key, answer, short)) in (area.y + shown.len() as u16..area.bottom()).zip(answers) {
        let mut pen = Pen { x: area.x, y, end: area.right() };
        canvas.put(&mut pen, key, theme.accent);
        let fits = format::width(answer) < pen.room() as usize;
        let answer = if fits { answer } else { short };
        canvas.put_fit(&mut pen, &format!(" {answer}"), theme.text);
        if let Some(code) = key_code(key) {
            canvas.hit(Rect { y, height: 1, ..area }, Target::Press(code));
        }
    }
}

fn draw_lines(canvas: &mut Canvas, area: Rect, lines: &[String]) {
    let style = canvas.state.theme.text;
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        canvas.put_fit(&mut Pen { x: area.x, y, end: area.right() }, line, style);
    }
}

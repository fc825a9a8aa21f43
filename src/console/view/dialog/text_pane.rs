//! A dialog with text of several lines, which the arrows scroll, and answers below it.

use ratatui::layout::Rect;

use super::dialog_box::{DialogBox, columns_inside};
use super::question::{answer_lines, draw_answers};
use crate::console::view::canvas::{Canvas, StyledLine};

/// Columns of the box.
const WIDTH: u16 = 100;

/// The contents of the dialog.
pub(super) struct TextPane<'t> {
    /// The title.
    pub(super) title: &'t str,
    /// The lines, at most [`text_columns`] wide.
    pub(super) lines: &'t [StyledLine],
    /// The first shown line.
    pub(super) scroll: usize,
    /// The answers, each a key and its effect; may be empty.
    pub(super) answers: &'t [(&'static str, &'static str)],
}

/// Returns the columns of a line of text.
pub(super) fn text_columns(area: Rect) -> usize {
    columns_inside(area, WIDTH)
}

impl TextPane<'_> {
    /// Draws the dialog.
    pub(super) fn draw(self, canvas: &mut Canvas, area: Rect) {
        let Self { title, lines, scroll, answers } = self;
        let answers = answer_lines(answers, text_columns(area));
        let foot = if answers.is_empty() { 0 } else { answers.len() as u16 + 1 };
        let height = (lines.len() as u16).saturating_add(foot + 2);
        let note = "arrows scroll, esc closes";
        let inside = DialogBox { width: WIDTH, height, title, note }.draw(canvas, area);
        let text = Rect { height: inside.height.saturating_sub(foot), ..inside };
        let most = lines.len().saturating_sub(text.height as usize);
        canvas.set_dialog_limit(most);
        let first = scroll.min(most);
        canvas.put_from(text, lines, first);
        // the answers take some of the rows inside the border
        canvas.note_more_below(inside, lines.len() - first + foot.min(inside.height) as usize);
        let below = Rect { y: inside.bottom() - foot.min(inside.height), height: foot, ..inside };
        draw_answers(canvas, Rect { y: below.y + 1, ..below }, &answers);
    }
}

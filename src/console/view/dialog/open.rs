//! The open dialog: which one is drawn, and the words of the questions.

use ratatui::layout::Rect;

use super::question::{draw_name, draw_question};
use super::text_pane::{TextPane, text_columns};
use super::{comparison, help, palette, processes, row_editor};
use crate::console::state::{ConsoleState, Dialog};
use crate::console::view::canvas::{Canvas, StyledLine, wrap};

/// Draws the open dialog, if any.
pub(in crate::console::view) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let Some(dialog) = &state.dialog else {
        return;
    };
    match dialog {
        Dialog::Filter { .. } => {}
        Dialog::Help { scroll } => help::draw(canvas, area, *scroll),
        Dialog::Palette { editor, at } => palette::draw(canvas, area, editor, *at),
        Dialog::SaveAs { editor, .. } => {
            let labels = ("Save the live layout as", "enter saves, esc cancels");
            draw_name(canvas, area, editor, labels);
        }
        Dialog::Report { text, scroll } => draw_report(canvas, area, text, *scroll),
        Dialog::Comparison(dialog) => comparison::draw(canvas, area, dialog),
        Dialog::Row(editor) => row_editor::draw(canvas, area, editor),
        Dialog::Processes(picker) => processes::draw(canvas, area, picker),
        Dialog::Add(prompt) => row_editor::draw_path(canvas, area, prompt),
        Dialog::Rename { from, editor } => {
            let title = format!("Rename {from} to");
            draw_name(canvas, area, editor, (&title, "enter renames, esc cancels"));
        }
        Dialog::Confirm { question, .. } => {
            draw_question(canvas, area, question, &[("y", "yes"), ("n", "no")]);
        }
        Dialog::Quit => {
            let answers = state.ways_out().map(|(key, answer, _)| (key, answer));
            draw_question(canvas, area, &quit_question(state), &answers);
        }
    }
}

/// Returns the question before quitting.
pub(in crate::console::view) fn quit_question(state: &ConsoleState) -> String {
    let staged = state.staged.len();
    if let Some(run) = state.run_to_leave().filter(|_| staged == 0) {
        return format!("{} serves clients, and can go on without this console.", run.name);
    }
    match staged {
        0 if state.profile.is_none() => "The live layout is not saved.".to_owned(),
        0 => format!("The layout {} has unsaved changes.", state.profile_name()),
        1 => "1 staged change is not applied.".to_owned(),
        _ => format!("{staged} staged changes are not applied."),
    }
}

/// Draws an error of several lines.
fn draw_report(canvas: &mut Canvas, area: Rect, text: &str, scroll: usize) {
    let style = canvas.state.theme.bad;
    let lines = wrap(text, text_columns(area));
    let lines: Vec<StyledLine> = lines.into_iter().map(|line| vec![(line, style)]).collect();
    TextPane { title: "Message", lines: &lines, scroll, answers: &[] }.draw(canvas, area);
}

//! The palette: commands by name.

use ratatui::layout::Rect;

use super::dialog_box::DialogBox;
use crate::console::format;
use crate::console::state::{Command, Target, TextField, help_of, matching};
use crate::console::view::canvas::{Canvas, row};
use crate::console::view::text_field::draw_text_field;

/// Draws the palette with entry `at` selected.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, editor: &TextField, at: usize) {
    let state = canvas.state;
    let theme = &state.theme;
    let note = "type to search, enter runs the command";
    let inside = DialogBox { width: 90, height: 16, title: "Commands", note }.draw(canvas, area);
    if let Some(mut pen) = row(inside, 0) {
        canvas.put(&mut pen, ": ", theme.accent);
        draw_text_field(canvas, pen, editor);
    }
    let found = matching(state, &editor.text());
    // as wide as the widest of all commands, so that columns stay still while the user types
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
        canvas.put_fit(&mut pen, help_of(state, *command), theme.dim);
        if index == at {
            canvas.tint(line, theme.field);
        }
        canvas.hit(line, Target::Item(index));
    }
    if found.is_empty()
        && let Some(mut pen) = row(inside, 2)
    {
        canvas.put(&mut pen, "no command contains these words", theme.dim);
    }
}

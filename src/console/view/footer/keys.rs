//! The last line: the keys that work now, as many as fit.

use ratatui::layout::Rect;

use crate::console::format;
use crate::console::state::{Command, ConsoleState, Dialog, RowEditor, Screen, Target, offers};
use crate::console::view::answer_keys::key_code;
use crate::console::view::canvas::{Canvas, Pen, row};
use crate::console::view::dialog::comparison;

/// Returns the keys of a dialog, which no key binding changes, and what each does.
fn dialog_keys(dialog: &Dialog) -> &'static [(&'static str, &'static str)] {
    match dialog {
        Dialog::Help { .. } | Dialog::Report { .. } => {
            &[("up down", "scroll"), ("g G", "first, last"), ("esc", "close")]
        }
        Dialog::Palette { .. } => &[("enter", "run"), ("esc", "cancel")],
        Dialog::Filter { .. } => &[("enter", "keep"), ("esc", "show all")],
        Dialog::SaveAs { .. } => &[("enter", "save"), ("esc", "cancel")],
        Dialog::Rename { .. } => &[("enter", "rename"), ("esc", "cancel")],
        Dialog::Add(_) => &[("enter", "add"), ("tab", "processes"), ("esc", "cancel")],
        Dialog::Processes(_) => &[
            ("enter", "add"),
            ("f2", "only this pid"),
            ("tab", "model file"),
            ("up down", "choose"),
            ("esc", "close"),
        ],
        Dialog::Row(RowEditor { prompt: Some(_), .. }) => {
            &[("enter", "set"), ("esc", "cancel"), ("ctrl-u", "clear")]
        }
        Dialog::Row(_) => &[("enter", "edit"), ("up down", "choose"), ("esc", "close")],
        Dialog::Confirm { .. } => &[("y", "yes"), ("n", "no")],
        // they depend on the state: see `open_dialog_keys`
        Dialog::Quit | Dialog::Comparison(_) => &[],
    }
}

/// Draws the keys.
pub(in crate::console::view) fn draw(canvas: &mut Canvas, area: Rect) {
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    pen.x += 1;
    match &canvas.state.dialog {
        Some(dialog) => draw_dialog_keys(canvas, pen, dialog),
        None => draw_command_keys(canvas, pen),
    }
}

fn draw_dialog_keys(canvas: &mut Canvas, mut pen: Pen, dialog: &Dialog) {
    for (key, label) in &open_dialog_keys(canvas.state, dialog) {
        let place = draw_key(canvas, &mut pen, key, label);
        if let Some(code) = key_code(key) {
            canvas.hit(place, Target::Press(code));
        }
    }
}

/// Returns the keys of the open dialog.
fn open_dialog_keys(state: &ConsoleState, dialog: &Dialog) -> Vec<(&'static str, &'static str)> {
    match dialog {
        Dialog::Quit => state.ways_out().map(|(key, _, label)| (key, label)).to_vec(),
        Dialog::Comparison(dialog) => {
            let mut keys = comparison::answers(&dialog.comparison);
            keys.push(("esc", "cancel"));
            keys
        }
        Dialog::Row(_) | Dialog::Processes(_) if state.readonly => {
            vec![("up down", "choose"), ("esc", "close")]
        }
        _ => dialog_keys(dialog).to_vec(),
    }
}

/// Draws a key with its label and returns their place.
fn draw_key(canvas: &mut Canvas, pen: &mut Pen, key: &str, label: &str) -> Rect {
    let start = pen.x;
    let theme = &canvas.state.theme;
    canvas.put(pen, key, theme.accent);
    canvas.put(pen, &format!(" {label}"), theme.dim);
    let place = Rect { x: start, y: pen.y, width: pen.x - start, height: 1 };
    pen.x += 2;
    place
}

/// Columns that are kept free for the key that quits.
const QUIT_COLUMNS: usize = 8;

fn draw_command_keys(canvas: &mut Canvas, mut pen: Pen) {
    let state = canvas.state;
    let commands = commands(state).iter().chain(&[Command::Quit]);
    for command in commands.filter(|command| offers(state, **command)) {
        if *command == Command::PreviewDown && state.scroll_limits.preview == 0 {
            continue;
        }
        let label = label(state, *command);
        let key = state.keymap.shown(*command);
        let size = format::width(&key) + format::width(label) + 3;
        let last = *command == Command::Quit;
        let kept = if last { 0 } else { QUIT_COLUMNS };
        if size + kept > pen.room() as usize + usize::from(last) * 2 {
            continue;
        }
        let place = draw_key(canvas, &mut pen, &key, label);
        canvas.hit(place, Target::Command(*command));
    }
}

/// Returns the label of a command's key, which depends on what the command does now.
fn label(state: &ConsoleState, command: Command) -> &'static str {
    match (command, state.drag.is_some(), state.screen) {
        (Command::Cancel, true, _) => "cancel",
        (Command::Accept, true, _) => "drop",
        (Command::Cancel, _, Screen::Board) => "discard",
        (Command::Up, true, _) => "previous",
        (Command::Down, true, _) => "next",
        (Command::Down, _, Screen::Journal) => "older",
        (Command::Down | Command::PreviewDown, ..) => "scroll",
        (Command::Edit, ..) if state.readonly => "row keys",
        (Command::Quit, ..) if state.attached.is_some() => "detach",
        (Command::Accept, _, Screen::Layouts) => "apply",
        (Command::Accept, _, _) if !state.staged.is_empty() => "apply",
        _ => command.label(),
    }
}

/// Returns the commands that the line shows, the most useful first.
fn commands(state: &ConsoleState) -> &'static [Command] {
    match (state.drag.is_some(), state.screen) {
        (true, _) => &[
            Command::Accept,
            Command::Cancel,
            Command::Up,
            Command::Down,
            Command::Share,
            Command::More,
            Command::Less,
        ],
        (false, Screen::Board) if !state.staged.is_empty() => &[
            Command::Accept,
            Command::Cancel,
            Command::Undo,
            Command::Lift,
            Command::More,
            Command::Less,
            Command::Edit,
            Command::Staged,
            Command::Help,
        ],
        (false, Screen::Board) => &[
            Command::Help,
            Command::Lift,
            Command::More,
            Command::Less,
            Command::Undo,
            Command::Staged,
            Command::Save,
            Command::Edit,
            Command::Layouts,
            Command::Accept,
            Command::Pause,
            Command::Filter,
            Command::Palette,
            Command::Expand,
            Command::Machine,
            Command::Memory,
            Command::Connections,
            Command::Journal,
            Command::Log,
        ],
        (false, Screen::Layouts) => &[
            Command::Cancel,
            Command::Accept,
            Command::PreviewDown,
            Command::SaveAs,
            Command::Rename,
            Command::Delete,
            Command::Help,
        ],
        (false, Screen::Detail) => &[
            Command::Cancel,
            Command::Down,
            Command::Undo,
            Command::Edit,
            Command::Record,
            Command::Help,
        ],
        (false, Screen::Connections) => {
            &[Command::Cancel, Command::Down, Command::Sort, Command::Filter, Command::Help]
        }
        (false, Screen::Journal) => &[
            Command::Cancel,
            Command::UndoSelected,
            Command::Down,
            Command::PreviewDown,
            Command::Undo,
            Command::Help,
        ],
        (false, _) => &[Command::Cancel, Command::Down, Command::Undo, Command::Help],
    }
}

//! The last two lines: what just happened or would happen, and the keys; and what floats at the
//! pointer while something is carried.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{Canvas, Pen, row, wrap};
use crate::console::format;
use crate::console::state::gpus;
use crate::console::state::{
    Carry, Command, ConsoleState, Dialog, Means, RowEditor, Screen, Token, Tone,
};
use crate::layout::{CoreOwner, Plan};

/// The line above the keys.
pub(super) fn hint(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    pen.x += 1;
    if let Some(Dialog::Filter { editor }) = &state.dialog {
        canvas.put(&mut pen, "models with: ", state.theme.accent);
        return super::dialogs::text_field(canvas, pen, editor);
    }
    let (text, style) = sentence(state, area.width);
    // what is about to happen, and why not, must be readable: over the line above where it is long
    let lines = wrap(&text, pen.room() as usize);
    let mattering = state.carry.is_some() || state.message.is_some() || state.staged_plan.is_some();
    if let ([first, rest @ ..], true) = (lines.as_slice(), mattering && lines.len() > 1) {
        let above = Rect { y: area.y.saturating_sub(1), ..area };
        canvas.clear(above);
        let mut upper = Pen { y: above.y, ..pen };
        canvas.put_fit(&mut upper, first, style);
        return canvas.put_fit(&mut pen, &rest.join(" "), style);
    }
    canvas.put_fit(&mut pen, &text, style);
}

/// What matters most right now, in one sentence.
fn sentence(state: &ConsoleState, width: u16) -> (String, Style) {
    let theme = &state.theme;
    if let Some(carry) = &state.carry {
        return consequence(state, carry);
    }
    if let Some(message) = &state.message {
        let style = match message.tone {
            Tone::Info => theme.text,
            Tone::Good => theme.good,
            Tone::Bad => theme.bad,
        };
        return (message.text.clone(), style);
    }
    if !state.picked.is_empty() {
        let keys = (state.keymap.shown(Command::Lift), state.keymap.shown(Command::Cancel));
        let text = format!(
            "cores {}: {} lifts them, a drag of one moves all, {} lets go of them",
            state.picked, keys.0, keys.1
        );
        return (text, theme.text);
    }
    if let Some(plan) = &state.staged_plan {
        let keys = (state.keymap.shown(Command::Accept), state.keymap.shown(Command::Cancel));
        let text = format!(
            "{} staged: {}; {} applies it, {} drops it",
            state.staged.len(),
            in_words(plan),
            keys.0,
            keys.1
        );
        return (text, theme.warn);
    }
    if let Some(alert) = state.snapshot.alerts.first() {
        let more = state.snapshot.alerts.len() - 1;
        let more = match more {
            0 => String::new(),
            more if width < 60 => format!(" +{more}"),
            more => format!("   (and {more} more)"),
        };
        // who has not moved anything yet is told how, whatever is wrong
        let learns = state.snapshot.changes.is_empty() && !state.readonly && state.mouse;
        let how = match state.screen {
            Screen::Board if learns && width >= 60 => {
                format!("   Drag a {} onto another row.", state.glyphs.core)
            }
            _ => String::new(),
        };
        // the number of the others stays in view
        let room = (width as usize).saturating_sub(format::width(&more) + format::width(&how) + 1);
        let text = format::fit(&alert.text, room, state.glyphs.ellipsis);
        return (format!("{text}{more}{how}"), theme.warn);
    }
    if state.readonly {
        return ("Read-only: everything is shown, nothing can be changed.".to_owned(), theme.dim);
    }
    let lift = state.keymap.shown(Command::Lift);
    let (core, pip) = (state.glyphs.core, state.glyphs.idle);
    let text = match (state.screen, state.mouse) {
        (Screen::Board, true) if width < 60 => format!("Drag a {core} to another row."),
        (Screen::Board, true) if width < 110 => {
            format!("Drag a {core} onto another row to move a core, or {lift}, arrows, enter.")
        }
        (Screen::Board, true) => format!(
            "Drag a {core} onto another row to move a core, a {pip} to move an instance. Keys: {lift} lifts, arrows choose, enter drops."
        ),
        (Screen::Board, false) => {
            format!(
                "{lift} lifts a core of the selected row, arrows choose who gets it, enter drops it."
            )
        }
        (Screen::Layouts, _) => {
            "The right side shows what applying the selected layout would change.".to_owned()
        }
        _ => String::new(),
    };
    (text, theme.dim)
}

/// A plan and its warnings in one sentence.
pub(super) fn in_words(plan: &Plan) -> String {
    let mut text = plan.summary.clone();
    for change in plan.rows.iter().filter(|change| change.rebuild) {
        let row = plan.after.row(&change.model);
        let Some(gpu) = row.and_then(|row| row.budget.gpu.as_ref()) else { continue };
        let last = change.last_build_us.map_or_else(String::new, |us| {
            format!(", where the last build took {}", format::latency(us))
        });
        text = format!("{text}; {} is built on {} first{last}", change.model, gpu.title());
    }
    for warning in &plan.warnings {
        text = format!("{text}; {warning}");
    }
    text
}

fn party(party: &CoreOwner) -> &str {
    match party {
        CoreOwner::Free => "free",
        CoreOwner::Model(name) => name,
    }
}

/// What a drop here would do, or what to do next.
fn consequence(state: &ConsoleState, carry: &Carry) -> (String, Style) {
    let theme = &state.theme;
    let (what, receiver) = match &carry.token {
        Token::Several(parts) => {
            let names: Vec<&str> = parts.iter().map(|(from, _)| party(from)).collect();
            let what = format!("{} of {}", carry.token.title(), names.join(" and "));
            (what, "a row to give it")
        }
        Token::Gpu { .. } => (carry.token.title(), "a row to give it"),
        Token::Placed { .. } => (carry.token.title(), "a card, or CPU, to move it"),
        token @ (Token::Cores { .. } | Token::Instances { .. }) => {
            let donor = token.donor();
            (format!("{} of {}", token.title(), party(&donor)), "a row to give it")
        }
    };
    match (&carry.to, &carry.consequence) {
        (Some(_), Some(Ok(plan))) => {
            let style = if plan.warnings.is_empty() { theme.good } else { theme.warn };
            (in_words(plan), style)
        }
        (Some(_), Some(Err(refusal))) => (format!("not possible: {refusal}"), theme.bad),
        (Some(to), None) => (format!("{what} {} {}", state.glyphs.arrow, party(to)), theme.text),
        (None, _) => {
            let how = match carry.means {
                Means::Held { .. } => format!("let go over {receiver}"),
                Means::Picked => format!("click {receiver}"),
                Means::Keys => "arrows or digits choose a row, enter gives it".to_owned(),
            };
            let back = state.keymap.shown(Command::Cancel);
            let share = state.keymap.shown(Command::Share);
            let shared = if carry.shares() { " (shared)" } else { "" };
            let text = format!(
                "{what}{shared}: {how}; {back} puts it back, {share} shares it, + and - carry more or fewer"
            );
            (text, theme.text)
        }
    }
}

/// The keys of a dialog: those that every dialog has, which no keymap changes.
fn answers(dialog: &Dialog) -> &'static [(&'static str, &'static str)] {
    match dialog {
        Dialog::Help { .. } => &[("up down", "scroll"), ("esc", "closes")],
        Dialog::Palette { .. } => &[("enter", "runs it"), ("esc", "leaves")],
        Dialog::Filter { .. } => &[("enter", "keeps it"), ("esc", "shows all")],
        Dialog::SaveAs { .. } => &[("enter", "saves"), ("esc", "leaves")],
        Dialog::Rename { .. } => &[("enter", "renames"), ("esc", "leaves")],
        Dialog::Add(_) => &[("enter", "adds it"), ("esc", "leaves")],
        Dialog::Row(RowEditor { prompt: Some(_), .. }) => {
            &[("enter", "sets it"), ("esc", "leaves it"), ("ctrl-u", "empties it")]
        }
        Dialog::Row(_) => &[("enter", "edits"), ("up down", "choose"), ("esc", "closes")],
        Dialog::Confirm { .. } => &[("y", "yes"), ("n", "no")],
        // they depend on what is not saved
        Dialog::Quit => &[],
    }
}

/// The line of keys, as many as fit, from the keymap.
pub(super) fn keys(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    pen.x += 1;
    if let Some(dialog) = &state.dialog {
        let leaving = state.ways_out().map(|(key, _, word)| (key, word));
        let quit = matches!(dialog, Dialog::Quit);
        for (key, label) in if quit { &leaving } else { answers(dialog) } {
            let start = pen.x;
            canvas.put(&mut pen, key, state.theme.accent);
            canvas.put(&mut pen, &format!(" {label}"), state.theme.dim);
            let place = Rect { x: start, y: pen.y, width: pen.x - start, height: 1 };
            if let Some(code) = super::dialogs::code(key) {
                canvas.hit(place, crate::console::state::Target::Press(code));
            }
            pen.x += 2;
        }
        return;
    }
    let quit = [Command::Quit];
    let commands: &[Command] = match (state.carry.is_some(), state.screen) {
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
            Command::Journal,
            Command::Log,
        ],
        (false, Screen::Layouts) => &[
            Command::Cancel,
            Command::Accept,
            Command::PageDown,
            Command::SaveAs,
            Command::Rename,
            Command::Delete,
            Command::Help,
        ],
        (false, Screen::Detail) => {
            &[Command::Cancel, Command::Down, Command::Undo, Command::Edit, Command::Help]
        }
        (false, _) => &[Command::Cancel, Command::Down, Command::Undo, Command::Help],
    };
    let reserve = 8;
    for command in commands.iter().chain(&quit) {
        let label = match (command, state.carry.is_some(), state.screen) {
            (Command::Cancel, true, _) => "put back",
            (Command::Accept, true, _) | (Command::Cancel, _, Screen::Board) => "drop",
            (Command::Up, true, _) => "previous",
            (Command::Down, true, _) => "next",
            (Command::Down | Command::PageDown, ..) => "scroll",
            (Command::Accept, _, Screen::Layouts) => "apply",
            (Command::Accept, _, _) if !state.staged.is_empty() => "apply",
            _ => command.label(),
        };
        if *command == Command::PageDown && state.extent.preview == 0 {
            continue;
        }
        let key = state.keymap.shown(*command);
        let size = format::width(&key) + format::width(label) + 3;
        let last = *command == Command::Quit;
        if size + if last { 0 } else { reserve } > pen.room() as usize + usize::from(last) * 2 {
            continue;
        }
        let start = pen.x;
        canvas.put(&mut pen, &key, state.theme.accent);
        canvas.put(&mut pen, &format!(" {label}"), state.theme.dim);
        let place = Rect { x: start, y: pen.y, width: pen.x - start, height: 1 };
        canvas.hit(place, crate::console::state::Target::Command(*command));
        pen.x += 2;
    }
}

/// The label that follows the pointer.
pub(super) fn ghost(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let Some(carry) = &state.carry else {
        return;
    };
    let Some((x, y)) = carry.at.filter(|_| !state.reduced_motion) else {
        return;
    };
    let verb = if carry.shares() { "share " } else { "" };
    // the cards lie beside the footer, whose words about the drop are to stay in sight
    let (to, keep) = match &carry.token {
        Token::Placed { onto: Some(place), .. } => (gpus::title(place), 2),
        _ => (carry.to.as_ref().map_or("", |to| party(to)).to_owned(), 0),
    };
    let to = format::fit(&to, 20, state.glyphs.ellipsis);
    let arrow = if to.is_empty() { "" } else { state.glyphs.arrow };
    let text = format!(" {verb}{} {arrow} {to}", carry.token.title());
    let text = format!("{} ", text.trim_end());
    let width = format::width(&text) as u16;
    // beside the pointer, never under it, and inside the screen
    let x = if x + 2 + width <= area.right() { x + 2 } else { x.saturating_sub(width + 1) };
    let y = if y + 1 + keep < area.bottom() { y + 1 } else { y.saturating_sub(1) };
    canvas.put(&mut Pen { x, y, end: area.right() }, &text, state.theme.ghost);
}

//! The help page: gestures, signs and keys.

use ratatui::layout::Rect;

use super::dialog_box::DialogBox;
use crate::console::state::{Command, ConsoleState, help_of, offers};
use crate::console::view::canvas::{Canvas, row, wrap};

/// The gestures that change something.
const CHANGING_GESTURES: [(&str, &str); 8] = [
    ("drag a core", "from a row or the Cores pane onto another row, or onto free"),
    ("drag an instance", "from the \"busy\" column of one row onto another row"),
    ("click, click", "same as a drag: click a core, then the row to receive it"),
    ("wheel in a drag", "drag one more or one fewer"),
    ("ctrl-wheel", "over a field: one step of its value (alt works too)"),
    ("ctrl or alt", "held at the drop: share the core instead of moving it"),
    ("shift-arrows", "in the Cores pane: select a range of cores; shift-click does the same"),
    ("ctrl-click", "add a core to the selection or remove it; a drag moves all selected"),
];

/// The other gestures.
const GESTURES: [(&str, &str); 3] = [
    ("wheel", "scroll"),
    ("digits", "select a row by its number; 0 selects the row of free cores"),
    ("pane title", "click it to expand the pane to the whole screen; again to go back"),
];

/// The signs of the table of models and of the Cores pane.
const SIGNS: [(&str, &str); 5] = [
    (
        "~ at p50, p99",
        "the load's request sizes are guessed; `dims`, a recording or a real request clears it",
    ),
    (
        ">name at a core",
        "the core is lent to this model for a while; its own row keeps it in the layout",
    ),
    ("> at n", "the cores that the model has now, while some are lent to it or by it"),
    ("outside, load", "with a server: requests per second from clients, and of the built-in load"),
    ("refused", "requests from clients in the last 10 s that were not answered; d says why"),
];

/// The meaning of the two signs of a row of processes.
const PROCESS_SIGNS: &str =
    "a row of processes; the second sign: divvy cannot change them, d says why";

/// The meaning of the fields that only a row of processes has.
const PROCESS_FIELDS: [(&str, &str); 2] = [
    ("3p 64t", "processes and threads of the row"),
    (
        "any",
        "the processes run on every core that no row has reserved; + gives them the first of their own",
    ),
];

/// Returns the lines of the help page: gestures, signs, then each command with its keys.
pub(in crate::console::view) fn help_lines(state: &ConsoleState) -> Vec<(String, String)> {
    let changing = CHANGING_GESTURES.iter().filter(|_| !state.readonly);
    let gestures = changing.chain(&GESTURES).chain(&SIGNS);
    let marks = format!("{} {} at a row", state.glyphs.process, state.glyphs.locked);
    let gestures = gestures.chain(&PROCESS_FIELDS);
    let gestures = gestures.map(|(what, text)| ((*what).to_owned(), (*text).to_owned()));
    let gestures = gestures.chain(std::iter::once((marks, PROCESS_SIGNS.to_owned())));
    let offered = Command::ALL.iter().filter(|command| offers(state, **command));
    let keys = offered.map(|command| {
        let keys: Vec<String> = state.keymap.keys(*command).map(|key| key.to_string()).collect();
        (keys.join(" "), help_of(state, *command).to_owned())
    });
    let gap = std::iter::once((String::new(), String::new()));
    gestures.chain(gap).chain(keys).collect()
}

/// Draws the help page from line `scroll` on.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, scroll: usize) {
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
    let note = "arrows, page keys, g, G scroll; others close";
    let inside = DialogBox { width: 100, height: wanted, title: "Help", note }.draw(canvas, area);
    let most = lines.len().saturating_sub(inside.height as usize);
    canvas.set_dialog_limit(most);
    for (index, (key, text)) in lines.iter().skip(scroll.min(most)).enumerate() {
        if let Some(mut pen) = row(inside, index) {
            canvas.put_left(&mut pen, key, size, theme.accent);
            canvas.put_fit(&mut pen, text, theme.text);
        }
    }
}

//! The list of the processes that belong to no row.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::dialog_box::DialogBox;
use super::row_editor::{draw_message, last_message};
use crate::console::format;
use crate::console::state::{ConsoleState, ProcessPicker, Target};
use crate::console::view::canvas::{Canvas, hidden_rows, row};
use crate::console::view::process_text;
use crate::console::view::text_field::draw_text_field;
use crate::telemetry::OtherProcess;

/// Columns of the box.
const WIDTH: u16 = 110;

/// Rows below the list: a gap and the explanation.
const FOOT: u16 = 4;

/// Rows above the list: the filter and the titles.
const HEAD: u16 = 2;

/// Columns from which on the user, the threads and the memory are listed.
const WIDE: u16 = 60;

/// Draws the list, and below it the row that the selected process would become.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, picker: &ProcessPicker) {
    let state = canvas.state;
    let theme = &state.theme;
    let listed = picker.listed(&state.snapshot);
    let at = picker.at(&listed);
    let count = state.snapshot.others.as_ref().map_or(0, |others| others.busiest.len());
    let height = (count as u16).saturating_add(HEAD + FOOT + 2).max(HEAD + FOOT + 4);
    let use_of_all = state.snapshot.others.as_ref().map(|others| process_text::others(others));
    let note = use_of_all.filter(|_| area.width >= WIDE).unwrap_or_default();
    let title = "Other processes";
    let inside = DialogBox { width: WIDTH, height, title, note: &note }.draw(canvas, area);
    if let Some(mut pen) = row(inside, 0) {
        canvas.put(&mut pen, "filter: ", theme.accent);
        draw_text_field(canvas, pen, &picker.filter);
    }
    let foot_height = FOOT.min(inside.height.saturating_sub(HEAD + 1));
    let list = Rect {
        y: inside.y + HEAD.min(inside.height),
        height: inside.height.saturating_sub(HEAD + foot_height),
        ..inside
    };
    let is_wide = inside.width >= WIDE;
    if let Some(mut pen) = row(inside, 1) {
        let titles = if is_wide {
            "    CPU     PID user     threads   mem  program         command"
        } else {
            "    CPU     PID program"
        };
        canvas.put_fit(&mut pen, titles, theme.dim);
    }
    let visible = list.height as usize;
    let first = (at + 1).saturating_sub(visible);
    for (index, other) in listed.iter().enumerate().skip(first).take(visible) {
        let Some(mut pen) = row(list, index - first) else { break };
        let line = Rect { x: pen.x, y: pen.y, width: pen.room(), height: 1 };
        let mark = if index == at { state.glyphs.pointer } else { " " };
        canvas.put(&mut pen, mark, theme.accent);
        pen.x = line.x + 2;
        let style = if other.refused.is_some() { theme.dim } else { theme.text };
        canvas.put_fit(&mut pen, &entry_text(state, other, is_wide), style);
        if index == at {
            canvas.tint(line, theme.field);
        }
        canvas.hit(line, Target::Item(index));
    }
    let foot = Rect { y: list.bottom() + 1, height: foot_height.saturating_sub(1), ..inside };
    let hidden = hidden_rows(first, listed.len().saturating_sub(first + visible));
    let gap = row(Rect { y: list.bottom(), height: 1.min(foot_height), ..inside }, 0);
    if let (Some(hidden), Some(mut pen)) = (hidden, gap) {
        canvas.put_end(&mut pen, &hidden, theme.title);
    }
    let (text, style) =
        last_message(state).unwrap_or_else(|| explanation(state, &listed, listed.get(at).copied()));
    draw_message(canvas, foot, &text, style);
}

/// Returns the line of a process; the reason in place of the command if it can be no row.
fn entry_text(state: &ConsoleState, other: &OtherProcess, is_wide: bool) -> String {
    let process = &other.process;
    let cpu = format::cores(process.cpu);
    let what = match &other.refused {
        Some(reason) => format!("no: {reason}"),
        None => process.command.clone(),
    };
    let ellipsis = state.glyphs.ellipsis;
    if !is_wide {
        return format!("{cpu:>5} {:>7} {}", process.pid, other.exe);
    }
    format!(
        "{cpu:>5} {:>7} {} {:>7} {:>5}  {} {what}",
        process.pid,
        format::left(&process.user, 8, ellipsis),
        process.threads,
        format::bytes(process.rss_bytes),
        format::left(&other.exe, 15, ellipsis),
    )
}

/// Returns what the keys do with the selected process.
fn explanation(
    state: &ConsoleState,
    listed: &[&OtherProcess],
    selected: Option<&OtherProcess>,
) -> (String, Style) {
    let theme = &state.theme;
    if state.snapshot.others.is_none() {
        return ("This run does not observe other processes.".to_owned(), theme.dim);
    }
    let Some(other) = selected else {
        return ("No process contains these words.".to_owned(), theme.dim);
    };
    if let Some(reason) = &other.refused {
        return (format!("{} cannot be a row: {reason}", other.exe), theme.warn);
    }
    let now = if other.on_reserved { " It may run on reserved cores now." } else { "" };
    if state.readonly {
        return (format!("Read-only: no row can be added.{now}"), theme.dim);
    }
    let same = listed.iter().filter(|one| one.exe == other.exe).count();
    let all = match same {
        1 => format!("adds {}", other.exe),
        _ => format!("adds all {same} processes of {}", other.exe),
    };
    let text = format!(
        "enter {all} as a row without cores: it keeps off the cores that rows have reserved, until the \
         row is removed. f2 adds only pid {}.{now}",
        other.process.pid
    );
    (text, theme.text)
}

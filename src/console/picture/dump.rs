//! Frames as text with their styles: below each styled line a line of letters, and at the end a legend
//! of the letters.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// The characters alone.
pub(crate) fn text(frame: &Buffer) -> String {
    lines(frame).map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn lines(frame: &Buffer) -> impl Iterator<Item = String> + '_ {
    let area = frame.area;
    (area.top()..area.bottom()).map(move |y| {
        let mut line = String::new();
        let mut covered = 0;
        for x in area.left()..area.right() {
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let symbol = frame.cell((x, y)).map_or(" ", Cell::symbol);
            covered = symbol.width().saturating_sub(1);
            line.push_str(symbol);
        }
        line
    })
}

type CellColors = (Color, Color, Modifier);

/// The characters with their styles.
pub(crate) fn styled(frame: &Buffer) -> String {
    let mut legend: Vec<CellColors> = Vec::new();
    let mut out = String::new();
    for (line, y) in lines(frame).zip(frame.area.top()..) {
        out.push_str(line.trim_end());
        out.push('\n');
        let styles: String = (frame.area.left()..frame.area.right())
            .map(|x| {
                let Some(cell) = frame.cell((x, y)) else {
                    return ' ';
                };
                let look = (cell.fg, cell.bg, cell.modifier);
                let blank = cell.symbol().trim().is_empty() && look.1 == Color::Reset;
                let plain = look == (Color::Reset, Color::Reset, Modifier::empty());
                if plain || (blank && !look.2.contains(Modifier::REVERSED)) {
                    return ' ';
                }
                let at = legend.iter().position(|known| *known == look).unwrap_or_else(|| {
                    legend.push(look);
                    legend.len() - 1
                });
                (b'a'..=b'z').chain(b'A'..=b'Z').nth(at).map_or('?', char::from)
            })
            .collect();
        if !styles.trim().is_empty() {
            writeln!(out, "~{}", styles.trim_end()).unwrap();
        }
    }
    for ((fg, bg, modifier), letter) in legend.iter().zip((b'a'..=b'z').chain(b'A'..=b'Z')) {
        writeln!(out, "{}: {fg} on {bg} {modifier:?}", char::from(letter)).unwrap();
    }
    out
}

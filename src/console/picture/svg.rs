//! A frame as SVG, for the README's pictures: the same frame gives the same bytes.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// Pixels of a cell.
const CELL: (usize, usize) = (9, 18);
const GROUND: &str = "#14181f";
const INK: &str = "#d6dbe6";
const MARGIN: usize = 10;

/// The sixteen colours of a common dark terminal.
const SIXTEEN: [&str; 16] = [
    "#1c2128", "#f47067", "#8ddb8c", "#f0be5a", "#6cb6ff", "#dcbdfb", "#76e3ea", "#adbac7",
    "#7e889b", "#ff938a", "#b4f1b4", "#ffd98a", "#96d0ff", "#eedcff", "#b3f0ff", "#ffffff",
];

fn colour(colour: Color, otherwise: &str) -> String {
    let named = |index: usize| SIXTEEN.get(index).copied().unwrap_or(INK).to_owned();
    match colour {
        Color::Reset => otherwise.to_owned(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Black => named(0),
        Color::Red => named(1),
        Color::Green => named(2),
        Color::Yellow => named(3),
        Color::Blue => named(4),
        Color::Magenta => named(5),
        Color::Cyan => named(6),
        Color::Gray => named(7),
        Color::DarkGray => named(8),
        Color::LightRed => named(9),
        Color::LightGreen => named(10),
        Color::LightYellow => named(11),
        Color::LightBlue => named(12),
        Color::LightMagenta => named(13),
        Color::LightCyan => named(14),
        Color::White => named(15),
        Color::Indexed(index @ 0..16) => named(usize::from(index)),
        // the 6x6x6 cube and the grey ramp of the 256 colours
        Color::Indexed(index @ 16..232) => {
            let step = |value: u8| if value == 0 { 0 } else { 55 + 40 * value };
            let cube = index - 16;
            let (r, g, b) = (step(cube / 36), step(cube / 6 % 6), step(cube % 6));
            format!("#{r:02x}{g:02x}{b:02x}")
        }
        Color::Indexed(index) => {
            let grey = 8 + 10 * (index - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}

#[derive(PartialEq)]
struct CellStyle {
    ink: String,
    ground: String,
    weight: Modifier,
}

impl CellStyle {
    fn of(cell: &Cell) -> Self {
        let (mut ink, mut ground) = (colour(cell.fg, INK), colour(cell.bg, GROUND));
        if cell.modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut ink, &mut ground);
        }
        Self { ink, ground, weight: cell.modifier - Modifier::REVERSED }
    }

    fn attributes(&self) -> String {
        let mut text = format!("fill=\"{}\"", self.ink);
        if self.weight.contains(Modifier::BOLD) {
            text.push_str(" font-weight=\"bold\"");
        }
        if self.weight.contains(Modifier::DIM) {
            text.push_str(" opacity=\"0.6\"");
        }
        if self.weight.contains(Modifier::UNDERLINED) {
            text.push_str(" text-decoration=\"underline\"");
        }
        text
    }
}

fn escape(text: &str, into: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            ' ' => into.push('\u{a0}'),
            letter => into.push(letter),
        }
    }
}

/// Renders a frame.
pub fn svg(frame: &Buffer) -> String {
    let area = frame.area;
    let (width, height) = (usize::from(area.width) * CELL.0, usize::from(area.height) * CELL.1);
    let (outer_width, outer_height) = (width + 2 * MARGIN, height + 2 * MARGIN);
    let mut out = format!(
        "<svg xml:space=\"preserve\" xmlns=\"http://www.w3.org/2000/svg\" width=\"{outer_width}\" height=\"{outer_height}\" \
         viewBox=\"0 0 {outer_width} {outer_height}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', \
         Menlo, Consolas, monospace\" font-size=\"15\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n"
    );
    for y in area.top()..area.bottom() {
        let mut runs: Vec<(usize, usize, CellStyle, String)> = Vec::new();
        let mut covered = 0;
        for x in area.left()..area.right() {
            let Some(cell) = frame.cell((x, y)) else {
                continue;
            };
            // the second half of a wide character
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let size = cell.symbol().width().max(1);
            covered = size - 1;
            let look = CellStyle::of(cell);
            let column = usize::from(x - area.left());
            match runs.last_mut() {
                Some((start, run, last, text)) if *last == look && *start + *run == column => {
                    *run += size;
                    escape(cell.symbol(), text);
                }
                _ => {
                    let mut text = String::new();
                    escape(cell.symbol(), &mut text);
                    runs.push((column, size, look, text));
                }
            }
        }
        let top = MARGIN + usize::from(y - area.top()) * CELL.1;
        for (column, size, look, text) in &runs {
            let (left, wide) = (MARGIN + column * CELL.0, size * CELL.0);
            // writing into a string does not fail
            if look.ground != GROUND {
                let _ = writeln!(
                    out,
                    "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{}\" fill=\"{}\"/>",
                    CELL.1, look.ground
                );
            }
            if text.chars().any(|letter| letter != '\u{a0}') {
                let _ = writeln!(
                    out,
                    "<text x=\"{left}\" y=\"{}\" textLength=\"{wide}\" {}>{text}</text>",
                    top + CELL.1 - 5,
                    look.attributes()
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn svg_is_stable_with_escaped_markup() {
        let mut frame = Buffer::empty(Rect::new(0, 0, 12, 2));
        frame.set_string(0, 0, "<a> & 検", Style::new().fg(Color::Red));
        frame.set_string(0, 1, "x", Style::new().add_modifier(Modifier::REVERSED));
        let text = svg(&frame);
        assert_eq!(text, svg(&frame));
        assert!(text.contains("&lt;a&gt;\u{a0}&amp;\u{a0}検"), "{text}");
        assert!(text.contains(&format!("fill=\"{INK}\"/>")), "{text}");
        assert_eq!(text.matches("<svg").count(), 1);
    }

    #[test]
    fn all_256_colours_are_known() {
        for index in 0..=255 {
            let text = colour(Color::Indexed(index), INK);
            assert!(text.len() == 7 && text.starts_with('#'), "{index}: {text}");
        }
    }
}

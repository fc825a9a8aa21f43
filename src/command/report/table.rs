//! Aligned columns of text.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::headless::has_processes;
use crate::telemetry::Snapshot;

/// The maximum width of a cell.
const MAX_WIDTH: usize = 48;

/// A column: its title, its minimum width, and whether its cells are numbers (aligned right).
#[derive(Clone, Copy, Debug)]
pub(in crate::command) struct ReportColumn {
    pub(in crate::command) title: &'static str,
    pub(in crate::command) min_width: usize,
    pub(in crate::command) number: bool,
}

/// A column of words.
pub(in crate::command) const fn words(title: &'static str, min_width: usize) -> ReportColumn {
    ReportColumn { title, min_width, number: false }
}

/// A column of numbers.
pub(in crate::command) const fn number(title: &'static str, min_width: usize) -> ReportColumn {
    ReportColumn { title, min_width, number: true }
}

/// Returns the columns with the title of the names: "row" if there are processes among the models.
pub(in crate::command) fn with_name_title(
    columns: &[ReportColumn],
    snapshot: &Snapshot,
) -> Vec<ReportColumn> {
    let has_processes = has_processes(snapshot);
    let titled = |column: &ReportColumn| match column.title {
        "model" if has_processes => ReportColumn { title: "row", ..*column },
        _ => *column,
    };
    columns.iter().map(titled).collect()
}

/// Returns the width of each column.
pub(in crate::command) fn widths(columns: &[ReportColumn], rows: &[Vec<String>]) -> Vec<usize> {
    columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.width());
            cells.max().unwrap_or(0).min(MAX_WIDTH).max(column.min_width).max(column.title.width())
        })
        .collect()
}

/// Returns the line of the titles.
pub(in crate::command) fn titles(columns: &[ReportColumn], widths: &[usize]) -> String {
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    line(columns, widths, &titles)
}

/// Returns the line of a row, without trailing blanks.
pub(in crate::command) fn line(
    columns: &[ReportColumn],
    widths: &[usize],
    cells: &[String],
) -> String {
    let mut text = String::new();
    for ((column, width), cell) in columns.iter().zip(widths).zip(cells) {
        if !text.is_empty() {
            text.push_str("  ");
        }
        let cell = clip(cell, (*width).max(1));
        let blanks = " ".repeat(width.saturating_sub(cell.width()));
        if column.number {
            text.push_str(&blanks);
            text.push_str(&cell);
        } else {
            text.push_str(&cell);
            text.push_str(&blanks);
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Returns the text, cut with an ellipsis if it is wider than `width` terminal columns.
fn clip(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > width {
            break;
        }
        cut.push(letter);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        let columns = [words("name", 4), number("n", 3)];
        let rows: Vec<Vec<String>> =
            [("模型", "1"), ("ab", "22")].map(|(a, b)| vec![a.to_owned(), b.to_owned()]).into();
        let widths = widths(&columns, &rows);
        let text: String = rows.iter().map(|row| line(&columns, &widths, row)).collect();
        assert_eq!(text, "模型    1\nab     22\n");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("模型模型", 4), "模…");
        assert_eq!(clip("abcd", 4), "abcd");
    }
}

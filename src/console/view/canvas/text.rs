//! Text broken into lines: plain text at its spaces, styled text between its spans.

use ratatui::style::Style;

use crate::console::format;

/// Text in one style. It stays on one line if the line has room for it.
pub(crate) type StyledText = (String, Style);

/// One line of styled text.
pub(crate) type StyledLine = Vec<StyledText>;

/// Returns how many rows of a list are above and below its area: "3 above, 190 more below"; `None`
/// if all are shown.
pub(crate) fn hidden_rows(above: usize, below: usize) -> Option<String> {
    match (above, below) {
        (0, 0) => None,
        (0, below) => Some(format!("{below} more below")),
        (above, 0) => Some(format!("{above} more above")),
        (above, below) => Some(format!("{above} above, {below} more below")),
    }
}

/// Breaks text at its spaces into lines of at most `width` columns. A longer word stays whole. The
/// lines of the text stay lines, with their indentation.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    if !text.contains('\n') {
        return wrap_words(text, width);
    }
    let wrap_line = |line: &str| {
        if format::width(line) <= width {
            return vec![line.to_owned()];
        }
        let indent = (line.len() - line.trim_start().len()).min(width / 2);
        let words = wrap_words(line, width.saturating_sub(indent));
        words.into_iter().map(|words| format!("{}{words}", " ".repeat(indent))).collect()
    };
    text.lines().map(str::trim_end).flat_map(wrap_line).collect()
}

fn wrap_words(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if format::width(line) + 1 + format::width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Breaks styled text into lines of at most `width` columns, between its parts if each fits on a
/// line. Lines after the first start `indent` columns in.
pub(crate) fn flow(
    parts: impl IntoIterator<Item = StyledText>,
    width: usize,
    indent: usize,
) -> Vec<StyledLine> {
    let mut lines: Vec<StyledLine> = vec![Vec::new()];
    let mut used = 0;
    let mut put = |text: &str, style: Style, new_line: bool| {
        if new_line {
            lines.push(vec![(" ".repeat(indent), Style::default())]);
            used = indent;
        }
        used += format::width(text);
        if let Some(line) = lines.last_mut() {
            line.push((text.to_owned(), style));
        }
        used
    };
    let mut at = 0;
    for (text, style) in parts {
        let size = format::width(&text);
        if at + size <= width {
            at = put(&text, style, false);
        } else if indent + size <= width {
            at = put(text.trim_start_matches([';', ',', ' ']), style, true);
        } else {
            for word in text.split_inclusive(' ') {
                let new_line = at > indent && at + format::width(word.trim_end()) > width;
                // the space at the end of a line is not drawn, so that it never costs a letter
                let from = if new_line { indent } else { at };
                let fits = from + format::width(word) <= width;
                at = put(if fits { word } else { word.trim_end() }, style, new_line);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_text_stay_lines() {
        let text = "a.toml:3:9: not a number\n  3 | cores = x\n    |         ^\n\nhelp: write one";
        assert_eq!(wrap(text, 40), text.lines().collect::<Vec<_>>());
        assert_eq!(
            wrap("one\n    two three four", 12),
            ["one", "    two", "    three", "    four"]
        );
        assert_eq!(wrap("one two  three", 8), ["one two", "three"]);
    }
}

//! Faults of layout files, and reports that show the line of each fault.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin as Place, Renderer, Snippet};
use serde::Serialize;

/// A fault in a layout file, or the subject of a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line, from 1; `None` for a fault of the file as a whole.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The text at fault, at most its first line.
    pub text: String,
    /// The message: what is wrong.
    pub message: String,
    /// The advice: what to write or do instead.
    pub help: Option<String>,
    /// The place of the text, in bytes of the file.
    #[serde(skip)]
    pub(super) span: Option<Range<usize>>,
    /// A second place that is shown, and its label.
    #[serde(skip)]
    pub(super) also: Option<(Range<usize>, &'static str)>,
}

impl Fault {
    /// Returns a fault at a place of the text.
    pub(super) fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let span = within(text, span);
        let before = text.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let offending = text.get(span.clone()).unwrap_or_default();
        Self {
            line: Some(before.matches('\n').count() + 1),
            column: Some(before.get(line_start..).unwrap_or_default().chars().count() + 1),
            text: offending.lines().next().unwrap_or_default().to_owned(),
            message: message.into(),
            help: None,
            span: Some(span),
            also: None,
        }
    }

    /// Returns a fault of the file as a whole.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self {
            line: None,
            column: None,
            text: String::new(),
            message: message.into(),
            help: None,
            span: None,
            also: None,
        }
    }

    /// Adds the advice.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second place.
    pub(super) fn also(mut self, span: Range<usize>, label: &'static str) -> Self {
        self.also = Some((span, label));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// Returns a span within one line of the text and at character boundaries. It is empty only at the
/// end of a line.
fn within(text: &str, span: Range<usize>) -> Range<usize> {
    let floor = |at: usize| {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    let rest = text.get(start..).unwrap_or_default();
    let line = start + rest.find(['\r', '\n']).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let end = floor(span.end).max(start + first).min(line);
    start..end
}

/// The style of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportStyle {
    /// Plain text.
    Plain,
    /// Text with ANSI colours.
    Colored,
}

impl ReportStyle {
    /// Returns the style for a terminal, with colours, or for anything else.
    pub fn for_terminal(is_terminal: bool) -> Self {
        if is_terminal { Self::Colored } else { Self::Plain }
    }
}

/// All faults of a layout file, in the order of the file. Displayed as a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render(ReportStyle::Plain))]
pub struct Faults {
    file: String,
    text: Option<String>,
    list: Vec<Fault>,
}

impl Faults {
    /// Returns the faults of a text, sorted by place.
    pub(super) fn new(file: String, source: Option<&str>, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.span.as_ref().map(|span| span.start));
        Self { file, text: source.map(str::to_owned), list: faults }
    }

    /// Returns the fault of a file that could not be read.
    pub(super) fn unread(file: String, fault: Fault) -> Self {
        Self { file, text: None, list: vec![fault] }
    }

    /// Returns the path of the file, as the user wrote it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the faults in the order of the file; at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.list
    }

    /// Returns the report: each fault with file, line, column, the line itself with a caret, and the
    /// advice.
    pub fn render(&self, style: ReportStyle) -> String {
        let source = SourceText { file: &self.file, text: self.text.as_deref() };
        render(&Level::ERROR, source, &self.list, style)
    }
}

/// Returns a report of warnings about a text.
pub(super) fn render_warnings(
    file: &str,
    text: &str,
    warnings: &[Fault],
    style: ReportStyle,
) -> String {
    render(&Level::WARNING, SourceText { file, text: Some(text) }, warnings, style)
}

/// A file, and its text if it could be read.
#[derive(Clone, Copy)]
struct SourceText<'s> {
    file: &'s str,
    text: Option<&'s str>,
}

/// Renders faults one after another, with an empty line between them.
fn render(
    level: &Level<'static>,
    source: SourceText<'_>,
    faults: &[Fault],
    style: ReportStyle,
) -> String {
    let renderer = match style {
        ReportStyle::Colored => Renderer::styled(),
        ReportStyle::Plain => Renderer::plain(),
    };
    let reports: Vec<String> = faults
        .iter()
        .map(|fault| {
            let mut group = level
                .clone()
                .primary_title(fault.message.as_str())
                .elements(std::iter::empty::<annotate_snippets::Element<'_>>());
            group = match (&fault.span, source.text) {
                (Some(span), Some(text)) => {
                    let mut snippet = Snippet::source(text)
                        .path(source.file)
                        .annotation(AnnotationKind::Primary.span(span.clone()));
                    if let Some((also, label)) = &fault.also {
                        snippet = snippet.annotation(
                            AnnotationKind::Context.span(within(text, also.clone())).label(*label),
                        );
                    }
                    group.element(snippet)
                }
                _ => group.element(Place::path(source.file)),
            };
            if let Some(help) = &fault.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            renderer.render(&[group])
        })
        .collect();
    reports.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a = 1\nπσ = x\n";
        let fault = Fault::at(text, 13..14, "odd");
        assert_eq!((fault.line, fault.column, fault.text.as_str()), (Some(2), Some(6), "x"));
    }

    #[test]
    fn spans_stay_within_a_line() {
        assert_eq!(within("ab\ncd", 1..5), 1..2);
        assert_eq!(within("ab\r\ncd", 2..3), 2..2);
        assert_eq!(within("aé", 2..2), 1..3);
        assert_eq!(within("ab", 7..9), 2..2);
        assert_eq!(within("ab", 1..1), 1..2);
    }

    #[test]
    fn report_shows_line_with_caret() {
        let text = "version = 1\ncore = 3\n";
        let fault = Fault::at(text, 12..16, "unknown key `core`").help("did you mean `cores`?");
        let faults = Faults::new("x.toml".into(), Some(text), vec![fault]);
        let report = faults.to_string();
        for part in ["error: unknown key `core`", "x.toml:2:1", "core = 3", "^^^^", "did you mean"]
        {
            assert!(report.contains(part), "{part} in\n{report}");
        }
        assert!(faults.render(ReportStyle::Colored).contains("\u{1b}["));
    }
}

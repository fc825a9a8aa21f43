//! What is wrong with a layout file: each fault with its place, and all of them rendered with the
//! offending line and a caret under it.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin as Place, Renderer, Snippet};
use serde::Serialize;

/// One thing that is wrong, or worth a warning, in a layout file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Line of the offending text, from 1; `None` when the fault is about the file as a whole.
    pub line: Option<usize>,
    /// Column of the offending text in characters, from 1.
    pub column: Option<usize>,
    /// The offending text as written, at most its first line.
    pub text: String,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Where the text is, in bytes of the file.
    #[serde(skip)]
    pub(super) span: Option<Range<usize>>,
    /// Another place that belongs to it, and why.
    #[serde(skip)]
    pub(super) also: Option<(Range<usize>, &'static str)>,
}

impl Fault {
    /// A fault at a place of the text.
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

    /// A fault of the file as a whole.
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

    /// Adds what would be right.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second place.
    pub(super) fn also(mut self, span: Range<usize>, why: &'static str) -> Self {
        self.also = Some((span, why));
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

/// A span that lies within one line of the text and on the borders of characters; empty only at the
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

/// Everything that is wrong with one layout file, in the order of the file. Displayed as a report
/// with the offending lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct Faults {
    file: String,
    text: Option<String>,
    list: Vec<Fault>,
}

impl Faults {
    /// The faults of one text; sorted by place.
    pub(super) fn new(file: String, source: Option<&str>, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.span.as_ref().map(|span| span.start));
        Self { file, text: source.map(str::to_owned), list: faults }
    }

    /// A file that could not be read at all.
    pub(super) fn unread(file: String, fault: Fault) -> Self {
        Self { file, text: None, list: vec![fault] }
    }

    /// The file, as the user named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The faults, in the order of the file. Never empty.
    pub fn faults(&self) -> &[Fault] {
        &self.list
    }

    /// The report: each fault with file, line, column, the offending line, a caret and what would
    /// be right. With `color`, in ANSI colours.
    pub fn render(&self, color: bool) -> String {
        render(&Level::ERROR, &self.file, self.text.as_deref(), &self.list, color)
    }
}

/// Renders findings of one level, one after another with an empty line between.
pub(super) fn render(
    level: &Level<'static>,
    file: &str,
    source: Option<&str>,
    findings: &[Fault],
    color: bool,
) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let reports: Vec<String> = findings
        .iter()
        .map(|fault| {
            let mut group = level
                .clone()
                .primary_title(fault.message.as_str())
                .elements(std::iter::empty::<annotate_snippets::Element<'_>>());
            group = match (&fault.span, source) {
                (Some(span), Some(source)) => {
                    let mut snippet = Snippet::source(source)
                        .path(file)
                        .annotation(AnnotationKind::Primary.span(span.clone()));
                    if let Some((also, why)) = &fault.also {
                        snippet = snippet.annotation(
                            AnnotationKind::Context.span(within(source, also.clone())).label(*why),
                        );
                    }
                    group.element(snippet)
                }
                _ => group.element(Place::path(file)),
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
    fn places_are_counted_in_characters() {
        let text = "a = 1\nπσ = x\n";
        let fault = Fault::at(text, 13..14, "odd");
        assert_eq!((fault.line, fault.column, fault.text.as_str()), (Some(2), Some(6), "x"));
    }

    #[test]
    fn spans_never_leave_their_line_nor_split_a_character() {
        assert_eq!(within("ab\ncd", 1..5), 1..2);
        assert_eq!(within("ab\r\ncd", 2..3), 2..2);
        assert_eq!(within("aé", 2..2), 1..3);
        assert_eq!(within("ab", 7..9), 2..2);
        assert_eq!(within("ab", 1..1), 1..2);
    }

    #[test]
    fn a_report_shows_line_caret_and_help() {
        let text = "version = 1\ncore = 3\n";
        let fault = Fault::at(text, 12..16, "unknown key `core`").help("did you mean `cores`?");
        let faults = Faults::new("x.toml".into(), Some(text), vec![fault]);
        let report = faults.to_string();
        for part in ["error: unknown key `core`", "x.toml:2:1", "core = 3", "^^^^", "did you mean"]
        {
            assert!(report.contains(part), "{part} in\n{report}");
        }
        assert!(faults.render(true).contains("\u{1b}["));
    }
}

//! The lines of a page in Prometheus' text format 0.0.4 or `OpenMetrics` 1.0, read without allocation.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

/// A line of a page.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// The type of a family: "counter", "histogram", "summary" and others.
    Type { family: &'a str, kind: &'a str },
    /// A value.
    Sample(Sample<'a>),
    /// A comment, or an empty line.
    Ignored,
    /// Not in the format.
    Invalid,
}

/// A value of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Labels<'a>,
    pub(super) value: f64,
}

/// The text between the braces of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Labels<'a>(&'a str);

/// One label of a series, with its value as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Label<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn parse(line: &'a [u8]) -> Self {
        let Ok(line) = str::from_utf8(line) else { return Self::Invalid };
        let line = line.trim_matches([' ', '\t', '\r']);
        if let Some(comment) = line.strip_prefix('#') {
            return Self::comment(comment);
        }
        if line.is_empty() {
            return Self::Ignored;
        }
        Self::sample(line).map_or(Self::Invalid, Self::Sample)
    }

    fn comment(comment: &'a str) -> Self {
        let mut words = comment.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("TYPE"), Some(family), Some(kind)) => Self::Type { family, kind },
            _ => Self::Ignored,
        }
    }

    fn sample(line: &'a str) -> Option<Sample<'a>> {
        let end = line.find(['{', ' ', '\t'])?;
        let (name, rest) = line.split_at(end);
        // a name in quotes is inside the braces
        let has_name = !name.is_empty() && name.bytes().all(is_name_byte);
        let has_quoted_name = name.is_empty() && rest.starts_with('{');
        if !has_name && !has_quoted_name {
            return None;
        }
        let rest = rest.trim_start();
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => {
                let end = closing_brace(rest)?;
                (rest.get(..end)?, rest.get(end + 1..)?)
            }
            None => ("", rest),
        };
        // a time and an example may follow the value
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Sample { name, labels: Labels(labels), value })
    }
}

impl<'a> Labels<'a> {
    /// Returns the value of a label as written, without its escapes resolved.
    pub(super) fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|label| label.name == name).map(|label| label.value)
    }

    /// Returns the labels in their order. Ends at the first one that is not in the format.
    pub(super) fn iter(self) -> impl Iterator<Item = Label<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let text = rest.trim_start_matches([' ', '\t', ',']);
            let (name, after) = text.split_once('=')?;
            let value = after.trim_start().strip_prefix('"')?;
            let end = closing_quote(value)?;
            rest = value.get(end + 1..)?;
            Some(Label { name: name.trim(), value: value.get(..end)? })
        })
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// Returns the place of the quote that ends a value.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// Returns the place of the brace that ends the labels; braces in values do not.
fn closing_brace(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|byte| {
        if byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && byte == b'\\' && !escaped;
        byte == b'}' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(line: &str) -> Sample<'_> {
        match Line::parse(line.as_bytes()) {
            Line::Sample(sample) => sample,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn sample_has_name_labels_value() {
        let read = sample("a:b_total{x=\"1\", le = \"0.5\",} 3.5 1700000000000\r");
        assert_eq!((read.name, read.value), ("a:b_total", 3.5));
        assert_eq!((read.labels.get("x"), read.labels.get("le")), (Some("1"), Some("0.5")));
        assert_eq!(read.labels.get("y"), None);
        assert_eq!(sample("up 1").labels.iter().count(), 0);
        assert!(sample("up{} +Inf").value.is_infinite());
        assert!(sample("up\tNaN").value.is_nan());
    }

    #[test]
    fn braces_in_values_end_no_labels() {
        let read = sample(r#"a{x="}\"{\\",le="1"} 2 # {trace="z"} 0.1 1"#);
        assert_eq!((read.labels.get("le"), read.value), (Some("1"), 2.0));
        assert_eq!(read.labels.get("x"), Some(r#"}\"{\\"#));
    }

    #[test]
    fn types_are_read() {
        let line = Line::parse(b"# TYPE vllm:e2e_request_latency_seconds histogram");
        let family = "vllm:e2e_request_latency_seconds";
        assert_eq!(line, Line::Type { family, kind: "histogram" });
        assert_eq!(Line::parse(b"# HELP x TYPE y z"), Line::Ignored);
        assert_eq!(Line::parse(b"# EOF"), Line::Ignored);
        assert_eq!(Line::parse(b""), Line::Ignored);
    }

    #[test]
    fn other_text_is_invalid() {
        for line in [
            "<html>",
            "a b",
            "a{",
            "a{x=\"} 1",
            "a",
            "{",
            "Hello, world 1",
            "a{} ",
            "{\"a",
            "\u{e4} 1",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Invalid, "{line}");
        }
        assert_eq!(Line::parse(&[0xff, 0x00]), Line::Invalid);
    }

    #[test]
    fn quoted_name_is_valid() {
        let read = sample("{\"my.metric\",le=\"1\"} 2");
        assert_eq!((read.name, read.value), ("", 2.0));
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read(line in ".*") {
            if let Line::Sample(sample) = Line::parse(line.as_bytes()) {
                let _ = sample.labels.iter().count();
            }
        }

        #[test]
        fn written_label_is_read(value in "[^\"\\\\\n]*") {
            let line = format!("a{{v=\"{value}\"}} 1");
            proptest::prop_assert_eq!(sample(&line).labels.get("v"), Some(value.as_str()));
        }
    }
}

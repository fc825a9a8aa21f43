//! Splits the output of a program into lines of bounded length.

use crate::telemetry::without_escapes;

/// Longest line in bytes. The rest of a longer line is left out.
pub(super) const LONGEST_LINE: usize = 4 << 10;

/// The mark at the end of a line whose rest was left out.
const CUT: &str = " [line cut]";

/// Splits bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    line: Vec<u8>,
    is_cut: bool,
}

impl LineSplitter {
    /// Takes further bytes, and passes each line that is complete. Lines without text are left out.
    pub(super) fn push(&mut self, bytes: &[u8], pass: &mut dyn FnMut(String)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            let (content, is_whole) = match part.split_last() {
                Some((b'\n', content)) => (content, true),
                _ => (part, false),
            };
            self.is_cut |= content.len() > room;
            self.line.extend_from_slice(content.get(..room).unwrap_or(content));
            if is_whole {
                self.flush(pass);
            }
        }
    }

    /// Passes the last line, which has no end.
    pub(super) fn flush(&mut self, pass: &mut dyn FnMut(String)) {
        let mut line = without_escapes(&String::from_utf8_lossy(&self.line));
        if self.is_cut {
            line.push_str(CUT);
        }
        self.line.clear();
        self.is_cut = false;
        if !line.trim().is_empty() {
            pass(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(parts: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
        for part in parts {
            splitter.push(part, &mut |line| lines.push(line));
        }
        splitter.flush(&mut |line| lines.push(line));
        lines
    }

    #[test]
    fn lines_join_across_reads() {
        assert_eq!(split(&[b"one\n\ntw", b"o\r\nthr", b"ee"]), ["one", "two", "three"]);
    }

    #[test]
    fn long_line_is_cut() {
        let long = "x".repeat(LONGEST_LINE);
        let parts: [&[u8]; 4] = [long.as_bytes(), long.as_bytes(), b"y\nnext\n", long.as_bytes()];
        assert_eq!(split(&parts), [format!("{long}{CUT}"), "next".to_owned(), long]);
    }

    #[test]
    fn colours_are_removed() {
        assert_eq!(split(&[b"\x1b[31mred\x1b[0m \xff\n"]), ["red \u{fffd}"]);
    }
}

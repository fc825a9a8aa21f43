//! The newest lines of divvy's log, kept in memory for the console. Bounded in number and length;
//! a writer never waits for a reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// Details for finding a fault.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// Returns its name, at most five columns.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogLine {
    /// Its number, counting all lines of this run from 1.
    pub number: u64,
    /// Wall-clock time, milliseconds since 1970 in UTC.
    pub at_unix_ms: u64,
    /// Its severity.
    pub level: LogLevel,
    /// The part of the program that logged it (`divvy::scheduler`).
    pub from: String,
    /// The message: one line without control characters.
    pub text: String,
}

#[derive(Debug, Default)]
struct LogBuffer {
    lines: VecDeque<LogLine>,
    written: u64,
}

/// The newest lines. Clones share the same lines.
#[derive(Clone, Debug, Default)]
pub struct LogLines(Arc<Mutex<LogBuffer>>);

impl LogLines {
    /// Maximum number of lines.
    pub const MAX_LINES: usize = 1000;
    /// Maximum length of a line's text, in characters.
    pub const MAX_CHARACTERS: usize = 2000;

    /// Adds a line. Control characters become spaces; text beyond the maximum length is cut.
    pub fn push(&self, at_unix_ms: u64, level: LogLevel, from: &str, text: &str) {
        let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
        let text: String = text.trim_end().chars().take(Self::MAX_CHARACTERS).map(plain).collect();
        let mut kept = self.lock();
        kept.written += 1;
        let number = kept.written;
        kept.lines.push_back(LogLine { number, at_unix_ms, level, from: from.to_owned(), text });
        if kept.lines.len() > Self::MAX_LINES {
            kept.lines.pop_front();
        }
    }

    /// Returns the lines with a higher number, oldest first.
    pub fn after(&self, number: u64) -> Vec<LogLine> {
        let kept = self.lock();
        let newer = kept.lines.iter().rev().take_while(|line| line.number > number);
        let mut newer: Vec<LogLine> = newer.cloned().collect();
        newer.reverse();
        newer
    }

    fn lock(&self) -> MutexGuard<'_, LogBuffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a line of a program's output without its end and without colour escape sequences.
pub fn without_escapes(line: &str) -> String {
    let mut parts = line.trim_end().split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|letter: char| ('@'..='~').contains(&letter));
        text + end.and_then(|end| part.get(end + 1..)).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_lines() {
        let lines = LogLines::default();
        for number in 0..LogLines::MAX_LINES + 5 {
            lines.push(0, LogLevel::Info, "test", &number.to_string());
        }
        let all = lines.after(0);
        assert_eq!(all.len(), LogLines::MAX_LINES);
        assert_eq!((all[0].number, all[0].text.as_str()), (6, "5"));
        assert_eq!(lines.after(all.last().unwrap().number), []);
        lines.push(0, LogLevel::Warn, "test", "one more");
        assert_eq!(lines.after(all.last().unwrap().number).len(), 1);
    }

    #[test]
    fn control_characters_become_spaces() {
        let lines = LogLines::default();
        lines.push(0, LogLevel::Error, "test", "a\u{1b}[2Jb\nc\r\n");
        lines.push(0, LogLevel::Error, "test", &"x".repeat(9000));
        let all = lines.after(0);
        assert_eq!(all[0].text, "a [2Jb c");
        assert_eq!(all[1].text.len(), LogLines::MAX_CHARACTERS);
    }
}

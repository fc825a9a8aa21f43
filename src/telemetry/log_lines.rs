//! The newest lines of divvy's own log, kept for the console beside the file. Bounded in number and
//! in length; whoever writes never waits for whoever reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// The word for it, five columns at most.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Counts all lines of this run, from 1.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// How bad it is.
    pub level: LogLevel,
    /// Which part of the program says so (`divvy::scheduler`).
    pub from: String,
    /// What it says: one line without control characters.
    pub text: String,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    written: u64,
}

/// The newest lines. Cheap to clone; clones are the same lines.
#[derive(Clone, Debug, Default)]
pub struct LogLines(Arc<Mutex<Kept>>);

impl LogLines {
    /// How many lines are kept.
    pub const KEPT: usize = 1000;
    /// The longest text of a line, in characters.
    pub const LONGEST: usize = 2000;

    /// Adds a line. Control characters become spaces, and what is past the bound is cut.
    pub fn push(&self, at_unix_ms: u64, level: LogLevel, from: &str, text: &str) {
        let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
        let text: String = text.trim_end().chars().take(Self::LONGEST).map(plain).collect();
        let mut kept = self.lock();
        kept.written += 1;
        let number = kept.written;
        kept.lines.push_back(LogLine { number, at_unix_ms, level, from: from.to_owned(), text });
        if kept.lines.len() > Self::KEPT {
            kept.lines.pop_front();
        }
    }

    /// The kept lines with a higher number, oldest first.
    pub fn after(&self, number: u64) -> Vec<LogLine> {
        let kept = self.lock();
        let newer = kept.lines.iter().rev().take_while(|line| line.number > number);
        let mut newer: Vec<LogLine> = newer.cloned().collect();
        newer.reverse();
        newer
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // a line is whole in any case
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_given_once() {
        let lines = LogLines::default();
        for number in 0..LogLines::KEPT + 5 {
            lines.push(0, LogLevel::Info, "test", &number.to_string());
        }
        let all = lines.after(0);
        assert_eq!(all.len(), LogLines::KEPT);
        assert_eq!((all[0].number, all[0].text.as_str()), (6, "5"));
        assert_eq!(lines.after(all.last().unwrap().number), []);
        lines.push(0, LogLevel::Warn, "test", "one more");
        assert_eq!(lines.after(all.last().unwrap().number).len(), 1);
    }

    #[test]
    fn what_would_move_the_cursor_is_taken_out() {
        let lines = LogLines::default();
        lines.push(0, LogLevel::Error, "test", "a\u{1b}[2Jb\nc\r\n");
        lines.push(0, LogLevel::Error, "test", &"x".repeat(9000));
        let all = lines.after(0);
        assert_eq!(all[0].text, "a [2Jb c");
        assert_eq!(all[1].text.len(), LogLines::LONGEST);
    }
}

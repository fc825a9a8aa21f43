//! The log screen: the newest lines and the scroll position.

use std::collections::VecDeque;

use super::action::Effect;
use crate::telemetry::{LogLine, LogLines};

/// The newest lines, and the last one shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogView {
    lines: VecDeque<LogLine>,
    /// The number of the last line shown; `None` follows the newest.
    last: Option<u64>,
}

impl LogView {
    /// The lines, oldest first.
    pub fn lines(&self) -> &VecDeque<LogLine> {
        &self.lines
    }

    /// Returns the number of lines above the lower edge of the screen.
    pub fn end(&self) -> usize {
        let shown = |last| self.lines.iter().take_while(|line| line.number <= last).count();
        // the line at the scroll position may have been discarded
        self.last.map_or(self.lines.len(), |last| shown(last).max(self.lines.len().min(1)))
    }

    /// Returns the request for newer lines.
    pub(super) fn ask(&self) -> Effect {
        Effect::ReadLog { after: self.lines.back().map_or(0, |line| line.number) }
    }

    pub(super) fn take(&mut self, newer: Vec<LogLine>) {
        // two requests may have been pending at once
        let known = self.lines.back().map_or(0, |line| line.number);
        self.lines.extend(newer.into_iter().filter(|line| line.number > known));
        let excess = self.lines.len().saturating_sub(LogLines::MAX_LINES);
        self.lines.drain(..excess);
    }

    /// Scrolls down by `by` lines. Stops where the oldest `least` lines fill the screen; past the newest
    /// line, the screen follows the log again.
    pub(super) fn scroll(&mut self, by: i32, least: usize) {
        let end = self.end().max(least).saturating_add_signed(by as isize).max(least.max(1));
        self.last = end.checked_sub(1).and_then(|at| self.lines.get(at)).map(|line| line.number);
        if end >= self.lines.len() {
            self.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::LogLevel;

    #[test]
    fn log_follows_until_scrolled() {
        let lines = LogLines::default();
        let mut log = LogView::default();
        log.scroll(-1, 0);
        assert_eq!(log.end(), 0);
        for number in 1..=5 {
            lines.push(0, LogLevel::Info, "test", &number.to_string());
        }
        log.take(lines.after(0));
        log.take(lines.after(0));
        assert_eq!((log.end(), log.ask()), (5, Effect::ReadLog { after: 5 }));
        log.scroll(-2, 0);
        assert_eq!(log.end(), 3);
        lines.push(0, LogLevel::Info, "test", "6");
        log.take(lines.after(5));
        assert_eq!(log.end(), 3, "what comes does not move what is read");
        log.scroll(i32::MIN, 0);
        assert_eq!(log.end(), 1);
        log.scroll(i32::MIN, 4);
        assert_eq!(log.end(), 4, "a screen of four lines stays full");
        log.scroll(i32::MAX, 4);
        assert_eq!(log.end(), 6);
        for number in 7..2000 {
            lines.push(0, LogLevel::Info, "test", &number.to_string());
        }
        log.scroll(-1, 0);
        log.take(lines.after(6));
        assert_eq!((log.lines().len(), log.end()), (LogLines::MAX_LINES, 1));
    }
}

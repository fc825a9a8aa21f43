//! Input that waits until the effects of earlier input are known. Keys and wheel steps that arrive
//! together each apply to the state that the one before has left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossterm::event::{MouseEvent, MouseEventKind};

use crate::console::state::{Action, ConsoleState, is_settled};

/// Longest wait for an answer. If the scheduler or a folder takes longer, input applies to the state
/// as it is, so that the console can still be left.
const PATIENCE: Duration = Duration::from_secs(2);

/// One input event of the terminal.
#[derive(Clone, Debug)]
pub(crate) enum InputEvent {
    /// A key, a paste, a resize or a lost focus.
    Action(Action),
    /// A mouse event. Its meaning depends on the frame before it.
    Mouse(MouseEvent),
}

impl InputEvent {
    /// Returns true for a move of the pointer, of which a terminal sends many.
    pub(crate) fn is_motion(&self) -> bool {
        let Self::Mouse(event) = self else { return false };
        matches!(event.kind, MouseEventKind::Moved | MouseEventKind::Drag(_))
    }
}

/// The input events that have not been handled yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct InputQueue {
    events: VecDeque<InputEvent>,
    /// Requested effects that input waits for and that are not performed yet.
    requests: usize,
    /// The time since which the oldest event waits.
    since: Option<Instant>,
}

impl InputQueue {
    /// Appends an event.
    pub(crate) fn push(&mut self, event: InputEvent) {
        self.events.push_back(event);
    }

    /// Counts an effect that was requested; input is held until it has been performed.
    pub(crate) fn note_request(&mut self) {
        self.requests += 1;
    }

    /// Counts an effect that was performed.
    pub(crate) fn note_answer(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    /// Returns the oldest event; `None` if there is none, or if it must wait.
    pub(crate) fn next(&mut self, state: &ConsoleState, now: Instant) -> Option<InputEvent> {
        if self.requests == 0 && is_settled(state) {
            self.since = None;
        } else if !self.events.is_empty() {
            let since = *self.since.get_or_insert(now);
            if now.duration_since(since) < PATIENCE {
                return None;
            }
        }
        self.events.pop_front()
    }

    /// Returns how much longer the oldest event can wait; `None` if no event waits.
    pub(crate) fn remaining_wait(&self, now: Instant) -> Option<Duration> {
        let since = self.since.filter(|_| !self.events.is_empty())?;
        Some(PATIENCE.saturating_sub(now.duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::ConsoleOptions;

    fn state() -> ConsoleState {
        ConsoleState::new(&ConsoleOptions::default())
    }

    #[test]
    fn input_waits_for_the_answer() {
        let (mut queue, state, now) = (InputQueue::default(), state(), Instant::now());
        queue.note_request();
        queue.push(InputEvent::Action(Action::FocusLost));
        assert!(queue.next(&state, now).is_none());
        assert_eq!(queue.remaining_wait(now), Some(PATIENCE));
        queue.note_answer();
        assert!(queue.next(&state, now).is_some());
        assert_eq!(queue.remaining_wait(now), None);
    }

    #[test]
    fn missing_answer_delays_input_only_once() {
        let (mut queue, state, now) = (InputQueue::default(), state(), Instant::now());
        queue.note_request();
        queue.push(InputEvent::Action(Action::FocusLost));
        assert!(queue.next(&state, now).is_none());
        assert!(queue.next(&state, now + PATIENCE).is_some());
        queue.push(InputEvent::Action(Action::FocusLost));
        assert!(queue.next(&state, now + PATIENCE).is_some());
    }
}

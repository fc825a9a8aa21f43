//! The run in another process to which a console is attached, and its connection.

use std::sync::Arc;

use super::console_state::ConsoleState;
use super::gestures;
use super::history::MetricHistory;
use super::journal::JournalView;
use super::log::LogView;
use super::origin::Origins;
use super::screen::Tone;
use crate::scheduler::Connection;
use crate::telemetry::StateVersion;

/// The run to which a console is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// The connection to it.
    pub connection: Connection,
    /// The time since the connection was lost, in seconds.
    pub lost_s: u64,
    /// True if leaving the console asks whether the run goes on.
    pub asks_at_quit: bool,
}

impl Attachment {
    /// Returns the message about a lost connection; `None` if it is not lost.
    pub fn loss(&self) -> Option<String> {
        let Self { name, connection, lost_s, .. } = self;
        match connection {
            Connection::Connected { .. } => None,
            Connection::Lost { reason, .. } => {
                Some(format!("connection to {name} lost {lost_s} s ago; reconnecting ({reason})"))
            }
            Connection::Ended { .. } => {
                Some(format!("{name} ended {lost_s} s ago; waiting for a run of this name"))
            }
        }
    }
}

impl ConsoleState {
    /// Returns the message about the lost connection to the run; `None` if it is not lost.
    pub fn connection_loss(&self) -> Option<String> {
        self.attached.as_ref()?.loss()
    }

    /// Returns the run if leaving the console asks whether it goes on.
    pub(crate) fn run_to_leave(&self) -> Option<&Attachment> {
        self.attached.as_ref().filter(|run| run.asks_at_quit && run.loss().is_none())
    }

    /// Returns the reason why nothing can be changed now; `None` if changes are possible.
    pub(super) fn lock(&self) -> Option<String> {
        if self.readonly {
            return Some("read-only: nothing can be changed here".to_owned());
        }
        let attached = self.attached.as_ref()?;
        attached.loss()?;
        Some(format!("nothing can be changed while the connection to {} is lost", attached.name))
    }
}

/// Takes in the state of the connection.
pub(super) fn follow(state: &mut ConsoleState, connection: Connection, lost_s: u64) {
    let Some(attached) = &mut state.attached else { return };
    attached.lost_s = lost_s;
    let before = std::mem::replace(&mut attached.connection, connection.clone());
    let name = attached.name.clone();
    match (before, connection) {
        (Connection::Connected { pid: old }, Connection::Connected { pid }) if old == pid => {}
        (_, Connection::Connected { pid }) if state.attached_pid == Some(pid) => {
            state.say(Tone::Good, format!("connected to {name} again"));
        }
        (_, Connection::Connected { pid }) => {
            let is_first = state.attached_pid.replace(pid).is_none();
            if !is_first {
                forget_run(state);
                let text = format!("{name} was started again (process {pid}): this is its state");
                state.say(Tone::Info, text);
            }
        }
        (Connection::Connected { .. }, _) => {
            gestures::cancel_drag(state, "the connection was lost");
            state.message = None;
        }
        _ => {}
    }
}

/// Forgets what belongs to the process before: versions, times and numbers of changes count anew.
fn forget_run(state: &mut ConsoleState) {
    state.history = MetricHistory::default();
    state.journal = JournalView::default();
    state.log = LogView::default();
    state.fresh = None;
    state.arriving = None;
    state.awaited_version = StateVersion::default();
    state.origins = Origins::default();
    state.message_change = None;
    state.staged.clear();
    state.staged_plan = None;
    state.snapshot = Arc::default();
}

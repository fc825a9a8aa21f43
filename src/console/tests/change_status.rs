//! The status of a change: the message, the changes pane and the row say the same.

use std::sync::Arc;

use crossterm::event::KeyCode;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, AppliedKind, Tone};
use crate::scheduler::Control;
use crate::telemetry::{
    Applied, Author, ChangeStatus, JournalEntry, ModelState, Snapshot, VerdictStatus,
};

const BUILDING: ChangeStatus = ChangeStatus::Building { ready: 59, total: 300 };

fn rolled_back() -> ChangeStatus {
    ChangeStatus::RolledBack { reason: "no memory is left".to_owned() }
}

/// A console that shows change 7 with a status.
struct Shown {
    console: TestConsole,
    snapshot: Snapshot,
}

impl Shown {
    fn new(status: ChangeStatus) -> Self {
        let mut console = TestConsole::new(120, 36);
        let mut snapshot = fixtures::board();
        snapshot.changes.clear();
        console.show(snapshot.clone());
        let layout = console.control.layout();
        let edit = crate::layout::Edit::SetConcurrency {
            model: layout.models[0].name.clone(),
            concurrency: crate::layout::Auto::Exactly(300),
        };
        let plan = console.control.plan(&edit.into()).unwrap();
        let applied = Applied {
            id: 7,
            of: None,
            plan,
            force_us: 41,
            differences: Vec::new(),
            stages: crate::telemetry::ChangeStages::default(),
            version: crate::telemetry::StateVersion::default(),
            status: status.clone(),
        };
        let result = Box::new(Ok(applied));
        console.act(Action::Applied { kind: AppliedKind::Change, result });
        let mut shown = Self { console, snapshot };
        shown.show(status);
        shown
    }

    /// Shows a snapshot in which the change has another status.
    fn show(&mut self, status: ChangeStatus) {
        let mut entry = JournalEntry {
            verdicts: Vec::new(),
            status,
            ..fixtures::entry(7, VerdictStatus::Open, 742)
        };
        entry.summary = "detector 2 -> 300 instances".to_owned();
        let state = &mut self.snapshot.models[0].state;
        *state = match entry.status {
            ChangeStatus::Building { ready, total } => ModelState::Warming { ready, total },
            _ => ModelState::Running,
        };
        self.snapshot.changes = vec![Arc::new(entry)];
        self.snapshot.sequence += 1;
        self.console.show(self.snapshot.clone());
    }

    fn tone(&self) -> Option<Tone> {
        self.console.state.message.as_ref().map(|message| message.tone)
    }
}

#[test]
fn building_is_not_called_in_force() {
    let shown = Shown::new(BUILDING);
    let message = shown.console.message();
    assert!(message.contains("instances, building 59 of 300"), "{message}");
    assert_eq!(shown.tone(), Some(Tone::Info));
    let text = shown.console.text();
    assert!(text.contains("detector 2 -> 300 instances, building 59 of 300"), "{text}");
    assert!(text.lines().any(|line| line.contains("detector") && line.contains("59 of 300")));
    assert!(!text.contains("in force"), "{text}");
}

#[test]
fn message_follows_the_status() {
    let mut shown = Shown::new(BUILDING);
    shown.show(ChangeStatus::Building { ready: 60, total: 300 });
    assert!(shown.console.message().contains("building 60 of 300"));
    shown.show(ChangeStatus::InForce);
    assert!(shown.console.message().contains("in force in 41 us"));
    assert_eq!(shown.tone(), Some(Tone::Good));
}

#[test]
fn failure_replaces_the_success() {
    let mut shown = Shown::new(BUILDING);
    shown.show(rolled_back());
    let message = shown.console.message();
    assert!(message.ends_with("rolled back: no memory is left"), "{message}");
    assert_eq!(shown.tone(), Some(Tone::Bad));
    let text = shown.console.text();
    assert_eq!(text.matches("rolled back: no memory is left").count(), 2, "{text}");
    assert!(!text.contains("in force"), "{text}");
}

#[test]
fn failure_is_shown_after_another_key() {
    let mut shown = Shown::new(BUILDING);
    shown.console.key(KeyCode::Down);
    assert_eq!(shown.console.message(), "");
    shown.show(rolled_back());
    assert!(shown.console.message().ends_with("rolled back: no memory is left"));
    shown.console.key(KeyCode::Down);
    shown.show(rolled_back());
    assert_eq!(shown.console.message(), "", "a failure is shown once");
}

#[test]
fn rollback_is_named_in_changes() {
    let mut shown = Shown::new(BUILDING);
    shown.show(rolled_back());
    let mut failed = shown.snapshot.changes[0].as_ref().clone();
    failed.undone = true;
    let own = JournalEntry {
        id: 8,
        author: Author::Scheduler,
        undoes: Some(7),
        summary: "detector 300 -> 2 instances".to_owned(),
        verdicts: Vec::new(),
        ..fixtures::entry(8, VerdictStatus::Open, 743)
    };
    shown.snapshot.changes = vec![Arc::new(failed), Arc::new(own)];
    shown.console.show(shown.snapshot.clone());
    let text = shown.console.text();
    assert!(text.contains("divvy: rollback: detector 300 -> 2 instances"), "{text}");
    assert!(!text.contains("(undone)"), "{text}");
}

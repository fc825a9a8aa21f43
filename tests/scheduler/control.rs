//! Conditional changes, and calls to a scheduler that has stopped or does not answer.

use std::time::Duration;

use divvy::layout::{ModelSource, RefusalKind};
use divvy::scheduler::{ChangeOperation, ChangeRequest, Control, ModelInspection};
use divvy::telemetry::{Author, StateVersion};

use super::held_machine::HeldMachine;
use super::test_scheduler::*;

fn request(count: usize) -> ChangeRequest {
    ChangeRequest::new(ChangeOperation::Apply(concurrency("m", count).into()), Author::Tuner)
}

#[test]
fn change_on_an_old_state_is_refused() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let seen = test.scheduler.version();
    let applied = test.scheduler.request(request(1).expecting(seen)).unwrap();
    assert!(applied.version > seen);
    assert_eq!(test.scheduler.version(), applied.version);
    let refusal = test.scheduler.request(request(2).expecting(seen)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::StateChanged);
    let undo = ChangeRequest::new(ChangeOperation::UndoChange(applied.id), Author::Autopilot);
    let refusal = test.scheduler.request(undo.clone().expecting(seen)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::StateChanged);
    assert_eq!(test.scheduler.journal().len(), 1);
    test.scheduler.request(undo.expecting(applied.version)).unwrap();
    assert_eq!(test.scheduler.journal().pop().unwrap().author, Author::Autopilot);
}

#[test]
fn snapshots_carry_the_version() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    let version = test.apply(concurrency("m", 1)).version;
    test.wait("the snapshot", || test.snapshot().state_version == version);
}

#[test]
fn machine_change_moves_the_version() {
    let test = TestScheduler::start(2, vec![row("m", "0")]);
    let seen = test.scheduler.version();
    test.machine.set_quota(Some(1.5));
    test.wait("the version", || test.scheduler.version() > seen);
    assert!(test.scheduler.version() > StateVersion::default());
}

#[test]
fn stuck_scheduler_answers_with_an_error() {
    let mut held = None;
    let names = ["m".to_owned()];
    let test = TestScheduler::start_with(3, vec![row("m", "0-1")], &names, |options| {
        held = Some(HeldMachine::install(options));
        options.answer_limit = Duration::from_millis(50);
    });
    let held = held.unwrap();
    test.until("m", |view| view.actual.active == 2 && warm(view));
    test.apply(concurrency("m", 1));
    let hold = held.hold();
    let cores = divvy::layout::Edit::SetCores {
        model: "m".to_owned(),
        cores: divvy::layout::CoreRequest::List(set("0-2")),
    };
    let taken = test.scheduler.apply(cores.into(), Author::Api).unwrap_err();
    assert_eq!(taken.kind, RefusalKind::Unanswered);
    let withdrawn = test.scheduler.request(request(2)).unwrap_err();
    assert_eq!(withdrawn.kind, RefusalKind::TimedOut);
    // The newest snapshot's entries; the change under way is not among them.
    assert!(test.scheduler.journal().len() <= 1);
    drop(hold);
    test.wait("the change", || test.scheduler.journal().len() == 2);
    test.apply(concurrency("m", 3));
    let ids: Vec<u64> = test.scheduler.journal().iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [1, 2, 3], "the withdrawn change was not applied");
}

#[test]
fn stopped_scheduler_keeps_its_last_entries() {
    let test = TestScheduler::start(2, vec![row("m", "0-1")]);
    test.apply(concurrency("m", 1));
    test.scheduler.stop(PATIENCE).unwrap();
    let refusal = test.scheduler.request(request(2)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Stopped);
    assert_eq!(test.scheduler.journal().len(), 1);
}

#[test]
fn inspection_reads_the_file_of_a_row() {
    let mut embedded = row("m", "0");
    embedded.source = ModelSource::Embedded("detector.onnx".to_owned()).into();
    let test = TestScheduler::start(2, vec![embedded, row("missing", "1")]);
    let file = test.scheduler.inspect("m").unwrap();
    assert!(!file.signature.inputs.is_empty());
    let refusal = test.scheduler.inspect("missing").unwrap_err();
    assert_eq!(refusal.model.as_deref(), Some("missing"));
    assert!(test.scheduler.inspect("x").is_err());
}

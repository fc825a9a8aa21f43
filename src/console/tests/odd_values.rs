//! Sentences of the screen with odd values: one core, long names, uneven shares, small remainders.

use std::sync::Arc;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::format;
use crate::layout::{Budget, Edit, Layout, Refusal};
use crate::scheduler::Control;
use crate::telemetry::{Alert, JournalEntry, Snapshot, VerdictStatus, text};

/// Returns the lines of a console that shows a snapshot.
fn lines(snapshot: Snapshot, keys: &str) -> Vec<String> {
    let mut console = TestConsole::new(120, 36);
    console.show(snapshot);
    console.keys(keys);
    console.text().lines().map(str::to_owned).collect()
}

#[test]
fn one_oversubscribed_core_is_named() {
    let mut snapshot = fixtures::board();
    snapshot.ledger.oversubscribed = "0".parse().unwrap();
    let head = lines(snapshot.clone(), "").remove(0);
    assert!(head.contains("  core 0 oversubscribed"), "{head}");
    snapshot.ledger.oversubscribed = "0-1".parse().unwrap();
    let head = lines(snapshot, "").remove(0);
    assert!(head.contains("  cores 0-1 oversubscribed"), "{head}");
}

#[test]
fn negative_remainder_is_explained() {
    let with = |bytes| {
        let mut snapshot = fixtures::board();
        snapshot.memory_table.unattributed_bytes = bytes;
        lines(snapshot, "w").join("\n")
    };
    let text = with(-(1 << 20) / 8);
    assert!(text.contains("over-attributed          0.1") && !text.contains("-0.1"), "{text}");
    assert!(!with(-100).contains("-0.0"));
}

#[test]
fn verdicts_do_not_split_a_sentence() {
    let mut snapshot = fixtures::board();
    let clauses: Vec<String> = (0..9).map(|at| format!("model-{at} 2 -> 3 cores")).collect();
    let entry = JournalEntry {
        summary: clauses.join(", "),
        ..fixtures::entry(1, VerdictStatus::Done, 690)
    };
    let newest = fixtures::entry(2, VerdictStatus::Done, 700);
    snapshot.changes = vec![Arc::new(entry), Arc::new(newest)];
    let text = lines(snapshot, "").join("\n");
    assert!(!text.contains("also"), "{text}");
    let (start, verdict) = (text.find("model-0").unwrap(), text.rfind("detector p99").unwrap());
    assert!(start < verdict, "{text}");
    assert!(!text[verdict..].contains("model-"), "the summary is whole before it: {text}");
    assert!(text[start..verdict].contains(", \u{2026}"), "{text}");
}

#[test]
fn uneven_share_is_rounded() {
    let mut layout = fixtures::layout();
    layout.models.truncate(1);
    let share = crate::layout::CoreRequest::Share(100.0 / 3.0);
    let new = Layout {
        models: vec![Budget { cores: share, ..layout.models[0].clone() }],
        ..layout.clone()
    };
    let diff: Vec<String> =
        crate::layout::diff(&layout, &new).iter().map(ToString::to_string).collect();
    let diff = diff.join("\n");
    assert!(diff.contains("33.33%") && !diff.contains("33.333"), "{diff}");
}

/// A name of the greatest length.
fn long_name() -> String {
    "n".repeat(200)
}

#[test]
fn long_names_leave_room_for_the_message() {
    let mut layout = fixtures::layout();
    layout.models[0].name = long_name();
    let mut console = TestConsole::with(&layout, fixtures::machine(8, 4), 120, 36);
    console.keys("p");
    assert!(format::width(console.message()) < 200, "{}", console.message());
    let refusal = Refusal::row(&long_name(), "it is so");
    assert!(refusal.to_string().len() < 60, "{refusal}");
    console.keys("X");
    let text = console.text();
    assert!(text.contains("nnn...nnn") && text.contains("undoes it"), "{text}");
    let remove = Edit::Remove { model: long_name() };
    let plan = console.control.plan(&remove.into()).unwrap();
    assert!(plan.summary.len() < 100, "{}", plan.summary);
}

#[test]
fn long_names_leave_room_for_verdicts() {
    let mut entry = fixtures::entry(1, VerdictStatus::Done, 690);
    entry.verdicts[0].model = long_name();
    let (clause, _) = text::verdict_clause(&entry.verdicts[0], "->");
    assert!(clause.len() < 100 && clause.contains("p99"), "{clause}");
}

#[test]
fn long_names_leave_room_for_alerts() {
    let mut snapshot = fixtures::board();
    snapshot.models[0].row.budget.name = long_name();
    snapshot.models[0].actual.difference = Some("its threads stay".to_owned());
    let alerts: Vec<Alert> = crate::telemetry::alerts(&snapshot);
    assert!(alerts.iter().all(|alert| alert.text.len() < 120), "{alerts:?}");
}

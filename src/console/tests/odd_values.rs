//! Sentences of the screen with odd values: one core, long names, uneven shares, small remainders.

use std::sync::Arc;
use std::time::Duration;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::format;
use crate::console::state::{Action, Command};
use crate::layout::{
    Budget, Bytes, CoreRequest, DesiredState, Edit, Layout, LoadSpec, Refusal, Slo, diff,
};
use crate::scheduler::Control;
use crate::telemetry::{
    Alert, JournalEntry, ModelState, Snapshot, VerdictStatus, Window, alerts, text,
};

/// Returns the lines of a console that shows a snapshot.
fn lines(snapshot: Snapshot, keys: &str) -> Vec<String> {
    let mut console = TestConsole::new(120, 36);
    console.show(snapshot);
    console.keys(keys);
    console.text().lines().map(str::to_owned).collect()
}

#[test]
fn sharing_by_weight_is_no_warning() {
    let mut snapshot = fixtures::oversubscribed();
    snapshot.ledger.oversubscribed = snapshot.ledger.shared;
    let shared = snapshot.ledger.shared.len();
    assert!(lines(snapshot.clone(), "").remove(0).contains("oversubscribed"));
    for (view, weight) in snapshot.models.iter_mut().zip(1..) {
        view.row.budget.weight = weight;
    }
    let head = lines(snapshot, "").remove(0);
    assert!(head.contains(&format!("{shared} shared by weight")), "{head}");
    assert!(!head.contains("oversubscribed"), "{head}");
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
    let share = CoreRequest::Share(100.0 / 3.0);
    let new = Layout {
        models: vec![Budget { cores: share, ..layout.models[0].clone() }],
        ..layout.clone()
    };
    let lines: Vec<String> = diff(&layout, &new).iter().map(ToString::to_string).collect();
    let lines = lines.join("\n");
    assert!(lines.contains("33.33%") && !lines.contains("33.333"), "{lines}");
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
    let shown: Vec<Alert> = alerts(&snapshot);
    assert!(shown.iter().all(|alert| alert.text.len() < 120), "{shown:?}");
}

/// Nouns that the screen counts.
const PLURALS: [&str; 14] = [
    "cores",
    "instances",
    "threads",
    "requests",
    "models",
    "copies",
    "changes",
    "clients",
    "rows",
    "names",
    "lines",
    "GPUs",
    "seconds",
    "CPUs",
];

/// Words between a number and its noun.
const ADJECTIVES: [&str; 5] = ["logical", "physical", "staged", "more", "new"];

/// Returns the faults of a text: "1 cores", numbers with a tail of digits, and what is no number.
fn faults(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().chain([""]).collect();
    let plural = |part: &&[&str]| {
        let noun = if ADJECTIVES.contains(&part[1]) { part[2] } else { part[1] };
        part[0].trim_start_matches('(') == "1"
            && PLURALS.contains(&noun.trim_end_matches([',', '.', ';', ':', ')']))
    };
    let is_odd = |word: &str| {
        let tail = word
            .split_once('.')
            .map_or(0, |(_, tail)| tail.chars().take_while(char::is_ascii_digit).count());
        let starts = word.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
        (starts && tail > 3) || ["NaN", "inf", "-0.0", "-0", "-0%", "NaN%"].contains(&word)
    };
    let plurals = words.windows(3).filter(plural).map(|part| part.join(" "));
    plurals.chain(words.iter().filter(|word| is_odd(word)).map(|word| (*word).to_owned())).collect()
}

/// Returns snapshots whose values are one, zero or uneven.
fn odd_snapshots() -> Vec<Snapshot> {
    let mut layout = fixtures::layout();
    layout.models.truncate(1);
    let row = &mut layout.models[0];
    row.cores = CoreRequest::Share(100.0 / 3.0);
    row.load = Some(LoadSpec::Poisson { rate: 100.0 / 3.0 });
    row.slo = Some(Slo { percentile: 99.95, bound: Duration::from_nanos(33_333_333) });
    row.queue.limit = 1;
    row.memory = Some(Bytes(1));
    let machine = fixtures::machine(1, 1);
    let desired = DesiredState::resolve(&layout, &machine).unwrap();
    let mut one = fixtures::snapshot(&desired, &machine);
    one.ledger.quota = Some(4.0 / 3.0);
    one.ledger.oversubscribed = "0".parse().unwrap();
    one.changes = vec![Arc::new(fixtures::entry(1, VerdictStatus::NotEnough, 690))];
    let view = &mut one.models[0];
    view.counts.queued = 1;
    view.counts.blocked = 1;
    view.second.lost_per_s = 1.0 / 3.0;
    view.offered_per_s = Some(100.0 / 3.0);
    view.guessed_dims = [("n".to_owned(), 1)].into();
    one.alerts = alerts(&one);
    let mut idle = one.clone();
    idle.models[0].state = ModelState::Paused;
    idle.models[0].second = Window::default();
    idle.models[0].minute = Window::default();
    idle.models[0].wait = None;
    idle.memory_table.unattributed_bytes = -1;
    idle.alerts = alerts(&idle);
    let mut staged = fixtures::board();
    staged.changes.truncate(1);
    vec![one, idle, staged]
}

#[test]
fn screens_have_no_odd_words() {
    let screens = [
        Command::Board,
        Command::Detail,
        Command::Machine,
        Command::Memory,
        Command::Journal,
        Command::Log,
        Command::Help,
    ];
    let mut all: Vec<String> = Vec::new();
    for snapshot in odd_snapshots() {
        for (width, height) in [(80, 24), (120, 36), (200, 70)] {
            for screen in screens {
                let mut console = TestConsole::new(width, height);
                console.show(snapshot.clone());
                console.keys("k");
                console.act(Action::Command(screen));
                let text = console.text();
                let found = faults(&text);
                if !found.is_empty() {
                    all.push(format!("{found:?} in {screen:?} at {width}x{height}:\n{text}"));
                }
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn odd_words_are_found() {
    assert_eq!(
        faults("it has 1 cores, 33.333333% and -0.0"),
        ["1 cores, 33.333333%", "33.333333%", "-0.0"]
    );
    assert!(faults("it has 1 core, 33.33% and 0.0 of 10.0.0.1").is_empty());
}

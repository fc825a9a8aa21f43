//! Tests of the order of the table's rows, which is computed on request and then kept.

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{SortKey, Target};
use crate::layout::CoreOwner;
use crate::telemetry::Snapshot;

fn names(console: &TestConsole) -> Vec<String> {
    let names = console.state.rows().into_iter().filter_map(|row| match row {
        CoreOwner::Model(name) => Some(name),
        CoreOwner::Free => None,
    });
    names.collect()
}

/// Returns a snapshot with values for detector, ocr and embedder.
fn with(figures: [(u64, u64); 3]) -> Snapshot {
    let mut snapshot = fixtures::board();
    for (view, (p99_us, queued)) in snapshot.models.iter_mut().zip(figures) {
        view.minute.total.p99_us = p99_us;
        view.minute.slo_us = Some(p99_us);
        view.counts.queued = queued;
    }
    snapshot
}

#[test]
fn sort_key_cycles_to_the_layout_order() {
    let mut console = TestConsole::new(120, 36);
    console.show(with([(14_000, 4), (225_000, 31), (7_000, 0)]));
    let mut seen = Vec::new();
    for _ in 0..7 {
        console.keys("O");
        seen.push((console.state.sorting.key(), names(&console).join(" ")));
    }
    assert_eq!(
        seen.iter().map(|(key, names)| (*key, names.as_str())).collect::<Vec<_>>(),
        [
            (SortKey::Name, "detector embedder ocr"),
            (SortKey::Cores, "detector ocr embedder"),
            (SortKey::P99, "ocr detector embedder"),
            (SortKey::Slack, "ocr detector embedder"),
            (SortKey::Cpu, "detector ocr embedder"),
            (SortKey::Queue, "ocr detector embedder"),
            (SortKey::Layout, "detector ocr embedder"),
        ]
    );
}

#[test]
fn changing_metrics_do_not_move_rows() {
    let mut console = TestConsole::new(120, 36);
    console.show(with([(14_000, 0), (225_000, 0), (7_000, 0)]));
    console.keys("3OOO");
    assert_eq!(console.state.selected, CoreOwner::Model("embedder".into()));
    assert_eq!(names(&console), ["ocr", "detector", "embedder"]);
    console.show(with([(14_000, 0), (1_000, 0), (700_000, 0)]));
    assert_eq!(names(&console), ["ocr", "detector", "embedder"]);
    assert!(console.text().contains("Models by p99, most first"), "{}", console.text());
    // a click on the title reverses the order; the next one restores it
    let title = console.place(&Target::Title(SortKey::P99));
    console.down(title);
    console.up(title);
    assert_eq!(names(&console), ["ocr", "detector", "embedder"]);
    console.down(title);
    assert_eq!(names(&console), ["embedder", "detector", "ocr"]);
    assert_eq!(console.state.selected, CoreOwner::Model("embedder".into()));
    assert!(console.text().contains("p99▼"), "{}", console.text());
    // digits count the rows as they are shown
    console.keys("3");
    assert_eq!(console.state.selected, CoreOwner::Model("ocr".into()));
}

#[test]
fn added_model_updates_the_order() {
    let mut console = TestConsole::new(120, 36);
    let all = with([(14_000, 0), (225_000, 0), (7_000, 0)]);
    let mut two = all.clone();
    two.models.remove(1);
    console.show(two);
    console.keys("OOO");
    assert_eq!(names(&console), ["detector", "embedder"]);
    console.show(all);
    assert_eq!(names(&console), ["ocr", "detector", "embedder"]);
}

#[test]
fn models_without_a_value_sort_last() {
    let mut console = TestConsole::new(120, 36);
    let mut snapshot = with([(14_000, 0), (225_000, 0), (7_000, 0)]);
    snapshot.models[0].minute.total.count = 0;
    console.show(snapshot);
    let title = console.place(&Target::Title(SortKey::P99));
    for order in [["ocr", "embedder", "detector"], ["embedder", "ocr", "detector"]] {
        console.down(title);
        assert_eq!(names(&console), order);
    }
}

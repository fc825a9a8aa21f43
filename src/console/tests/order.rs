//! The order of the table's rows: taken when it is asked for, kept while figures move.

use super::fixtures;
use super::testing::Desk;
use crate::console::state::{SortKey, Target};
use crate::layout::CoreOwner;
use crate::telemetry::Snapshot;

fn names(desk: &Desk) -> Vec<String> {
    let names = desk.state.rows().into_iter().filter_map(|row| match row {
        CoreOwner::Model(name) => Some(name),
        CoreOwner::Free => None,
    });
    names.collect()
}

/// Figures of detector, ocr and embedder.
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
fn the_key_goes_through_the_orders_and_back_to_the_layout() {
    let mut desk = Desk::new(120, 36);
    desk.show(with([(14_000, 4), (225_000, 31), (7_000, 0)]));
    let mut seen = Vec::new();
    for _ in 0..7 {
        desk.keys("O");
        seen.push((desk.state.sorting.key(), names(&desk).join(" ")));
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
fn rows_stay_where_they_are_while_figures_move_and_the_selection_on_its_model() {
    let mut desk = Desk::new(120, 36);
    desk.show(with([(14_000, 0), (225_000, 0), (7_000, 0)]));
    desk.keys("3OOO");
    assert_eq!(desk.state.selected, CoreOwner::Model("embedder".into()));
    assert_eq!(names(&desk), ["ocr", "detector", "embedder"]);
    desk.show(with([(14_000, 0), (1_000, 0), (700_000, 0)]));
    assert_eq!(names(&desk), ["ocr", "detector", "embedder"]);
    assert!(desk.text().contains("Models by p99, most first"), "{}", desk.text());
    // a click on the title takes it anew, the other way around; the next one back
    let title = desk.place(&Target::Title(SortKey::P99));
    desk.down(title);
    desk.up(title);
    assert_eq!(names(&desk), ["ocr", "detector", "embedder"]);
    desk.down(title);
    assert_eq!(names(&desk), ["embedder", "detector", "ocr"]);
    assert_eq!(desk.state.selected, CoreOwner::Model("embedder".into()));
    assert!(desk.text().contains("p99▼"), "{}", desk.text());
    // digits count the rows as they are shown
    desk.keys("3");
    assert_eq!(desk.state.selected, CoreOwner::Model("ocr".into()));
}

#[test]
fn a_model_that_comes_or_goes_has_the_order_taken_anew() {
    let mut desk = Desk::new(120, 36);
    let all = with([(14_000, 0), (225_000, 0), (7_000, 0)]);
    let mut two = all.clone();
    two.models.remove(1);
    desk.show(two);
    desk.keys("OOO");
    assert_eq!(names(&desk), ["detector", "embedder"]);
    desk.show(all);
    assert_eq!(names(&desk), ["ocr", "detector", "embedder"]);
}

#[test]
fn what_has_no_figure_stands_last_both_ways() {
    let mut desk = Desk::new(120, 36);
    let mut snapshot = with([(14_000, 0), (225_000, 0), (7_000, 0)]);
    snapshot.models[0].minute.total.count = 0;
    desk.show(snapshot);
    let title = desk.place(&Target::Title(SortKey::P99));
    for order in [["ocr", "embedder", "detector"], ["embedder", "ocr", "detector"]] {
        desk.down(title);
        assert_eq!(names(&desk), order);
    }
}

//! Tests of what the console shows of the server's clients.

use std::sync::Arc;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, ConnectionKey, Screen, Target};
use crate::telemetry::{
    ConnectionView, ListenerView, Protocol, RefusedRequests, ServedModelView, ServerView, Snapshot,
    alerts,
};

/// The tested sizes: wide, common, classic and smallest.
const SIZES: [(u16, u16); 4] = [(200, 50), (120, 36), (80, 24), (40, 12)];

fn connection(id: u64, model: &str, requests_per_s: f64) -> ConnectionView {
    ConnectionView {
        id,
        peer: format!("127.0.0.1:{}", 40_000 + id),
        protocol: if id.is_multiple_of(3) { Protocol::Grpc } else { Protocol::Http },
        model: model.to_owned(),
        age_us: (id + 1) * 61_000_000,
        requests: 10_000 - id,
        requests_per_s,
        open_requests: id % 2,
        received_bytes: id * 700_000,
        sent_bytes: id * 900,
    }
}

/// The design's picture with a server: detector is served from outside only, ocr refuses requests.
fn served() -> Snapshot {
    let mut snapshot = fixtures::board();
    snapshot.models[0].load = None;
    snapshot.models[0].offered_per_s = None;
    let refused =
        |reason: &str, count, recent| RefusedRequests { reason: reason.to_owned(), count, recent };
    let models = vec![
        ServedModelView {
            model: "detector".to_owned(),
            requests: 90_000,
            requests_per_s: 408.0,
            answered: 90_000,
            answered_per_s: 408.0,
            refused: Vec::new(),
        },
        ServedModelView {
            model: "ocr".to_owned(),
            requests: 1_500,
            requests_per_s: 22.5,
            answered: 1_200,
            answered_per_s: 18.3,
            refused: vec![refused("queue_full", 250, 40), refused("timed_out", 50, 2)],
        },
    ];
    snapshot.server = Some(Arc::new(ServerView {
        listeners: vec![
            ListenerView { protocol: Protocol::Http, address: "127.0.0.1:8000".to_owned() },
            ListenerView { protocol: Protocol::Grpc, address: "127.0.0.1:8001".to_owned() },
        ],
        connections: 12,
        connection_limit: 1024,
        busiest: (0..12)
            .map(|id| connection(id, ["detector", "ocr"][id as usize % 2], 40.0 - id as f64))
            .collect(),
        models,
        in_flight_bytes: 3 << 20,
        in_flight_limit_bytes: 1 << 30,
        ..ServerView::default()
    }));
    snapshot.alerts = alerts(&snapshot);
    snapshot
}

fn console(snapshot: Snapshot, (width, height): (u16, u16)) -> TestConsole {
    let mut console = TestConsole::new(width, height);
    let rows = snapshot.models.iter().map(|view| view.row.budget.clone());
    console.state.saved = Some(rows.collect());
    console.act(Action::Snapshot(Arc::new(snapshot)));
    console
}

#[test]
fn board_with_clients_at_every_size() {
    let frames = SIZES.map(|size| console(served(), size).text());
    insta::assert_snapshot!("board_clients", frames.join("\n"));
}

#[test]
fn connections_at_every_size() {
    let frames = SIZES.map(|size| {
        let mut console = console(served(), size);
        console.keys("c");
        console.text()
    });
    insta::assert_snapshot!("sizes_connections", frames.join("\n"));
}

#[test]
fn clients_are_counted_at_every_size() {
    for size in SIZES {
        let text = console(served(), size).text();
        assert!(text.contains("Clients 12"), "{text}");
        assert!(text.contains("408.0"), "{text}");
    }
}

#[test]
fn drain_is_shown_at_every_size() {
    let mut snapshot = served();
    let mut server = ServerView::clone(snapshot.server.as_ref().unwrap());
    server.is_draining = true;
    snapshot.server = Some(server.into());
    for size in SIZES {
        let text = console(snapshot.clone(), size).text();
        let head = text.lines().next().unwrap();
        assert!(head.contains("draining"), "{head}");
    }
}

#[test]
fn refused_requests_are_an_alert() {
    let text = console(served(), (200, 50)).text();
    assert!(text.contains(" ocr: queue full, 40 requests not served in 10 s"), "{text}");
}

#[test]
fn detail_separates_clients_from_load() {
    let mut detector = console(served(), (120, 60));
    detector.keys("d");
    assert!(detector.text().contains("none: served only from outside"), "{}", detector.text());
    let mut ocr = console(served(), (120, 60));
    ocr.keys("jd");
    let text = ocr.text();
    assert!(text.contains("300: 250 queue full, 50 timed out"), "{text}");
    assert!(text.contains("refused 40 queue full, 2 timed out"), "{text}");
}

#[test]
fn screen_without_server_says_how_to_start() {
    for size in SIZES {
        let mut console = console(fixtures::board(), size);
        assert!(!console.text().contains("Clients"), "{}", console.text());
        console.keys("c");
        assert_eq!(console.state.screen, Screen::Connections);
        assert!(console.text().contains("--listen"), "{}", console.text());
    }
}

#[test]
fn connections_are_sorted_on_request() {
    let mut console = console(served(), (120, 36));
    console.keys("c");
    let first = |console: &TestConsole| console.state.connections()[0].id;
    assert_eq!(first(&console), 0);
    let title = console.place(&Target::ConnectionTitle(ConnectionKey::Received));
    console.down(title);
    assert_eq!(first(&console), 11);
    console.down(title);
    assert_eq!(first(&console), 0);
    assert!(console.text().contains("by bytes in, least first"), "{}", console.text());
    console.keys("O");
    assert!(console.text().contains("by bytes out, most first"), "{}", console.text());
}

#[test]
fn filter_applies_to_connections() {
    let mut console = console(served(), (120, 36));
    console.keys("c/40007");
    let ids: Vec<u64> = console.state.connections().iter().map(|found| found.id).collect();
    assert_eq!(ids, [7]);
}

#[test]
fn every_connection_can_be_reached() {
    let mut snapshot = served();
    let mut server = ServerView::clone(snapshot.server.as_ref().unwrap());
    server.busiest = (0..200).map(|id| connection(id, "ocr", 0.0)).collect();
    server.connections = 300;
    snapshot.server = Some(server.into());
    for size in SIZES {
        let mut console = console(snapshot.clone(), size);
        console.keys("c");
        assert!(console.text().contains("127.0.0.1:40000"), "{}", console.text());
        console.keys("G");
        let text = console.text();
        assert!(text.contains("127.0.0.1:40199") && text.contains("100 connections"), "{text}");
    }
}

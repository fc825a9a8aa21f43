//! The control socket of a scheduler in this process: paths, errors, streams, and clients that misbehave.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod careless_clients;
mod host;
mod one_layout;
mod saved_layouts;
mod tcp;

use divvy::Control;
use divvy::control::api::{API_VERSION, ChangeBody, ErrorKind, HistoryBody};
use divvy::control::{Access, SnapshotParts};
use divvy::layout::Auto;
use divvy::machine::this_machine;
use divvy::telemetry::{Author, Snapshot, StateVersion};

use host::{PATIENCE, TestHost, kind, set_weight};

#[test]
fn socket_answers_plain_http() {
    let host = TestHost::new();
    let (status, head, info) = host.ask("GET", "/v1", "", b"");
    assert_eq!(status, 200);
    assert!(head.to_lowercase().contains("divvy-api: 1"), "{head}");
    assert_eq!(
        (info["name"].as_str(), info["pid"].as_u64()),
        (Some("test"), Some(std::process::id().into()))
    );
    let (_, _, log) = host.ask("GET", "/v1/log", "", b"");
    assert_eq!(log["lines"][0]["text"], "one line");
    let (_, _, machine) = host.ask("GET", "/v1/machine", "", b"");
    assert!(machine["topology"]["cores"].is_array(), "{machine}");
}

#[test]
fn client_reads_what_the_host_has() {
    let host = TestHost::new();
    let client = host.client("test");
    assert_eq!(client.layout().unwrap().layout, host.scheduler.layout());
    assert_eq!(client.machine().unwrap().topology, this_machine(None).unwrap().describe().topology);
    assert_eq!(client.inspect("ranker").unwrap().signature.inputs.len(), 1);
    assert_eq!(kind(&client.inspect("nobody").unwrap_err()), ErrorKind::NotFound);
    let mut stream = client.snapshots(SnapshotParts::default()).unwrap();
    let first: Snapshot = stream.next(PATIENCE).unwrap().unwrap();
    let second: Snapshot = stream.next(PATIENCE).unwrap().unwrap();
    assert!(second.sequence > first.sequence);
    assert!(client.snapshot(SnapshotParts::ALL).unwrap().sequence >= second.sequence);
}

#[test]
fn change_is_recorded_with_its_caller() {
    let host = TestHost::new();
    let client = host.client("night");
    let body = ChangeBody::new(set_weight(5).into());
    let planned = client.plan(&body).unwrap();
    assert_eq!(planned.plan.after.layout().models[0].weight, 5);
    assert_eq!(host.scheduler.layout().models[0].weight, 1);
    let applied = client.apply(&body.expecting(planned.version)).unwrap();
    assert_eq!(host.scheduler.layout().models[0].weight, 5);
    let entry = client.journal_entry(applied.id).unwrap();
    let Author::Remote(name) = &entry.author else { panic!("{entry:?}") };
    assert!(name.as_str().ends_with("/night"), "{name:?}");
    client.undo(&HistoryBody::default()).unwrap();
    assert_eq!(host.scheduler.layout().models[0].weight, 1);
    client.redo(&HistoryBody { expected: Some(host.scheduler.version()), change: None }).unwrap();
    assert_eq!(host.scheduler.layout().models[0].weight, 5);
    assert_eq!(client.journal(applied.id).unwrap().entries.len(), 2);
    assert_eq!(kind(&client.journal_entry(99).unwrap_err()), ErrorKind::NotFound);
}

#[test]
fn layout_can_be_applied_whole() {
    let host = TestHost::new();
    let mut layout = host.scheduler.layout();
    layout.models[0].concurrency = Auto::Exactly(1);
    layout.models[0].weight = 7;
    let body = ChangeBody { layout: Some(layout.clone()), ..ChangeBody::default() };
    host.client("test").apply(&body).unwrap();
    assert_eq!(host.scheduler.layout(), layout);
}

#[test]
fn change_on_an_old_state_is_refused() {
    let host = TestHost::new();
    let client = host.client("test");
    let old = client.layout().unwrap().version;
    client.apply(&ChangeBody::new(set_weight(5).into())).unwrap();
    let late = ChangeBody::new(set_weight(6).into()).expecting(old);
    let error = client.apply(&late).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::StateChanged);
    assert_eq!(host.scheduler.layout().models[0].weight, 5);
    let late = HistoryBody { expected: Some(StateVersion(old.0)), change: None };
    assert_eq!(kind(&client.undo(&late).unwrap_err()), ErrorKind::StateChanged);
}

#[test]
fn journal_stream_sends_new_changes() {
    let host = TestHost::new();
    let client = host.client("test");
    let first = client.apply(&ChangeBody::new(set_weight(5).into())).unwrap();
    let mut stream = client.follow_journal(0).unwrap();
    let next = |stream: &mut divvy::control::LineStream| {
        stream.next::<divvy::telemetry::JournalEntry>(PATIENCE).unwrap().unwrap().id
    };
    assert_eq!(next(&mut stream), first.id);
    let second = client.apply(&ChangeBody::new(set_weight(6).into())).unwrap();
    // the first one may come again with its verdict
    while next(&mut stream) != second.id {}
}

#[test]
fn errors_have_statuses() {
    let host = TestHost::new();
    let edit = serde_json::to_string(&ChangeBody::new(set_weight(1).into())).unwrap();
    let unknown = edit.replace("ranker", "nobody");
    let later = edit.replace("]}", r#"],"expected":999}"#);
    let huge = format!(r#"{{"edits":[{}]}}"#, " ".repeat(2 << 20));
    for (method, path, body, status, kind) in [
        ("GET", "/v2", "", 404, "not_found"),
        ("GET", "/v1/layouts/x", "", 404, "not_found"),
        ("GET", "/v1/layouts/..%2Fx", "", 400, "bad_request"),
        ("GET", "/v1/snapshot?include=everything", "", 400, "bad_request"),
        ("GET", "/v1/snapshot?windows", "", 400, "bad_request"),
        ("DELETE", "/v1/snapshot", "", 405, "method_not_allowed"),
        ("GET", "/v1/apply", "", 405, "method_not_allowed"),
        ("POST", "/v1/apply", "{", 400, "bad_request"),
        ("POST", "/v1/apply", "{}", 400, "bad_request"),
        ("POST", "/v1/apply", r#"{"edits":[{"edit":"pause"}]}"#, 400, "bad_request"),
        ("POST", "/v1/undo", r#"{"expectd":1}"#, 400, "bad_request"),
        ("POST", "/v1/undo", "", 409, "refused"),
        ("POST", "/v1/apply", &edit, 409, "nothing"),
        ("POST", "/v1/apply", &unknown, 409, "refused"),
        ("POST", "/v1/apply", &later, 412, "state_changed"),
        ("POST", "/v1/apply", &huge, 413, "too_large"),
    ] {
        let short: String = body.chars().take(60).collect();
        let (got, got_kind, message) = host.error(method, path, body);
        assert_eq!((got, got_kind.as_str()), (status, kind), "{method} {path} {short}: {message}");
        assert!(!message.is_empty());
    }
}

#[test]
fn documented_operations_are_served() {
    let host = TestHost::new();
    let (status, _, document) = host.ask("GET", "/v1/openapi.json", "", b"");
    assert_eq!(status, 200);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 15, "{}", paths.len());
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            // a stream does not end
            if path == "/v1/snapshots" {
                continue;
            }
            let path = path.replace("{id}", "1").replace("{model}", "ranker");
            let (status, _, answer) = host.ask(&method.to_uppercase(), &path, "", b"");
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            let is_served = status != 405 && !message.contains("the paths begin with");
            assert!(is_served, "{method} {path}: {status} {message}");
        }
    }
}

#[test]
fn other_api_version_is_refused() {
    let host = TestHost::new();
    let (status, _, answer) = host.ask("GET", "/v1", "Divvy-Api: 7\r\n", b"");
    assert_eq!((status, answer["error"]["kind"].as_str()), (400, Some("api_version")));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains('7') && message.contains(&API_VERSION.to_string()), "{message}");
}

#[test]
fn readers_cannot_change() {
    let host = TestHost::with_access(Access::Readers);
    let client = host.client("test");
    assert!(client.snapshot(SnapshotParts::default()).is_ok());
    assert!(client.info().unwrap().read_only);
    for error in [
        client.apply(&ChangeBody::new(set_weight(5).into())).unwrap_err(),
        client.plan(&ChangeBody::new(set_weight(5).into())).unwrap_err(),
        client.stop().unwrap_err(),
    ] {
        assert_eq!(kind(&error), ErrorKind::ReadOnly);
    }
    assert_eq!(host.scheduler.layout().models[0].weight, 1);
}

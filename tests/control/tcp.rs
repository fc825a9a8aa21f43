//! Clients over TCP: their token, and the files that their changes may name.

use divvy::control::api::{ChangeBody, ErrorKind};
use divvy::control::{Address, ControlClient, SnapshotParts};
use divvy::layout::{Budget, Edit, ModelSource};
use divvy::machine::AccessToken;
use divvy::telemetry::{Author, Snapshot};

use super::host::{PATIENCE, TOKEN, TestHost, kind, set_weight};

#[test]
fn tcp_clients_need_the_token() {
    let host = TestHost::new();
    let client = |token: &str| {
        ControlClient::new(Address::Tcp(host.tcp, AccessToken::new(token)), "far").unwrap()
    };
    let error = client("another token of control").info().unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Unauthorized);
    let client = client(TOKEN);
    let applied = client.apply(&ChangeBody::new(set_weight(5).into())).unwrap();
    let entry = client.journal_entry(applied.id).unwrap();
    assert!(matches!(&entry.author, Author::Remote(name) if name.as_str() == "127.0.0.1/far"));
}

#[test]
fn new_files_are_refused_over_tcp() {
    let host = TestHost::new();
    let client =
        ControlClient::new(Address::Tcp(host.tcp, AccessToken::new(TOKEN)), "far").unwrap();
    let budget = Budget::new("x", ModelSource::File("/etc/passwd".into()));
    let change = ChangeBody::new(Edit::Add { budget: Box::new(budget) }.into());
    for error in [client.apply(&change).unwrap_err(), client.plan(&change).unwrap_err()] {
        assert_eq!(kind(&error), ErrorKind::Forbidden);
        assert!(error.to_string().contains("--allow-remote-paths"), "{error}");
    }
    // the same user's socket may
    assert!(host.client("near").plan(&change).is_ok());
}

#[test]
fn replaced_token_ends_streams() {
    let host = TestHost::new();
    let client = |token: &str| {
        ControlClient::new(Address::Tcp(host.tcp, AccessToken::new(token)), "far").unwrap()
    };
    let old = client(TOKEN);
    let mut stream = old.snapshots(SnapshotParts::default()).unwrap();
    let near = host.client("near");
    let mut local = near.snapshots(SnapshotParts::default()).unwrap();
    assert!(stream.next::<Snapshot>(PATIENCE).unwrap().is_some());
    assert!(host.token.replace(AccessToken::new("fedcba9876543210")));
    assert_eq!(kind(&old.info().unwrap_err()), ErrorKind::Unauthorized);
    // lines that were sent before may come first
    let end = loop {
        match stream.next::<Snapshot>(PATIENCE) {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_err(), "the stream goes on without a snapshot");
    assert!(client("fedcba9876543210").info().is_ok());
    for _ in 0..3 {
        assert!(local.next::<Snapshot>(PATIENCE).unwrap().is_some());
    }
}

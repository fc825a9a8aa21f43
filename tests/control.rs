//! The control socket of a scheduler in this process: paths, errors, streams, and clients that misbehave.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divvy::control::api::{API_VERSION, ChangeBody, ErrorKind, HistoryBody, SaveBody};
use divvy::control::{
    Access, Address, ClientError, ControlClient, ControlHost, ControlListener, ControlServer,
    ControlSocket, NameChoice, RemotePaths, RunIdentity, SnapshotParts, TcpAccess,
};
use divvy::engine::Engines;
use divvy::layout::{Auto, Budget, Edit, EngineChoice, Layout, ModelSource, demo};
use divvy::machine::{AccessToken, this_machine};
use divvy::scheduler::{
    CurrentLayout, EngineLoader, LayoutRevision, LayoutStore, LayoutStoreError, Options, Profile,
    SaveCondition, SaveReceipt, SavedLayout,
};
use divvy::telemetry::{Author, LogLevel, LogLines, Snapshot, StateVersion};
use divvy::{Control, Scheduler};
use serde_json::Value;

/// Longer than any step takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The token of clients over TCP.
const TOKEN: &str = "0123456789abcdef";

/// The demo's ranker with a control socket.
struct TestHost {
    scheduler: Arc<Scheduler>,
    socket: PathBuf,
    tcp: std::net::SocketAddr,
    _server: ControlServer,
    folder: tempfile::TempDir,
}

impl TestHost {
    fn new() -> Self {
        Self::with_access(Access::SameUser)
    }

    fn with_access(access: Access) -> Self {
        let engines = Arc::new(Engines::new(EngineChoice::Rten, None));
        let machine = this_machine(None).unwrap();
        let description = machine.describe();
        let options = Options::new(machine, Arc::new(EngineLoader::new(engines)));
        let mut layout = demo().unwrap().layout().clone();
        layout.models.retain(|model| model.name == "ranker");
        layout.models[0].load = None;
        layout.models[0].weight = 1;
        let scheduler = Arc::new(Scheduler::start(&layout, options).unwrap());
        let log = LogLines::default();
        log.push(0, LogLevel::Info, "test", "one line");
        let folder = tempfile::tempdir().unwrap();
        let name = "test".parse().unwrap();
        let socket = ControlSocket::bind(Some(folder.path()), &NameChoice::Exactly(name)).unwrap();
        let path = socket.path().to_owned();
        let host = ControlHost {
            control: scheduler.clone(),
            inspection: scheduler.clone(),
            layouts: Some(Arc::new(OneLayout::default())),
            recordings: None,
            log: Arc::new(log),
            machine: description,
            run: RunIdentity { name: "test".to_owned(), ..RunIdentity::default() },
            reload: Box::new(|| Err("nothing to reload".to_owned())),
            stop: Box::new(|| {}),
        };
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let tcp = listener.local_addr().unwrap();
        let paths = RemotePaths::of(&layout);
        let tcp_access = TcpAccess { token: AccessToken::new(TOKEN), paths };
        let listeners = vec![
            ControlListener::Socket(socket, access),
            ControlListener::Tcp(listener, tcp_access),
        ];
        let server = ControlServer::start(host, listeners).unwrap();
        Self { scheduler, socket: path, tcp, _server: server, folder }
    }

    fn client(&self, name: &str) -> ControlClient {
        ControlClient::new(Address::Socket(self.socket.clone()), name).unwrap()
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request as `curl` does. Returns the status, the head and the body of its answer.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String, Value) {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // a host that refuses a request need not read its body
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        // nor need it close the connection in order then
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn error(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let (status, _, answer) = self.ask(method, path, "", body.as_bytes());
        let text = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
        (status, text("kind"), text("message"))
    }

    fn open_files() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }
}

fn set_weight(weight: u32) -> Edit {
    Edit::SetWeight { model: "ranker".to_owned(), weight }
}

fn kind(error: &ClientError) -> ErrorKind {
    match error {
        ClientError::Refused(detail) => detail.kind,
        other => panic!("{other}"),
    }
}

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

/// A store that keeps one layout in memory.
#[derive(Default)]
struct OneLayout(std::sync::Mutex<Option<(String, Layout)>>);

impl LayoutStore for OneLayout {
    fn list(&self) -> Result<Vec<Profile>, LayoutStoreError> {
        let saved = self.0.lock().unwrap();
        let names = saved.iter().map(|(name, _)| name.clone());
        Ok(names.map(|name| Profile { name, ..Profile::default() }).collect())
    }

    fn read(&self, name: &str) -> Result<SavedLayout, LayoutStoreError> {
        let saved = self.0.lock().unwrap().clone();
        let missing = || LayoutStoreError::Missing { name: name.to_owned(), place: String::new() };
        let (_, layout) = saved.filter(|(known, _)| known == name).ok_or_else(missing)?;
        Ok(SavedLayout { layout, revision: LayoutRevision::of(name), read_only: false })
    }

    fn save(
        &self,
        name: &str,
        layout: &Layout,
        condition: &SaveCondition,
    ) -> Result<SaveReceipt, LayoutStoreError> {
        if *condition == SaveCondition::New && self.read(name).is_ok() {
            return Err(LayoutStoreError::NameTaken(name.to_owned()));
        }
        *self.0.lock().unwrap() = Some((name.to_owned(), layout.clone()));
        Ok(SaveReceipt { place: "memory".to_owned(), revision: LayoutRevision::of(name) })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LayoutStoreError> {
        let layout = self.read(from)?.layout;
        self.save(to, &layout, &SaveCondition::Always).map(|_| ())
    }

    fn delete(&self, name: &str) -> Result<(), LayoutStoreError> {
        self.read(name)?;
        *self.0.lock().unwrap() = None;
        Ok(())
    }

    fn set_current(&self, _: Option<&str>, _: Option<LayoutRevision>) {}

    fn current(&self) -> Option<CurrentLayout> {
        None
    }
}

#[test]
fn layouts_are_saved_on_the_host() {
    let host = TestHost::new();
    let client = host.client("test");
    let layout = host.scheduler.layout();
    let body = |condition| SaveBody { layout: layout.clone(), condition };
    assert_eq!(client.save_layout("my night", &body(SaveCondition::New)).unwrap().place, "memory");
    let again = client.save_layout("my night", &body(SaveCondition::New)).unwrap_err();
    assert_eq!(kind(&again), ErrorKind::Refused);
    assert_eq!(client.stored_layout("my night").unwrap().layout, layout);
    client.set_current_layout(&CurrentLayout::default()).unwrap();
    client.rename_layout("my night", "day").unwrap();
    assert_eq!(client.layouts().unwrap().layouts[0].name, "day");
    client.delete_layout("day").unwrap();
    assert_eq!(kind(&client.delete_layout("day").unwrap_err()), ErrorKind::NotFound);
    assert_eq!(kind(&client.stored_layout("../x").unwrap_err()), ErrorKind::BadRequest);
}

#[test]
fn other_user_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let host = TestHost::new();
    // even if the permissions let it connect
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    open(host.folder.path());
    open(&host.socket);
    let code = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); \
                s.sendall(b'GET /v1 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'); \
                print(s.makefile().read())";
    let mut command = std::process::Command::new("python3");
    command.arg("-c").arg(code).arg(&host.socket).uid(65534).gid(65534);
    let Ok(output) = command.output() else {
        eprintln!("skipped: no python3");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text} {:?}", String::from_utf8(output.stderr));
    assert!(text.contains(r#""kind":"forbidden""#), "{text}");
}

#[test]
fn vanishing_clients_cost_nothing() {
    let host = TestHost::new();
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
    let before = TestHost::open_files();
    let requests: [&[u8]; 4] = [
        b"",
        b"GET /v1/snaps",
        b"GET /v1/snapshots?include=all HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{",
    ];
    for round in 0..250 {
        let mut stream = host.connect();
        // the host may have closed it already
        let _ = stream.write_all(requests[round % requests.len()]);
    }
    let end = Instant::now() + PATIENCE;
    while TestHost::open_files() > before + 4 {
        assert!(Instant::now() < end, "{} files, {before} before", TestHost::open_files());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
}

#[test]
fn random_bytes_do_no_harm() {
    let host = TestHost::new();
    let valid = serde_json::to_vec(&ChangeBody::new(set_weight(1).into())).unwrap();
    let mut random = fastrand::Rng::with_seed(4711);
    for _ in 0..400 {
        let mut body = valid.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..body.len());
            body[at] = random.u8(..);
        }
        let path = ["/v1/plan", "/v1/apply", "/v1/undo"][random.usize(..3)];
        let (status, ..) = host.ask("POST", path, "", &body);
        assert!((200..500).contains(&status), "{status}: {}", String::from_utf8_lossy(&body));
    }
    for _ in 0..100 {
        let bytes: Vec<u8> = (0..random.usize(1..400)).map(|_| random.u8(..)).collect();
        let mut stream = host.connect();
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
}

#[test]
fn reader_that_stops_delays_nobody() {
    let host = TestHost::new();
    let mut slow = host.connect();
    slow.write_all(b"GET /v1/snapshots?include=all HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let client = host.client("quick");
    let sequence = || client.snapshot(SnapshotParts::default()).unwrap().sequence;
    // more than the buffers of the connection hold
    let first = sequence();
    let end = Instant::now() + PATIENCE;
    while sequence() < first + 60 {
        client.apply(&ChangeBody::new(set_weight(2 + (sequence() % 3) as u32).into())).ok();
        assert!(Instant::now() < end, "no snapshots");
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
}

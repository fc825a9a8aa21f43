//! A scheduler in this process with a control socket, and plain requests to it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use divvy::Scheduler;
use divvy::control::api::ErrorKind;
use divvy::control::{
    Access, Address, ClientError, ControlClient, ControlHost, ControlListener, ControlServer,
    ControlSocket, NameChoice, RemotePaths, RunIdentity, TcpAccess,
};
use divvy::engine::Engines;
use divvy::layout::{Edit, EngineChoice, demo};
use divvy::machine::{AccessToken, SharedToken, this_machine};
use divvy::scheduler::{EngineLoader, Options};
use divvy::telemetry::{LogLevel, LogLines};
use serde_json::Value;

use super::one_layout::OneLayout;

/// Longer than any step takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The token of clients over TCP.
pub(crate) const TOKEN: &str = "0123456789abcdef";

/// The demo's ranker with a control socket.
pub(crate) struct TestHost {
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) socket: PathBuf,
    pub(crate) tcp: std::net::SocketAddr,
    pub(crate) token: SharedToken,
    _server: ControlServer,
    pub(crate) folder: tempfile::TempDir,
}

impl TestHost {
    pub(crate) fn new() -> Self {
        Self::with_access(Access::SameUser)
    }

    pub(crate) fn with_access(access: Access) -> Self {
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
        let token = SharedToken::new(AccessToken::new(TOKEN));
        let tcp_access = TcpAccess { token: token.clone(), paths };
        let listeners = vec![
            ControlListener::Socket(socket, access),
            ControlListener::Tcp(listener, tcp_access),
        ];
        let server = ControlServer::start(host, listeners).unwrap();
        Self { scheduler, socket: path, tcp, token, _server: server, folder }
    }

    pub(crate) fn client(&self, name: &str) -> ControlClient {
        ControlClient::new(Address::Socket(self.socket.clone()), name).unwrap()
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request as `curl` does. Returns the status, the head and the body of its answer.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String, Value) {
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

    pub(crate) fn error(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let (status, _, answer) = self.ask(method, path, "", body.as_bytes());
        let text = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
        (status, text("kind"), text("message"))
    }

    pub(crate) fn open_files() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }
}

pub(crate) fn set_weight(weight: u32) -> Edit {
    Edit::SetWeight { model: "ranker".to_owned(), weight }
}

pub(crate) fn kind(error: &ClientError) -> ErrorKind {
    match error {
        ClientError::Refused(detail) => detail.kind,
        other => panic!("{other}"),
    }
}

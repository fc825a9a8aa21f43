//! The real binary with `--listen`: its end by signals, its restart, and the token.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};

use binary::{Home, PATIENCE, RunOutput, model, signal, until};
use rustix::process::Signal;

/// The values of the ranker's input and of its output.
const INPUTS: usize = 512 * 128;
const OUTPUTS: usize = 512;

/// A server on a free port; killed on drop.
struct TestServer {
    child: Option<Child>,
    address: SocketAddr,
}

impl TestServer {
    /// Starts a server of one model.
    fn start(home: &Home, listen: &str, arguments: &[&str]) -> Self {
        let mut divvy = home.divvy();
        divvy.arg(model("ranker")).args(["--engine", "rten", "--headless", "--listen", listen]);
        divvy.args(arguments);
        Self::spawn(home, divvy)
    }

    /// Starts a server and waits until it is ready.
    fn spawn(home: &Home, mut divvy: Command) -> Self {
        let child = divvy.spawn().unwrap();
        let mut server = Self { child: Some(child), address: ([127, 0, 0, 1], 0).into() };
        server.address = until("the address", || {
            let text = fs::read_to_string(home.path("err")).unwrap();
            let status = server.child.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(status, None, "{text}");
            // A line that is still being written has no end.
            let (_, rest) = text.split_once("listening on http://")?;
            rest.split_once('\n')?.0.parse().ok()
        });
        until("a ready server", || (server.get("/v2/health/ready", "").0 == 200).then_some(()));
        server
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Returns the status and the whole answer of a request. `headers` are lines with their ends.
    fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let mut stream = self.connect();
        let head = format!("GET {path} HTTP/1.1\r\nhost: divvy\r\nconnection: close\r\n{headers}");
        write!(stream, "{head}\r\n").unwrap();
        read_answer(stream)
    }

    /// Sends the head of a request of inference and waits until the server asks for its body.
    fn begin_infer(&self) -> OpenInfer {
        let (head, body) = infer_request();
        let mut stream = self.connect();
        write!(stream, "{head}expect: 100-continue\r\n\r\n").unwrap();
        let mut answer = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&answer));
        OpenInfer { stream, body }
    }

    fn signal(&self, number: Signal) {
        signal(self.child.as_ref().unwrap().id(), number);
    }

    /// Asks the server to end and waits until it takes no more requests.
    fn start_drain(&self) {
        self.signal(Signal::TERM);
        until("a drain", || (self.get("/v2/health/ready", "").0 == 503).then_some(()));
    }

    fn end(mut self, home: &Home) -> RunOutput {
        home.end(self.child.take().unwrap())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A request of inference that the server has admitted and whose body it waits for.
struct OpenInfer {
    stream: TcpStream,
    body: Vec<u8>,
}

impl OpenInfer {
    fn finish(mut self) -> (u16, String) {
        self.stream.write_all(&self.body).unwrap();
        read_answer(self.stream)
    }
}

/// Returns the head of a request to the ranker, without its last line, and the body.
fn infer_request() -> (String, Vec<u8>) {
    let json = format!(
        r#"{{"inputs":[{{"name":"features","datatype":"FP32","shape":[1,512,128],
        "parameters":{{"binary_data_size":{}}}}}],"outputs":[{{"name":"scores"}}]}}"#,
        INPUTS * size_of::<f32>()
    );
    let mut body = json.clone().into_bytes();
    body.resize(json.len() + INPUTS * size_of::<f32>(), 0);
    let head = format!(
        "POST /v2/models/ranker/infer HTTP/1.1\r\nhost: divvy\r\nconnection: close\r\n\
         inference-header-content-length: {}\r\ncontent-length: {}\r\n",
        json.len(),
        body.len()
    );
    (head, body)
}

/// Reads until the server closes the connection.
fn read_answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {text}")), text)
}

#[test]
fn drain_answers_the_admitted_request() {
    let home = Home::new();
    let server = TestServer::start(&home, "127.0.0.1:0", &["--drain", "10m"]);
    let open = server.begin_infer();
    server.start_drain();

    let (head, _) = infer_request();
    let mut refused = server.connect();
    write!(refused, "{head}expect: 100-continue\r\n\r\n").unwrap();
    let (status, text) = read_answer(refused);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("connection: close") && text.contains("shutting down"), "{text}");

    let (status, text) = open.finish();
    assert_eq!(status, 200, "{text}");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let answer: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(answer["outputs"][0]["data"].as_array().unwrap().len(), OUTPUTS, "{text}");
    let run = server.end(&home);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(run.err.contains("finishing 1 request of clients"), "{run:?}");
    assert!(!run.err.contains("not answered"), "{run:?}");
}

#[test]
fn second_signal_ends_the_drain() {
    let home = Home::new();
    let server = TestServer::start(
        &home,
        "127.0.0.1:0",
        &["--drain", "10m", "--receive-timeout", "10m", "--send-timeout", "10m"],
    );
    let open = server.begin_infer();
    server.start_drain();
    server.signal(Signal::TERM);
    let run = server.end(&home);
    assert_eq!(run.status.code(), Some(3), "{run:?}");
    let told = "divvy: 1 request of a client was not answered before the drain ended";
    assert_eq!(run.err.matches(told).count(), 1, "{run:?}");
    drop(open);
}

#[test]
fn drain_ends_after_its_time() {
    let home = Home::new();
    let server =
        TestServer::start(&home, "127.0.0.1:0", &["--drain", "1s", "--receive-timeout", "10m"]);
    let open = server.begin_infer();
    server.signal(Signal::TERM);
    let run = server.end(&home);
    assert_eq!(run.status.code(), Some(3), "{run:?}");
    let told = "divvy: 1 request of a client was not answered before the drain ended";
    assert_eq!(run.err.matches(told).count(), 1, "{run:?}");
    drop(open);
}

#[test]
fn idle_server_ends_at_the_first_signal() {
    let home = Home::new();
    let server = TestServer::start(&home, "127.0.0.1:0", &["--drain", "10m"]);
    // An open connection without a request has no claim to an answer.
    let idle = server.connect();
    server.signal(Signal::TERM);
    let run = server.end(&home);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(!run.err.contains("finishing"), "{run:?}");
    drop(idle);
}

/// A layout of the ranker with a limit.
fn limited_layout(home: &Home, limit: &str) -> PathBuf {
    let path = model("ranker");
    let row = format!("[[model]]\nname = \"ranker\"\npath = '{}'\n", path.display());
    home.write("limited.toml", format!("version = 1\n[server]\n{limit}\n{row}"))
}

#[test]
fn layout_limits_the_body() {
    let home = Home::new();
    let layout = limited_layout(&home, "max_body = \"1KiB\"");
    let mut divvy = home.divvy();
    divvy.arg(&layout).args(["--engine", "rten", "--headless", "--listen", "127.0.0.1:0"]);
    // too little for the default body, but enough for that of the layout
    divvy.args(["--max-in-flight", "1MiB"]);
    let server = TestServer::spawn(&home, divvy);
    let mut large = server.connect();
    let (head, _) = infer_request();
    write!(large, "{head}\r\n").unwrap();
    let (status, text) = read_answer(large);
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("1024 bytes"), "{text}");
}

#[test]
fn unreadable_heads_get_json_errors() {
    let home = Home::new();
    let server = TestServer::start(&home, "127.0.0.1:0", &[]);
    let long = format!("GET /v2 HTTP/1.1\r\nhost: divvy\r\nx-long: {}\r\n\r\n", "a".repeat(40_000));
    for (head, status, reason) in [
        (&*long, 431, "max_header"),
        ("\u{1}\r\n\r\n", 400, "malformed"),
        ("GET /v2 HTTP/9\r\n\r\n", 400, "malformed"),
    ] {
        let mut stream = server.connect();
        // the server may have answered before the last byte
        let _ = stream.write_all(head.as_bytes());
        let (answered, text) = read_answer(stream);
        assert_eq!(answered, status, "{text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(body["error"].as_str().unwrap().contains(reason), "{body}");
    }
}

#[test]
fn contradictory_limits_are_bad_input() {
    let home = Home::new();
    let layout = limited_layout(&home, "max_body = \"8MiB\"");
    let mut divvy = home.divvy();
    divvy.arg(&layout).args(["--headless", "--listen", "127.0.0.1:0", "--max-in-flight", "1MiB"]);
    let run = home.run(divvy);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    for text in ["limited", "max_in_flight is 1MiB", "8MiB"] {
        assert!(run.err.contains(text), "{text} is missing: {run:?}");
    }
    assert!(!run.err.contains("loading"), "{run:?}");
}

#[test]
fn killed_server_leaves_its_port_free() {
    let home = Home::new();
    let first = TestServer::start(&home, "127.0.0.1:0", &[]);
    // The server's end of this connection stays in the kernel until the client closes its own.
    let mut open = first.connect();
    write!(open, "GET /v2/health/live HTTP/1.1\r\nhost: divvy\r\n\r\n").unwrap();
    assert_ne!(open.read(&mut [0; 16]).unwrap(), 0);
    let address = first.address;
    first.signal(Signal::KILL);
    let run = first.end(&home);
    assert_eq!(run.status.code(), None, "{run:?}");
    let second = TestServer::start(&home, &address.to_string(), &[]);
    assert_eq!(second.address, address);
    drop(open);
}

#[test]
fn only_health_needs_no_token() {
    let home = Home::new();
    let token = "0123456789abcdef";
    let file = home.write("token", format!("{token}\n"));
    let server = TestServer::start(&home, "127.0.0.1:0", &["--token-file", file.to_str().unwrap()]);
    assert_eq!(server.get("/v2/health/live", "").0, 200);
    let model = |headers: &str| server.get("/v2/models/ranker", headers);
    for wrong in ["", "authorization: Bearer 0123456789abcdeX\r\n", "authorization: Basic eA==\r\n"]
    {
        let (status, text) = model(wrong);
        assert_eq!(status, 401, "{text}");
        assert!(text.contains("www-authenticate: Bearer") && !text.contains(token), "{text}");
    }
    let (status, text) = model(&format!("authorization: Bearer {token}\r\n"));
    assert_eq!(status, 200, "{text}");
}

#[test]
fn foreign_address_needs_a_token() {
    let home = Home::new();
    for option in ["--listen", "--listen-grpc"] {
        let mut divvy = home.divvy();
        divvy.arg(model("ranker")).args(["--headless", option, "0.0.0.0:0"]);
        let run = home.run(divvy);
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        for text in [option, "0.0.0.0:0", "--token-file", "--insecure-listen"] {
            assert!(run.err.contains(text), "{text} is missing: {run:?}");
        }
        assert!(run.out.is_empty() && !run.err.contains("listening"), "{run:?}");
    }
}

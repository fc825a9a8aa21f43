//! The server's routes over HTTP, mounted by another program: tensors, errors and cancelled requests.
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use divvy::engine::Engines;
use divvy::layout::{Edit, EngineChoice, ServerLimits, demo};
use divvy::machine::this_machine;
use divvy::scheduler::{EngineLoader, Options};
use divvy::server::{ServerOptions, ServerState, router_of};
use divvy::telemetry::{Author, ModelState, RequestCounts};
use divvy::{Change, Control, Scheduler};
use serde_json::{Value, json};

/// Longer than any step takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The demo's ranker, served over HTTP. The tests read the name of its input from its metadata.
struct Served {
    scheduler: Scheduler,
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

/// The answer of the server.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Served {
    fn new(limits: ServerLimits) -> Self {
        let engines = Arc::new(Engines::new(EngineChoice::Rten, None));
        let options =
            Options::new(this_machine(None).unwrap(), Arc::new(EngineLoader::new(engines)));
        let mut layout = demo().unwrap().layout().clone();
        layout.models.retain(|model| model.name == "ranker");
        layout.models[0].load = None;
        let scheduler = Scheduler::start(&layout, options).unwrap();
        let state =
            ServerState::new(&scheduler, ServerOptions { limits, ..ServerOptions::default() });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router_of(&state)).await.unwrap() });
        let served = Self { scheduler, address, _runtime: runtime };
        served.wait("ranker runs", |served| served.state() == ModelState::Running);
        served
    }

    fn state(&self) -> ModelState {
        let snapshot = self.scheduler.snapshots().borrow().clone();
        snapshot.model("ranker").map(|model| model.state.clone()).unwrap_or_default()
    }

    fn counts(&self) -> RequestCounts {
        let snapshot = self.scheduler.snapshots().borrow().clone();
        snapshot.model("ranker").map(|model| model.counts).unwrap_or_default()
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < end, "never: {what}; {:?}", self.counts());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request without waiting for its answer.
    fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a request need not read its body.
        let _ = stream.write_all(body);
        stream
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        Answer::read(self.send(method, path, headers, body))
    }

    fn infer(&self, request: &Value) -> Answer {
        self.ask("POST", INFER, "", request.to_string().as_bytes())
    }

    /// Returns the metadata of the model's first input, with each open dimension set to 1.
    fn input(&self) -> (String, String, Vec<usize>) {
        let metadata = self.ask("GET", "/v2/models/ranker", "", b"").json();
        let input = &metadata["inputs"][0];
        let dims = input["shape"].as_array().unwrap();
        let shape = dims.iter().map(|dim| dim.as_u64().unwrap_or(1) as usize).collect();
        let text = |key: &str| input[key].as_str().unwrap().to_owned();
        (text("name"), text("datatype"), shape)
    }

    /// Returns a good request in JSON.
    fn request(&self) -> Value {
        let (name, datatype, shape) = self.input();
        let count: usize = shape.iter().product();
        let data: Vec<u32> = (0..count).map(|at| at as u32 % 2).collect();
        json!({"inputs": [{"name": name, "datatype": datatype, "shape": shape, "data": data}]})
    }

    fn pause(&self, paused: bool) {
        let change = Change::from(Edit::Pause { model: "ranker".to_owned(), paused });
        self.scheduler.apply(change, Author::Api).unwrap();
    }
}

const INFER: &str = "/v2/models/ranker/infer";

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A refused body may end in a reset, after the answer.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end..].to_vec() }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

#[test]
fn binary_answers_equal_json_answers() {
    let served = Served::new(ServerLimits::default());
    let mut request = served.request();
    let plain = served.infer(&request);
    assert_eq!(plain.status, 200, "{}", plain.error());
    let output = plain.json()["outputs"][0].clone();
    request["parameters"] = json!({"binary_data_output": true, "timing": true});
    request["id"] = json!("7");
    let binary = served.infer(&request);
    let marker = "inference-header-content-length: ";
    let length = binary.head.split(marker).nth(1).unwrap().lines().next().unwrap();
    let (head, data) = binary.body.split_at(length.parse().unwrap());
    let head: Value = serde_json::from_slice(head).unwrap();
    assert_eq!(head["id"], "7");
    assert!(head["parameters"]["compute_us"].is_u64(), "{head}");
    let first = &head["outputs"][0];
    assert_eq!((&first["name"], &first["shape"]), (&output["name"], &output["shape"]));
    let size = first["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
    assert_eq!(output["datatype"], "FP32");
    let values: Vec<f32> = data[..size]
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let json: Vec<f32> = serde_json::from_value(output["data"].clone()).unwrap();
    assert_eq!(values, json);
}

#[test]
fn errors_have_their_status_and_name_the_input() {
    let served = Served::new(ServerLimits { body: 1 << 20, ..ServerLimits::default() });
    let (name, ..) = served.input();
    let mut wrong = served.request();
    wrong["inputs"][0]["name"] = json!("nothing");
    let answer = served.infer(&wrong);
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("`nothing`") && answer.error().contains(&name));
    let mut whole = served.request();
    whole["inputs"][0]["datatype"] = json!("INT32");
    let answer = served.infer(&whole);
    assert!(answer.error().contains("INT32") && answer.error().contains("FP32"));
    whole["inputs"][0]["datatype"] = json!("BF16");
    assert!(served.infer(&whole).error().contains("BF16 has no form in JSON"));
    let mut unknown = served.request();
    unknown["outputs"] = json!([{"name": "nothing"}]);
    assert!(served.infer(&unknown).error().contains("has no output `nothing`"));
    let expected = [
        ("POST", "/v2/models/none/infer", 404),
        ("POST", "/v2/models/ranker/versions/9/infer", 404),
        ("GET", INFER, 405),
        ("GET", "/nothing", 404),
        ("POST", "/v2/repository/models/ranker/unload", 501),
        ("GET", "/v2/models/%ff", 400),
        ("POST", "/v2/models/%ff/infer", 400),
        ("GET", "/v2/models/a%20b/versions/%c3%28", 400),
        ("PATCH", "/v2", 405),
        ("POST", "/metrics", 405),
        ("GET", "/v2/repository/index", 405),
    ];
    for (method, path, status) in expected {
        let answer = served.ask(method, path, "", b"{}");
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.error().is_empty());
    }
    let list = served.ask("POST", "/v2/repository/index", "", &vec![b' '; 65 << 10]);
    assert_eq!(list.status, 413);
    assert!(list.error().contains("65536 bytes"), "{}", list.error());
    let coded = served.ask("POST", INFER, "Content-Encoding: br\r\n", b"{}");
    assert_eq!(coded.status, 400);
    assert!(coded.error().contains("`br`") && coded.error().contains("gzip"), "{}", coded.error());
    let large = served.ask("POST", INFER, "", &vec![b' '; 2 << 20]);
    assert_eq!(large.status, 413);
    assert!(large.error().contains("1048576 bytes"), "{}", large.error());
}

#[test]
fn bytes_in_flight_are_bounded() {
    let served = Served::new(ServerLimits { in_flight: 40, ..ServerLimits::default() });
    let answer = served.infer(&served.request());
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
}

#[test]
fn client_that_leaves_cancels_its_request() {
    let served = Served::new(ServerLimits::default());
    let request = served.request().to_string();
    served.pause(true);
    let stream = served.send("POST", INFER, "", request.as_bytes());
    served.wait("the request is queued", |served| served.counts().queued == 1);
    drop(stream);
    served.wait("the request is cancelled", |served| served.counts().cancelled == 1);
    served.pause(false);
    served.wait("ranker runs", |served| served.state() == ModelState::Running);
    assert_eq!(served.infer(&served.request()).status, 200);
}

/// Changes the version and the priorities of the ranker.
fn set_version(served: &Served, version: usize, levels: u8) {
    let mut budget = served.scheduler.layout().models.remove(0);
    budget.version = version.to_string();
    budget.queue.levels = levels;
    let edit = Edit::SetRow { budget: Box::new(budget), base: None };
    served.scheduler.apply(Change::from(edit), Author::Api).unwrap();
}

/// Sets a flag when it is dropped, so that a failed test ends its threads.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn version_changes_while_requests_run() {
    let served = Served::new(ServerLimits::default());
    let pool = served.scheduler.client("ranker").unwrap().current().unwrap();
    let (request, over) = (served.request(), AtomicBool::new(false));
    let with_priority = |priority: u8| {
        let mut request = request.clone();
        request["parameters"] = json!({"priority": priority});
        served.infer(&request).status
    };
    let statuses = std::thread::scope(|scope| {
        let send_until_over = || {
            let mut statuses = Vec::new();
            while !over.load(Ordering::SeqCst) {
                statuses.push(served.infer(&request).status);
            }
            statuses
        };
        let senders: Vec<_> = (0..2).map(|_| scope.spawn(send_until_over)).collect();
        let end = SetOnDrop(&over);
        for version in 2..=9 {
            let levels = version as u8 % 4 + 1;
            set_version(&served, version, levels);
            let metadata = |version: usize| {
                served.ask("GET", &format!("/v2/models/ranker/versions/{version}"), "", b"").status
            };
            assert_eq!((metadata(version), metadata(version - 1)), (200, 404), "{version}");
            assert_eq!((with_priority(levels), with_priority(levels + 1)), (200, 400), "{version}");
        }
        drop(end);
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<Vec<u16>>()
    });
    assert!(statuses.len() > 1 && statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let client = served.scheduler.client("ranker").unwrap().current().unwrap();
    assert!(client.is_same_pool(&pool), "no change loaded it again");
}

#[test]
fn timeout_bounds_the_time_in_the_queue() {
    let served = Served::new(ServerLimits::default());
    served.pause(true);
    let mut request = served.request();
    request["parameters"] = json!({"timeout": 20_000});
    let answer = served.infer(&request);
    assert_eq!(answer.status, 504, "{}", answer.error());
    assert_eq!(served.ask("GET", "/v2/models/ranker/ready", "", b"").status, 503);
}

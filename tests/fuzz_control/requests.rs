//! Requests to every path, right or damaged, and the promises about their answers.

use std::fmt;

use divvy::control::api::{ChangeBody, LiveLayout, PlannedChange, SaveBody};
use divvy::layout::{
    Auto, Bytes, Change, CoreOwner, CoreRequest, CoreSelection, Edit, Layout, LoadSpec, Objective,
    Overflow, QueuePolicy, Slo, demo,
};
use divvy::machine::{CoreId, CpuSet};
use divvy::scheduler::SaveCondition;
use divvy::telemetry::Applied;
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::damage::damage;

/// The statuses of a damaged request. 500 is none: nothing that a client sends makes the host fail.
const STATUSES: [u16; 9] = [200, 204, 400, 404, 405, 409, 412, 413, 414];

/// The longest message of an error.
const LONGEST_MESSAGE: usize = 8000;

/// Paths without a body, with their methods.
const PLAIN: [(&str, &str); 18] = [
    ("GET", "/v1"),
    ("HEAD", "/v1"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/snapshot?include=all"),
    ("GET", "/v1/snapshot?include=threads,windows,histograms,memory,journal"),
    ("GET", "/v1/snapshots"),
    ("GET", "/v1/layout"),
    ("GET", "/v1/layouts"),
    ("GET", "/v1/current"),
    ("GET", "/v1/journal?after=0"),
    ("GET", "/v1/journal?after=0&follow"),
    ("GET", "/v1/machine"),
    ("GET", "/v1/log?after=0"),
    ("POST", "/v1/reload"),
    ("POST", "/v1/record/detector"),
    ("POST", "/v1/stop"),
    ("DELETE", "/v1/layouts/night"),
    ("GET", "/v1/inspect/detector"),
];

/// Pieces that change the meaning of a body or a path.
const PIECES: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "/",
    "?",
    "&",
    "=",
    "%",
    "%2f",
    "%00",
    "..",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "0.5",
    "NaN",
    "18446744073709551616",
    "9223372036854775807",
    "\\ud800",
    "\u{0}",
    "\u{fffd}",
    "\"edit\":\"pause\",",
    "\"model\":\"ranker\",",
    "\"free\"",
    "\"auto\"",
    "{\"count\":3}",
    "{\"list\":\"0-4294967295\"}",
    "{\"share\":1e-300}",
    "\"expected\":1,",
    "{\"secs\":18446744073709551615,\"nanos\":4294967295}",
];

/// The damage to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// To its body.
    Body,
    /// To its path, its method and its headers, which stay a request.
    Path,
    /// To any of its bytes.
    Head,
}

/// A request as it is sent.
#[derive(Clone)]
pub(crate) struct RequestCase {
    method: String,
    path: String,
    headers: String,
    body: Vec<u8>,
    /// The bytes, if the head is damaged too.
    raw: Option<Vec<u8>>,
}

impl fmt::Display for RequestCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bytes().escape_ascii().to_string())
    }
}

impl RequestCase {
    fn new(method: &str, path: &str, body: Vec<u8>) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, headers: String::new(), body, raw: None }
    }

    /// Returns every request that succeeds on the demo.
    pub(crate) fn all() -> Vec<Self> {
        let save = SaveBody { layout: layout(), condition: SaveCondition::Always };
        let save = serde_json::to_vec(&save).unwrap();
        let mut all = vec![
            Self::new("PUT", "/v1/layouts/night", save),
            Self::new("GET", "/v1/layouts/night", Vec::new()),
            Self::new("PUT", "/v1/current", br#"{"name": "night"}"#.to_vec()),
            Self::new("POST", "/v1/layouts/night/rename", br#"{"to": "day"}"#.to_vec()),
            Self::new("POST", "/v1/layouts/day/rename", br#"{"to": "night"}"#.to_vec()),
        ];
        // the last one is not there
        all.extend(PLAIN[..PLAIN.len() - 1].iter().map(|(m, path)| Self::new(m, path, Vec::new())));
        for body in changes() {
            let body = serde_json::to_vec(&body).unwrap();
            all.push(Self::new("POST", "/v1/plan", body.clone()));
            all.push(Self::new("POST", "/v1/apply", body));
        }
        all
    }

    pub(crate) fn random(random: &mut fastrand::Rng, kind: Damage) -> Self {
        let bodies = BODIES.with(Clone::clone);
        let mut case = match (kind, random.u8(0..10)) {
            (Damage::Body, 0..6) | (_, 0..2) => {
                let path = ["/v1/plan", "/v1/apply"][random.usize(0..2)];
                Self::new("POST", path, random.choice(&bodies).unwrap().clone())
            }
            (Damage::Body, 6) | (_, 2) => {
                let path = ["/v1/undo", "/v1/redo"][random.usize(0..2)];
                let body = ["", "{}", "{\"change\": 1}", "{\"expected\": 1}"][random.usize(0..4)];
                Self::new("POST", path, body.as_bytes().to_vec())
            }
            (Damage::Body, 7) | (_, 3) => {
                let condition = [
                    SaveCondition::Always,
                    SaveCondition::New,
                    SaveCondition::Unchanged(divvy::scheduler::LayoutRevision::of("night")),
                ];
                let condition = condition[random.usize(0..3)].clone();
                let save = SaveBody { layout: layout(), condition };
                Self::new("PUT", "/v1/layouts/night", serde_json::to_vec(&save).unwrap())
            }
            (Damage::Body, 8) | (_, 4) => {
                let (method, path, body) = [
                    ("POST", "/v1/layouts/night/rename", "{\"to\": \"day\"}"),
                    ("PUT", "/v1/current", "{\"name\": \"night\"}"),
                    ("PUT", "/v1/current", "{\"name\": null}"),
                ][random.usize(0..3)];
                Self::new(method, path, body.as_bytes().to_vec())
            }
            _ => {
                let (method, path) = PLAIN[random.usize(0..PLAIN.len())];
                // the largest answer, and always the same
                let is_rare = path.ends_with("openapi.json") && random.u8(0..20) > 0;
                Self::new(method, if is_rare { "/v1" } else { path }, Vec::new())
            }
        };
        let is_right = random.u8(0..8) == 0;
        match kind {
            _ if is_right => {}
            Damage::Body => damage(random, &mut case.body, &PIECES, &bodies),
            Damage::Path => case.damage_path(random),
            Damage::Head => {
                let mut bytes = case.bytes();
                if random.bool() {
                    // only the head
                    bytes.truncate(bytes.len() - case.body.len());
                }
                damage(random, &mut bytes, &HEAD_PIECES, &bodies);
                case.raw = Some(bytes);
            }
        }
        case
    }

    /// Damages the path so that it can still be sent.
    fn damage_path(&mut self, random: &mut fastrand::Rng) {
        let mut path = std::mem::take(&mut self.path).into_bytes();
        damage(random, &mut path, &PIECES, &[]);
        path.retain(u8::is_ascii_graphic);
        if !path.starts_with(b"/") {
            path.insert(0, b'/');
        }
        self.path = String::from_utf8(path).unwrap();
        if random.u8(0..4) == 0 {
            const METHODS: [&str; 8] =
                ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X-Y"];
            random.choice(METHODS).unwrap().clone_into(&mut self.method);
        }
        if random.u8(0..4) == 0 {
            const HEADERS: [&str; 7] = [
                "Divvy-Api: 1\r\n",
                "Divvy-Api: 2\r\n",
                "Divvy-Api: \r\n",
                "Divvy-Client: night\r\n",
                "Divvy-Client: \u{1f600}/../\r\n",
                "Authorization: Bearer x\r\n",
                "Accept-Encoding: gzip\r\n",
            ];
            random.choice(HEADERS).unwrap().clone_into(&mut self.headers);
        }
    }

    /// Returns the bytes of the request.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let Self { method, path, headers, body, .. } = self;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    /// Sends the request; panics if the answer breaks a promise. Returns true if it succeeded.
    pub(crate) fn examine(&self, client: &mut Client) -> bool {
        if self.raw.is_some() {
            let status = client.send_apart(&self.bytes());
            if let Some(status) = status {
                // hyper refuses a head that is too large itself
                assert!(STATUSES.contains(&status) || status == 431, "{status}");
            }
            return status.is_some_and(|status| status < 300);
        }
        let answer = client.send(&self.bytes());
        assert!(STATUSES.contains(&answer.status), "{answer}");
        let is_success = answer.status < 300;
        // a path that hyper cannot read never comes to the host
        if is_success || !answer.body.is_empty() {
            assert!(answer.head.contains("divvy-api: 1"), "{}", answer.head);
        }
        if !is_success {
            check_error(&answer, self.method == "HEAD");
        } else if self.method != "HEAD" {
            self.check_success(&answer);
        }
        is_success
    }

    /// Checks that the types of divvy's own client can read an answer.
    fn check_success(&self, answer: &Answer) {
        let read = |result: serde_json::Result<()>| {
            result.unwrap_or_else(|error| panic!("{error}: {answer}"));
        };
        let path = self.path.split('?').next().unwrap();
        match path {
            "/v1/apply" | "/v1/undo" | "/v1/redo" => {
                read(serde_json::from_slice::<Applied>(&answer.body).map(drop));
            }
            "/v1/plan" => read(serde_json::from_slice::<PlannedChange>(&answer.body).map(drop)),
            "/v1/layout" => read(serde_json::from_slice::<LiveLayout>(&answer.body).map(drop)),
            _ if answer.head.contains("application/json") => {
                read(serde_json::from_slice::<Value>(&answer.body).map(drop));
            }
            _ => {}
        }
    }
}

fn check_error(answer: &Answer, is_head: bool) {
    if is_head {
        return;
    }
    // hyper answers what is no request, without a body
    if answer.body.is_empty() && answer.head.contains("connection: close") {
        return;
    }
    let content: Value =
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer}"));
    let text = |key: &str| content["error"][key].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(!text("kind").is_empty() && !text("message").is_empty(), "{answer}");
    assert!(text("message").len() < LONGEST_MESSAGE, "{answer}");
}

/// Pieces that change the meaning of a head.
const HEAD_PIECES: [&str; 14] = [
    "\r\n",
    "\r\n\r\n",
    " ",
    ":",
    "\u{0}",
    "HTTP/1.0",
    "HTTP/2.0",
    "Content-Length: 5\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Upgrade: h2c\r\nConnection: Upgrade\r\n",
];

thread_local! {
    /// The bodies of changes.
    static BODIES: Vec<Vec<u8>> =
        changes().iter().map(|body| serde_json::to_vec(body).unwrap()).collect();
}

fn layout() -> Layout {
    demo().unwrap().layout().clone()
}

/// Returns a change of each kind that succeeds on the demo.
fn changes() -> Vec<ChangeBody> {
    let layout = layout();
    let [first, second] = [0, 1].map(|at| layout.models[at].name.clone());
    let model = || first.clone();
    let row = layout.models[0].clone();
    let mut renamed = row.clone();
    "twin".clone_into(&mut renamed.name);
    renamed.reserve = false;
    let mut heavier = layout.clone();
    heavier.models[0].weight = 7;
    let mut other = row.clone();
    other.weight = 9;
    let millis = std::time::Duration::from_millis;
    let queue =
        QueuePolicy { limit: 7, timeout: Some(millis(5)), overflow: Overflow::Block, levels: 3 };
    let edits = [
        Edit::TransferCores {
            cores: CoreSelection::Count(1),
            from: CoreOwner::Model(second.clone()),
            to: CoreOwner::Model(model()),
            share: true,
        },
        Edit::SetCores { model: model(), cores: CoreRequest::Count(1) },
        Edit::SetCores { model: model(), cores: CoreRequest::Share(37.5) },
        Edit::SetCores { model: model(), cores: CoreRequest::List(CpuSet::single(CoreId(7))) },
        Edit::SetConcurrency { model: model(), concurrency: Auto::Exactly(3) },
        Edit::SetThreads { model: model(), threads: Auto::Exactly(2) },
        Edit::SetSpinning { model: model(), spinning: Some(true) },
        Edit::SetWeight { model: model(), weight: 5 },
        Edit::SetObjective { model: model(), objective: Objective::Latency },
        Edit::SetQueue { model: model(), queue },
        Edit::SetSlo { model: model(), slo: Some(Slo { percentile: 90.0, bound: millis(3) }) },
        Edit::SetMemory { model: model(), memory: Some(Bytes(1 << 30)) },
        Edit::SetLoad { model: model(), load: Some(LoadSpec::Poisson { rate: 3.5 }) },
        Edit::Pause { model: model(), paused: true },
        Edit::SetRow { budget: Box::new(other), base: Some(Box::new(row)) },
        Edit::Reload { model: model(), number: None },
        Edit::Rename { model: model(), to: "other".to_owned() },
        Edit::Add { budget: Box::new(renamed) },
        Edit::Remove { model: model() },
    ];
    let several = Change { edits: vec![edits[7].clone(), edits[4].clone(), edits[13].clone()] };
    let mut bodies: Vec<ChangeBody> =
        edits.into_iter().map(|edit| ChangeBody::new(edit.into())).collect();
    bodies.push(ChangeBody::new(several));
    bodies.push(ChangeBody { layout: Some(heavier), ..ChangeBody::default() });
    bodies
}

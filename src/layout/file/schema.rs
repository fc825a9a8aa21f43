//! The JSON Schema of layout files, for editors that complete and check TOML.
//!
//! The structs only describe the format; nothing is parsed into them. A test compares their keys with
//! those of the parser.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

/// A size with its unit.
type Size = String;
/// A time with its unit.
type Time = String;

/// Returns the JSON Schema (draft 2020-12) of layout files.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<LayoutFile>()
}

/// A divvy layout: the models and the processes, and the budget of each. The rows have the order of the file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "divvy layout", extend(
    "anyOf" = [{ "required": ["model"] }, { "required": ["process"] }],
))]
struct LayoutFile {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    version: i64,
    /// A description for people.
    #[schemars(default)]
    description: String,
    server: Option<Server>,
    /// The models, one `[[model]]` per model.
    #[schemars(length(min = 1))]
    #[schemars(default)]
    model: Vec<ModelRow>,
    /// The processes that run beside the models, one `[[process]]` per row.
    #[schemars(length(min = 1), default)]
    process: Vec<ProcessRow>,
}

/// The limits of the server, which runs with `--listen` or `--listen-grpc`. Options of the command line win.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Server {
    /// The largest body of a request, decompressed. Default: "64MiB".
    max_body: Option<Size>,
    /// The largest head of a request (request line and headers), "1KiB" to "1MiB". Default: "16KiB".
    max_header: Option<Size>,
    /// The most open connections. Default: 1024.
    #[schemars(range(min = 1, max = 1_000_000))]
    max_connections: Option<i64>,
    /// The most bytes of all requests and answers in flight, `max_body` or more. Default: "1GiB".
    max_in_flight: Option<Size>,
    /// The longest time for the head, and for the body, of a request to arrive, "100ms" or more. Default:
    /// "30s".
    receive_timeout: Option<Time>,
    /// The longest time in which a client takes nothing of its answer, "100ms" or more. Default: "30s".
    send_timeout: Option<Time>,
    /// The longest time that a connection stays open without a request, "100ms" or more. Default: "5m".
    idle_timeout: Option<Time>,
}

/// The budget of a model.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ModelRow {
    /// The name of the model, unique in the layout.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// The ONNX file, relative to the folder of the layout; or `embedded:NAME` for a model that is
    /// part of divvy.
    #[schemars(length(min = 1))]
    path: String,
    /// The version that clients of the server see: visible characters without `/`. Default: "1".
    #[schemars(length(min = 1, max = 64), extend("pattern" = "^[^/\\s]+$"))]
    version: Option<String>,
    engine: Option<Engine>,
    /// A CPU list ("0-3,8"), a number (placed by topology), or a share ("50%"). Default: 1.
    cores: Option<Cores>,
    /// Reserves the cores: no other model may run on them. Default: false.
    reserve: Option<bool>,
    /// Intra-op threads per instance. Default: "auto".
    threads: Option<AutoNumber>,
    /// The number of active instances, each of which runs one request at a time. Default: "auto".
    concurrency: Option<AutoNumber>,
    objective: Option<ObjectiveName>,
    /// Makes threads spin while they wait. Default: "auto".
    spinning: Option<Spinning>,
    /// The share of its threads on cores that they share, relative to other models. Default: 1.
    #[schemars(range(min = 1, max = 64))]
    weight: Option<i64>,
    /// The memory budget of the model, like "512MiB". Default: unlimited.
    memory: Option<Size>,
    /// The GPU that runs it: an index, or an identifier ("GPU-...", "MIG-..."). Default: the CPU.
    gpu: Option<Gpu>,
    /// The memory limit on the GPU, like "4GiB". Only with `gpu`. Default: unlimited.
    gpu_memory: Option<Size>,
    queue: Option<Queue>,
    /// The latency target: a percentile and its bound, like { p99 = "20ms" }.
    slo: Option<Slo>,
    load: Option<Load>,
    /// Sizes of open dimensions, by name; `divvy inspect` lists the names.
    dims: Option<BTreeMap<String, Dimension>>,
    /// The values of inputs in built-in load, by name.
    inputs: Option<BTreeMap<String, Input>>,
    /// Starts the model paused. Default: false.
    paused: Option<bool>,
}

/// The budget of processes. They are chosen by one of `match`, `pid`, `cgroup` and `command`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ProcessRow {
    /// The name of the row, unique in the layout.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    #[schemars(rename = "match")]
    matching: Option<Match>,
    /// The number of a process: short for `match = { pid = ... }`.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pid: Option<i64>,
    /// The path of a cgroup: short for `match = { cgroup = ... }`.
    #[schemars(length(min = 1))]
    cgroup: Option<String>,
    /// A command that divvy starts, instead of a `match`: the program and its arguments.
    #[schemars(length(min = 1))]
    command: Option<Vec<String>>,
    /// The folder in which the command runs, relative to the folder of the layout. Default: divvy's own.
    #[schemars(length(min = 1))]
    dir: Option<String>,
    /// Variables of the command's environment that differ from divvy's.
    env: Option<BTreeMap<String, String>>,
    restart: Option<Restart>,
    #[schemars(rename = "where")]
    condition: Option<Where>,
    /// A CPU list ("0-3,8"), a number (placed by topology), or a share ("50%"). Default: none, so that it
    /// runs on every core that no row reserves.
    cores: Option<Cores>,
    /// Reserves the cores: no other row may run on them. Default: false.
    reserve: Option<bool>,
    /// The share of its threads on cores that they share, relative to other rows. Default: 1.
    #[schemars(range(min = 1, max = 64))]
    weight: Option<i64>,
    /// The memory budget, like "8GiB". It is enforced in a cgroup of divvy's, and reported otherwise.
    /// Default: unlimited.
    memory: Option<Size>,
    /// The latency target, like { p99 = "20ms" }. It needs `metrics`.
    slo: Option<Slo>,
    /// The page on which the program reports its own requests, in Prometheus' text format.
    #[schemars(length(min = 1), extend("pattern" = "^http://"))]
    metrics: Option<String>,
}

/// The processes of the row, each with its descendants: an executable, a number or a cgroup.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct Match {
    /// The file name of the executable, or its absolute path.
    #[schemars(length(min = 1))]
    exe: Option<String>,
    /// The number of a process.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pid: Option<i64>,
    /// The path of a cgroup, as in /proc/PID/cgroup.
    #[schemars(length(min = 1))]
    cgroup: Option<String>,
}

/// Conditions that the processes must meet besides; each that is set has to hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Where {
    /// A text in the command line, the arguments joined by spaces.
    #[schemars(length(min = 1))]
    cmdline: Option<String>,
    user: Option<User>,
    /// The working folder, an absolute path.
    #[schemars(length(min = 1))]
    cwd: Option<String>,
}

/// The owner, by name or number.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum User {
    Number(#[schemars(range(min = 0, max = 4_294_967_295_u32))] i64),
    Name(#[schemars(length(min = 1))] String),
}

/// The reaction to the end of the command. Default: "never".
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Restart {
    Never,
    OnFailure,
    Always,
}

/// The engine that runs the model. Default: "auto".
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Engine {
    Auto,
    OnnxRuntime,
    Rten,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Cores {
    Count(#[schemars(range(min = 0, max = 1024))] i64),
    Text(#[schemars(length(min = 1))] String),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Gpu {
    Index(#[schemars(range(min = 0, max = 63))] i64),
    Identifier(#[schemars(length(min = 1))] String),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum AutoWord {
    Auto,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum AutoNumber {
    Word(AutoWord),
    Number(#[schemars(range(min = 1, max = 1024))] i64),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Spinning {
    Word(AutoWord),
    Set(bool),
}

/// The goal when divvy splits cores into instances and threads. Default: "throughput".
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ObjectiveName {
    Latency,
    Throughput,
}

/// The queue of requests that wait for an instance.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Queue {
    /// Requests that may wait. Default: 64.
    #[schemars(range(min = 1, max = 1_000_000))]
    limit: Option<i64>,
    /// The longest wait of a request, like "500ms". Default: unlimited.
    timeout: Option<Time>,
    overflow: Option<OverflowName>,
    /// The number of priorities that clients of the server may use; 1 goes first. Default: 1.
    #[schemars(range(min = 1, max = 100))]
    levels: Option<i64>,
}

/// The treatment of requests when the queue is full. Default: "reject".
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum OverflowName {
    Reject,
    Block,
}

/// A latency target: one percentile and its bound.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend(
    "minProperties" = 1,
    "maxProperties" = 1,
    "patternProperties" = { "^p[0-9]{1,2}([.][0-9]+)?$": { "type": "string" } },
))]
struct Slo {
    p50: Option<Time>,
    p90: Option<Time>,
    p95: Option<Time>,
    p99: Option<Time>,
    #[schemars(rename = "p99.9")]
    p999: Option<Time>,
}

/// Built-in load: requests that divvy itself sends.
#[derive(JsonSchema)]
#[schemars(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Load {
    /// Arrivals with exponential gaps.
    Poisson { rate: Rate },
    /// Arrivals with equal gaps.
    Constant { rate: Rate },
    /// Clients that each wait for a reply before they send the next request.
    Closed {
        /// The number of clients.
        #[schemars(range(min = 1, max = 10_000))]
        clients: i64,
        /// The pause of a client between a reply and its next request, like "10ms".
        think: Option<Time>,
    },
    /// Recorded requests.
    Replay {
        /// An `.npz` or `.npy` file, relative to the folder of the layout.
        file: String,
        order: Option<Order>,
        /// Requests per second. Default: as recorded.
        rate: Option<Rate>,
        /// Outputs that become inputs of the next request, by name.
        carry: Option<BTreeMap<String, String>>,
    },
}

/// Requests per second.
#[derive(JsonSchema)]
struct Rate(#[schemars(extend("exclusiveMinimum" = 0), range(max = 1_000_000))] f64);

/// The order of replayed requests. Default: "recorded".
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Order {
    Recorded,
    Shuffled,
}

#[derive(JsonSchema)]
struct Dimension(#[schemars(range(min = 1, max = 2_147_483_647))] i64);

/// The values of an input: one of the three keys.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct Input {
    /// Random values from the first number up to the second, which is excluded.
    range: Option<(f64, f64)>,
    /// All zeros; the only value is true.
    #[schemars(extend("const" = true))]
    zeros: Option<bool>,
    /// An `.npy` file, relative to the folder of the layout.
    npy: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::keys;
    use super::*;

    fn sorted<'k>(keys: impl IntoIterator<Item = &'k str>) -> Vec<String> {
        let mut keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        keys.sort();
        keys
    }

    fn properties(schema: &Value) -> Vec<String> {
        sorted(schema["properties"].as_object().unwrap().keys().map(String::as_str))
    }

    #[test]
    fn schema_has_the_keys_of_the_parser() {
        let schema = schema().to_value();
        let defs = &schema["$defs"];
        assert_eq!(properties(&schema), sorted(keys::ROOT.iter().copied()));
        for (name, known) in [
            ("Server", keys::SERVER),
            ("ModelRow", keys::MODEL),
            ("ProcessRow", keys::PROCESS),
            ("Match", keys::MATCH),
            ("Where", keys::WHERE),
            ("Queue", keys::QUEUE),
            ("Slo", keys::SLO),
            ("Input", keys::INPUT),
        ] {
            assert_eq!(properties(&defs[name]), sorted(known.iter().copied()), "{name}");
            assert_eq!(defs[name]["additionalProperties"], false, "{name}");
        }
        let kinds = defs["Load"]["oneOf"].as_array().unwrap();
        assert_eq!(kinds.len(), keys::LOADS.len());
        for (kind, known) in keys::LOADS {
            let schema = kinds.iter().find(|schema| schema["properties"]["kind"]["const"] == *kind);
            assert_eq!(properties(schema.unwrap()), sorted(known.iter().copied()), "{kind}");
        }
    }
}

//! The layout format as a JSON Schema, for editors that complete and check TOML.
//!
//! The structs mirror what a file may say; nothing reads into them. A test holds their keys against
//! the list from which the parser works, so that neither can have one that the other lacks.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

/// A size with its unit.
type Size = String;
/// A time with its unit.
type Time = String;

/// The JSON Schema (draft 2020-12) of layout files.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<LayoutFile>()
}

/// A divvy layout: which models run, and what each of them may use.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "divvy layout")]
struct LayoutFile {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    version: i64,
    /// Free text.
    #[schemars(default)]
    description: String,
    /// The models, one `[[model]]` each.
    #[schemars(length(min = 1))]
    model: Vec<ModelRow>,
}

/// One model's budget.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ModelRow {
    /// Its name, unique in the layout.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// The ONNX file, relative to the layout; or `embedded:NAME` for one that is part of divvy.
    #[schemars(length(min = 1))]
    path: String,
    engine: Option<Engine>,
    /// A CPU list ("0-3,8"), a number (placed by topology), or a share ("50%"). Default: 1.
    cores: Option<Cores>,
    /// Whether nobody else may run on these cores. Default: false.
    reserve: Option<bool>,
    /// Intra-op threads of one instance. Default: "auto".
    threads: Option<AutoNumber>,
    /// Active instances. Default: "auto".
    concurrency: Option<AutoNumber>,
    objective: Option<ObjectiveName>,
    /// Whether threads spin while they wait. Default: "auto".
    spinning: Option<Spinning>,
    /// What its threads get of a core that they share, relative to other models' threads. Default: 1.
    #[schemars(range(min = 1, max = 64))]
    weight: Option<i64>,
    /// Memory that the model may hold, like "512MiB".
    memory: Option<Size>,
    /// The GPU that runs it: an index, or an identifier ("GPU-...", "MIG-..."). Default: the CPU.
    gpu: Option<Gpu>,
    /// Memory that it may hold on its GPU, like "4GiB". Only with `gpu`.
    gpu_memory: Option<Size>,
    queue: Option<Queue>,
    /// A percentile and its bound, like { p99 = "20ms" }.
    slo: Option<Slo>,
    load: Option<Load>,
    /// Sizes of dynamic dimensions, by name.
    dims: Option<BTreeMap<String, Dimension>>,
    /// How inputs are filled, by name.
    inputs: Option<BTreeMap<String, Input>>,
    /// Whether it starts paused. Default: false.
    paused: Option<bool>,
}

/// Which engine runs the model. Default: "auto".
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

/// What the split of cores into instances and threads is for, where both are auto. Default:
/// "throughput".
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ObjectiveName {
    Latency,
    Throughput,
}

/// The queue of admitted requests.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Queue {
    /// Requests that may wait. Default: 64.
    #[schemars(range(min = 1, max = 1_000_000))]
    limit: Option<i64>,
    /// How long a request may wait, like "500ms". Default: for ever.
    timeout: Option<Time>,
    overflow: Option<OverflowName>,
}

/// What happens to a request that finds the queue full. Default: "reject".
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

/// Requests that divvy itself sends.
#[derive(JsonSchema)]
#[schemars(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Load {
    /// Arrivals with exponential gaps.
    Poisson { rate: Rate },
    /// Arrivals with equal gaps.
    Constant { rate: Rate },
    /// Callers that each wait for their reply.
    Closed {
        /// Number of callers.
        #[schemars(range(min = 1, max = 10_000))]
        clients: i64,
        /// Pause of a caller between a reply and its next request, like "10ms".
        think: Option<Time>,
    },
    /// Recorded requests.
    Replay {
        /// An `.npz` or `.npy` file, relative to the layout.
        file: String,
        order: Option<Order>,
        /// Requests per second; absent: as recorded.
        rate: Option<Rate>,
        /// Outputs that become inputs of the next request.
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

/// How one input is filled: one of the three.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct Input {
    /// Seeded values from the first up to, not including, the second.
    range: Option<(f64, f64)>,
    /// All zeros: only true can be written.
    #[schemars(extend("const" = true))]
    zeros: Option<bool>,
    /// An `.npy` file, relative to the layout.
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
    fn the_schema_and_the_parser_know_the_same_keys() {
        let schema = schema().to_value();
        let defs = &schema["$defs"];
        assert_eq!(properties(&schema), sorted(keys::ROOT.iter().copied()));
        for (name, known) in [
            ("ModelRow", keys::MODEL),
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

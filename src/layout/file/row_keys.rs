//! The keys of a row as text, for the row editor.
//!
//! It uses the writer and the parser of layout files, so that a new key can be edited at once.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::Value as Json;
use toml_edit::{InlineTable, Value};

use super::faults::{Fault, Faults};
use super::keys;
use super::origin::Origin;
use super::parse::{self, FileCheck};
use super::save_error::SaveError;
use super::schema::schema;
use super::write::{self, PathStyle, Paths, WrittenKeys};
use crate::layout::Budget;

/// A key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowKey {
    /// Its name in the file.
    pub name: &'static str,
    /// Its value as TOML; `None` if it has neither a value nor a default.
    pub value: Option<String>,
    /// True if it has its default value, which a file omits.
    pub default: bool,
    /// The row to which it belongs, by the name of its description in the schema.
    row: RowSchema,
}

/// The kind of a row, which decides its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowSchema {
    Model,
    Process,
}

impl RowSchema {
    fn of(budget: &Budget) -> Self {
        if budget.is_process() { Self::Process } else { Self::Model }
    }

    /// Returns the keys that divvy writes, in the order of the file.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Model => keys::MODEL,
            Self::Process => keys::WRITTEN_PROCESS,
        }
    }

    /// Returns the key of its array in a file.
    fn array(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Process => "process",
        }
    }

    /// Returns its name in the JSON Schema.
    fn definition(self) -> &'static str {
        match self {
            Self::Model => "ModelRow",
            Self::Process => "ProcessRow",
        }
    }
}

/// The start of the parser's messages about syntax.
const SYNTAX: &str = "not TOML";

/// Examples of values, for keys whose description has none.
const EXAMPLES: &[(&str, &str)] = &[
    ("engine", "auto, onnxruntime or rten"),
    ("reserve", "true or false"),
    ("threads", "2, or auto"),
    ("concurrency", "4, or auto"),
    ("objective", "latency or throughput"),
    ("spinning", "true, false or auto"),
    ("queue", "{ limit = 64, timeout = \"500ms\", overflow = \"reject\", levels = 1 }"),
    (
        "load",
        "{ kind = \"poisson\", rate = 120.0 }, { kind = \"closed\", clients = 4, think = \"5ms\" }",
    ),
    ("dims", "{ batch = 1, seq = 128 }"),
    ("inputs", "{ x = { range = [0.0, 1.0] } }"),
    ("paused", "true or false"),
    (
        "match",
        "{ exe = \"redis-server\" }, { pid = 4711 } or { cgroup = \"/system.slice/ollama.service\" }",
    ),
    ("command", "[\"python\", \"server.py\"]"),
    ("env", "{ OMP_NUM_THREADS = \"4\" }"),
    ("restart", "never, on-failure or always"),
    ("where", "{ cmdline = \"--port 8000\", user = \"postgres\", cwd = \"/srv\" }"),
    ("metrics", "http://127.0.0.1:8002/metrics"),
];

impl RowKey {
    /// Returns the description of the key, with an example.
    pub fn help(&self) -> String {
        let description = description(self.row, self.name);
        match EXAMPLES.iter().find(|(name, _)| *name == self.name) {
            Some((_, example)) => format!("{description} Example: {example}"),
            None => description.to_owned(),
        }
    }
}

/// Returns the description of a key from the JSON Schema.
fn description(row: RowSchema, key: &str) -> &'static str {
    static ALL: OnceLock<Vec<(RowSchema, &'static str, String)>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let schema = schema().to_value();
        let rows = [RowSchema::Model, RowSchema::Process].into_iter();
        let names = rows.flat_map(|row| row.keys().iter().map(move |name| (row, *name)));
        let descriptions = names.map(|(row, name)| {
            let path = format!("/$defs/{}/properties/{name}", row.definition());
            let property = schema.pointer(&path);
            let text = property.and_then(|property| schema_description(&schema, property));
            (row, name, text.unwrap_or_default())
        });
        descriptions.collect()
    });
    let is_it = |entry: &&(RowSchema, &str, String)| entry.0 == row && entry.1 == key;
    all.iter().find(is_it).map_or("", |(.., text)| text)
}

/// Returns the description of a property or, if it has none, of its type.
fn schema_description(schema: &Json, property: &Json) -> Option<String> {
    let own = |value: &Json| value.get("description").and_then(Json::as_str).map(str::to_owned);
    let reference = |value: &Json| {
        let name = value.get("$ref")?.as_str()?.strip_prefix('#')?;
        own(schema.pointer(name)?)
    };
    let others = || property.get("anyOf").and_then(Json::as_array);
    own(property)
        .or_else(|| reference(property))
        .or_else(|| others()?.iter().find_map(reference))
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns the keys and values of a row with absolute paths.
fn values(budget: &Budget, written: WrittenKeys) -> Result<InlineTable, SaveError> {
    let origin = Origin::Unsaved;
    let paths = Paths { origin: &origin, folder: None, style: PathStyle::default() };
    write::row(budget, &paths, written)
}

impl Budget {
    /// Returns all keys of the row in the order of the file.
    ///
    /// # Errors
    /// [`SaveError::NotText`] for a path that is not UTF-8.
    pub fn row_keys(&self) -> Result<Vec<RowKey>, SaveError> {
        let all = values(self, WrittenKeys::All)?;
        let non_default = values(self, WrittenKeys::NonDefault)?;
        let text = |value: &Value| value.to_string().trim().to_owned();
        let key = |name: &&'static str| RowKey {
            name,
            value: all.get(name).map(text),
            default: !non_default.contains_key(name),
            row: RowSchema::of(self),
        };
        Ok(RowSchema::of(self).keys().iter().map(key).collect())
    }

    /// Returns the row with another value of a key. Relative paths start at the current folder. A
    /// string needs no quotes. An empty text sets the default value.
    ///
    /// # Errors
    /// A message that says what is wrong with the value, and what to write instead.
    pub fn with_key(&self, key: &str, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut others =
            values(self, WrittenKeys::NonDefault).map_err(|error| error.to_string())?;
        if !text.is_empty() {
            for other in replaced_by(key) {
                others.remove(other);
            }
        }
        let row = RowSchema::of(self);
        let has_no_quotes = !text.starts_with(['"', '\'', '[', '{']);
        let quoted = Value::from(text).to_string();
        // a name or a version may look like a number
        let is_text = ["name", "version"].contains(&key);
        let text = if is_text && has_no_quotes && !text.is_empty() { &quoted } else { text };
        let present = PresentKeys { row, keys: &others };
        match read(present, key, text) {
            Err(fault) if has_no_quotes && fault.message.starts_with(SYNTAX) => {
                read(present, key, &quoted)
            }
            other => other,
        }
        .map_err(|fault| match fault.help {
            Some(help) => format!("{}; {help}", fault.message),
            None => fault.message,
        })
    }
}

/// Returns the keys that a value of a key replaces.
fn replaced_by(key: &str) -> &'static [&'static str] {
    match key {
        "match" => &["command", "dir", "env", "restart"],
        "command" => &["match", "where"],
        _ => &[],
    }
}

/// The keys that a row has.
#[derive(Clone, Copy)]
struct PresentKeys<'k> {
    row: RowSchema,
    keys: &'k InlineTable,
}

/// Parses a row with the text as the value of a key.
fn read(present: PresentKeys<'_>, key: &str, text: &str) -> Result<Budget, Fault> {
    let mut file = format!("version = 1\n[[{}]]\n", present.row.array());
    for (name, value) in present.keys.iter().filter(|(name, _)| *name != key) {
        // writing into a string does not fail
        let _ = writeln!(file, "{name} = {}", value.to_string().trim());
    }
    if !text.is_empty() {
        let _ = write!(file, "{key} = {text}");
    }
    let line = file.lines().count();
    // relative paths start at the folder of the file
    let origin = Origin::File("row.toml".into());
    // other keys may name files that no longer exist; only faults in the line of this key count
    if !text.is_empty()
        && let Err(faults) = parse::parse(&file, &origin, FileCheck::Required)
        && let Some(own) = first_fault(&faults, |fault| fault.line == Some(line))
    {
        return Err(own);
    }
    let parsed = parse::parse(&file, &origin, FileCheck::Skipped).map_err(|faults| {
        first_fault(&faults, |_| true).unwrap_or_else(|| Fault::whole("this value cannot be read"))
    })?;
    parsed
        .layout
        .models
        .into_iter()
        .next()
        .ok_or_else(|| Fault::whole("this value ends the row; write a single value"))
}

/// Returns the first fault that matches, preferably one of syntax, since it causes the others.
fn first_fault(faults: &Faults, matches: impl Fn(&Fault) -> bool) -> Option<Fault> {
    let own = || faults.faults().iter().filter(|fault| matches(fault));
    own().find(|fault| fault.message.starts_with(SYNTAX)).or_else(|| own().next()).cloned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::layout::{
        Auto, Bytes, CoreRequest, LoadSpec, ModelSource, Objective, Overflow, ProcessCommand,
        ProcessFilter, ProcessSelector, ProcessSource, QueuePolicy, ReplayOrder, RestartPolicy,
        Slo,
    };

    fn row() -> Budget {
        Budget::new("detector", ModelSource::Embedded("detector.onnx".into()))
    }

    fn full() -> Budget {
        Budget {
            cores: CoreRequest::Share(50.0),
            reserve: true,
            threads: Auto::Exactly(2),
            objective: Objective::Latency,
            spinning: Some(false),
            memory: Some(Bytes(512 << 20)),
            queue: QueuePolicy {
                limit: 9,
                timeout: Some(Duration::from_millis(500)),
                overflow: Overflow::Block,
                levels: 3,
            },
            version: "2026-11".into(),
            slo: Some(Slo { percentile: 99.9, bound: Duration::from_millis(20) }),
            load: Some(LoadSpec::Poisson { rate: 120.0 }),
            paused: true,
            ..row()
        }
    }

    fn process() -> Budget {
        let exe = ProcessSource::new(ProcessSelector::Exe("redis-server".into()));
        let filter = ProcessFilter { user: Some("redis".into()), ..ProcessFilter::default() };
        let metrics = Some("http://127.0.0.1:9121/metrics".to_owned());
        Budget::new("redis", ProcessSource { filter, metrics, ..exe })
    }

    fn started() -> Budget {
        let command = ProcessCommand {
            args: vec!["python".into(), "a b.py".into()],
            dir: Some("/".into()),
            env: [("PORT".to_owned(), "80".to_owned())].into(),
            restart: RestartPolicy::Always,
        };
        let source = ProcessSource::new(ProcessSelector::Command(command));
        Budget { cores: CoreRequest::Count(2), weight: 3, ..Budget::new("service", source) }
    }

    #[test]
    fn choice_of_processes_replaces_a_command() {
        let matched = started().with_key("match", "{ exe = \"x\" }").unwrap();
        let exe = ProcessSource::new(ProcessSelector::Exe("x".into()));
        assert_eq!(matched, Budget { source: exe.into(), ..started() });
        let command = process().with_key("command", "[\"x\"]").unwrap();
        let source = command.source.process().unwrap();
        assert_eq!(source.description(), "x");
        assert!(source.filter.is_empty());
    }

    #[test]
    fn every_key_reads_back_equal() {
        for budget in [row(), full(), process(), started()] {
            let listed = budget.row_keys().unwrap();
            let names: Vec<&str> = listed.iter().map(|key| key.name).collect();
            assert_eq!(names, RowSchema::of(&budget).keys());
            for key in listed {
                let again = budget.with_key(key.name, key.value.as_deref().unwrap_or_default());
                assert_eq!(again.as_ref(), Ok(&budget), "{}", key.name);
            }
        }
    }

    #[test]
    fn empty_text_sets_the_default() {
        let budget = full();
        let load = budget.with_key("load", "{ kind = \"closed\", clients = 4 }").unwrap();
        let closed = LoadSpec::Closed { clients: 4, think: Duration::ZERO };
        assert_eq!(load, Budget { load: Some(closed), ..budget.clone() });
        for key in
            budget.row_keys().unwrap().iter().filter(|key| !["name", "path"].contains(&key.name))
        {
            let cleared = budget.with_key(key.name, "  ").unwrap();
            let keys = cleared.row_keys().unwrap();
            let shown = keys.iter().find(|other| other.name == key.name).unwrap();
            assert!(shown.default || key.name == "cores", "{}", key.name);
        }
        assert_eq!(budget.with_key("cores", "").unwrap().cores, CoreRequest::Count(1));
    }

    #[test]
    fn strings_need_no_quotes() {
        for (key, word, quoted) in [
            ("cores", "0-1", "\"0-1\""),
            ("cores", "25%", "\"25%\""),
            ("threads", "auto", "\"auto\""),
            ("memory", "1GiB", "\"1GiB\""),
            ("engine", "rten", "\"rten\""),
            ("name", "7", "\"7\""),
            ("version", "7", "\"7\""),
            ("name", "the eyes", "\"the eyes\""),
        ] {
            let read = row().with_key(key, word);
            assert!(read.is_ok(), "{key} = {word}: {read:?}");
            assert_eq!(read, row().with_key(key, quoted));
        }
    }

    #[test]
    fn errors_say_what_to_write() {
        for (key, text, words) in [
            ("threads", "0", ["auto", "1,024"]),
            ("memory", "512", ["memory", "MiB"]),
            ("load", "{ kind = \"poisson\" }", ["rate", "120"]),
            ("load", "{ kind = poisson }", ["not TOML", ""]),
            ("slo", "{ p99 = \"fast\" }", ["fast", "ms"]),
            ("queue", "{ limit = 3, timeouts = \"1s\" }", ["timeouts", "timeout"]),
            ("queue", "{ levels = 101 }", ["levels", "100"]),
            ("version", "a/b", ["slash", "64"]),
            ("path", "", ["path", "add"]),
            ("name", "", ["name", "add"]),
            ("path", "nowhere.onnx", ["nowhere.onnx", ""]),
            ("engine", "tract", ["rten", "onnxruntime"]),
            ("cores", "1\n[[model]]", ["", ""]),
            ("match", "redis-server", ["`match` is a string", "exe"]),
            ("metrics", "https://h/metrics", ["https", "Prometheus"]),
            ("where", "{ usr = \"x\" }", ["usr", "user"]),
        ] {
            let is_of_process = ["match", "metrics", "where"].contains(&key);
            let row = if is_of_process { process() } else { row() };
            let error = row.with_key(key, text).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{key} = {text}: {error}");
        }
    }

    #[test]
    fn missing_file_of_another_key_is_ignored() {
        let source = ModelSource::File("/nowhere/at/all.onnx".into());
        let row = Budget { source: source.into(), ..full() };
        assert_eq!(row.with_key("threads", "3").unwrap().threads, Auto::Exactly(3));
        assert!(row.with_key("path", "\"/nowhere/at/all.onnx\"").is_err());
    }

    #[test]
    fn key_is_removed_despite_missing_file() {
        // the load is in the last line, where the removed key would be
        let replay = LoadSpec::Replay {
            file: "/nowhere/at/all.json".into(),
            order: ReplayOrder::Recorded,
            rate: None,
            carry: std::collections::BTreeMap::default(),
        };
        let row = Budget { load: Some(replay), paused: false, ..full() };
        assert_eq!(row.with_key("slo", "").unwrap().slo, None);
        assert_eq!(row.with_key("load", "").unwrap().load, None);
    }

    #[test]
    fn every_key_has_a_description() {
        for key in [row(), process()].iter().flat_map(|row| row.row_keys().unwrap()) {
            assert!(!key.help().is_empty(), "{}", key.name);
        }
        let help = |name| row().row_keys().unwrap().into_iter().find(|key| key.name == name);
        assert!(help("engine").unwrap().help().contains("The engine that runs the model"));
    }
}

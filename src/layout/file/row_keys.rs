//! One row of a layout key by key, as a layout file writes it: what an editor of rows shows, and
//! what it reads back. By the file's own writer and parser, so that a key is never known to one of
//! them only.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::Value as Json;
use toml_edit::{InlineTable, Value};

use super::faults::{Fault, Faults};
use super::keys;
use super::origin::Origin;
use super::parse::{self, Files};
use super::save::SaveError;
use super::schema::schema;
use super::write::{self, PathStyle, Paths};
use crate::layout::Budget;

/// A key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowKey {
    /// Its name in the file.
    pub name: &'static str,
    /// Its value as TOML; `None` where it has none and no default either.
    pub value: Option<String>,
    /// Whether a file would leave it out, since that is its default.
    pub default: bool,
}

/// How the parser begins to tell of what is no TOML.
const SYNTAX: &str = "not TOML";

/// What can be written for a key, where the sentence about it shows no value.
const EXAMPLES: &[(&str, &str)] = &[
    ("engine", "auto, onnxruntime or rten"),
    ("reserve", "true or false"),
    ("threads", "2, or auto"),
    ("concurrency", "4, or auto"),
    ("objective", "latency or throughput"),
    ("spinning", "true, false or auto"),
    ("queue", "{ limit = 64, timeout = \"500ms\", overflow = \"reject\" }"),
    (
        "load",
        "{ kind = \"poisson\", rate = 120.0 }, { kind = \"closed\", clients = 4, think = \"5ms\" }",
    ),
    ("dims", "{ batch = 1, seq = 128 }"),
    ("inputs", "{ x = { range = [0.0, 1.0] } }"),
    ("paused", "true or false"),
];

impl RowKey {
    /// What the key is for and what can be written, in a sentence or two.
    pub fn help(&self) -> String {
        let what = described(self.name);
        match EXAMPLES.iter().find(|(name, _)| *name == self.name) {
            Some((_, example)) => format!("{what} Like {example}"),
            None => what.to_owned(),
        }
    }
}

/// The sentence of the layout format's own description.
fn described(key: &str) -> &'static str {
    static ALL: OnceLock<Vec<(&'static str, String)>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let schema = schema().to_value();
        let told = keys::MODEL.iter().map(|name| {
            let property = schema.pointer(&format!("/$defs/ModelRow/properties/{name}"));
            (*name, property.and_then(|property| sentence(&schema, property)).unwrap_or_default())
        });
        told.collect()
    });
    all.iter().find(|(name, _)| *name == key).map_or("", |(_, told)| told)
}

/// The description of a property, else that of the type that it refers to.
fn sentence(schema: &Json, property: &Json) -> Option<String> {
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

/// The keys and values of a row, with the paths absolute.
fn written(budget: &Budget, full: bool) -> Result<InlineTable, SaveError> {
    let origin = Origin::Unsaved;
    let paths = Paths { origin: &origin, folder: None, style: PathStyle::default() };
    write::row(budget, &paths, full)
}

impl Budget {
    /// All keys of the row in the order of the file, those that have their default value too.
    ///
    /// # Errors
    /// [`SaveError::NotText`] for a path that TOML cannot hold.
    pub fn row_keys(&self) -> Result<Vec<RowKey>, SaveError> {
        let (all, set) = (written(self, true)?, written(self, false)?);
        let text = |value: &Value| value.to_string().trim().to_owned();
        let key = |name: &&'static str| RowKey {
            name,
            value: all.get(name).map(text),
            default: !set.contains_key(name),
        };
        Ok(keys::MODEL.iter().map(key).collect())
    }

    /// The row with another value of one key, read as a layout file is read; relative paths start
    /// at the current folder. A word may stand without quotes. An empty text takes the key away,
    /// which gives it its default.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the value, and what would be right.
    pub fn with_key(&self, key: &str, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let others = written(self, false).map_err(|error| error.to_string())?;
        let plain = !text.starts_with(['"', '\'', '[', '{']);
        let quoted = Value::from(text).to_string();
        // a name may look like a number
        let text = if key == "name" && plain && !text.is_empty() { &quoted } else { text };
        match read(&others, key, text) {
            Err(fault) if plain && fault.message.starts_with(SYNTAX) => read(&others, key, &quoted),
            other => other,
        }
        .map_err(|fault| match fault.help {
            Some(help) => format!("{}; {help}", fault.message),
            None => fault.message,
        })
    }
}

/// Reads a row with the text as the value of a key.
fn read(others: &InlineTable, key: &str, text: &str) -> Result<Budget, Fault> {
    let mut file = "version = 1\n[[model]]\n".to_owned();
    for (name, value) in others.iter().filter(|(name, _)| *name != key) {
        // writing into a string does not fail
        let _ = writeln!(file, "{name} = {}", value.to_string().trim());
    }
    if !text.is_empty() {
        let _ = write!(file, "{key} = {text}");
    }
    let line = file.lines().count();
    // relative paths start at the folder of the file
    let origin = Origin::File("row.toml".into());
    // files that other keys name may be away by now: that is not this key's fault; a key that is
    // taken away has no line of its own
    if !text.is_empty()
        && let Err(faults) = parse::parse(&file, &origin, Files::Looked)
        && let Some(own) = foremost(&faults, |fault| fault.line == Some(line))
    {
        return Err(own);
    }
    let (layout, _) = parse::parse(&file, &origin, Files::Assumed).map_err(|faults| {
        foremost(&faults, |_| true).unwrap_or_else(|| Fault::whole("this value cannot be read"))
    })?;
    layout.models.into_iter().next().ok_or_else(|| Fault::whole("this value ends the row"))
}

/// The fault to tell: that a value is no TOML at all goes before what was made of the rest.
fn foremost(faults: &Faults, which: impl Fn(&Fault) -> bool) -> Option<Fault> {
    let own = || faults.faults().iter().filter(|fault| which(fault));
    own().find(|fault| fault.message.starts_with(SYNTAX)).or_else(|| own().next()).cloned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::layout::{
        Auto, Bytes, CoreRequest, LoadSpec, ModelSource, Objective, Overflow, QueuePolicy,
        ReplayOrder, Slo,
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
            },
            slo: Some(Slo { percentile: 99.9, bound: Duration::from_millis(20) }),
            load: Some(LoadSpec::Poisson { rate: 120.0 }),
            paused: true,
            ..row()
        }
    }

    #[test]
    fn every_key_of_a_row_is_listed_and_read_back_as_it_was_written() {
        for budget in [row(), full()] {
            let listed = budget.row_keys().unwrap();
            let names: Vec<&str> = listed.iter().map(|key| key.name).collect();
            assert_eq!(names, keys::MODEL);
            for key in listed {
                let again = budget.with_key(key.name, key.value.as_deref().unwrap_or_default());
                assert_eq!(again.as_ref(), Ok(&budget), "{}", key.name);
            }
        }
    }

    #[test]
    fn a_value_is_set_and_an_empty_one_is_the_default() {
        let budget = full();
        let load = budget.with_key("load", "{ kind = \"closed\", clients = 4 }").unwrap();
        let closed = LoadSpec::Closed { clients: 4, think: Duration::ZERO };
        assert_eq!(load, Budget { load: Some(closed), ..budget.clone() });
        for key in
            budget.row_keys().unwrap().iter().filter(|key| !["name", "path"].contains(&key.name))
        {
            let gone = budget.with_key(key.name, "  ").unwrap();
            let gone = gone.row_keys().unwrap();
            let shown = gone.iter().find(|other| other.name == key.name).unwrap();
            assert!(shown.default || key.name == "cores", "{}", key.name);
        }
        assert_eq!(budget.with_key("cores", "").unwrap().cores, CoreRequest::Count(1));
    }

    #[test]
    fn words_need_no_quotes() {
        for (key, word, quoted) in [
            ("cores", "0-1", "\"0-1\""),
            ("cores", "25%", "\"25%\""),
            ("threads", "auto", "\"auto\""),
            ("memory", "1GiB", "\"1GiB\""),
            ("engine", "rten", "\"rten\""),
            ("name", "7", "\"7\""),
            ("name", "the eyes", "\"the eyes\""),
        ] {
            let read = row().with_key(key, word);
            assert!(read.is_ok(), "{key} = {word}: {read:?}");
            assert_eq!(read, row().with_key(key, quoted));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for (key, text, words) in [
            ("threads", "0", ["auto", "1,024"]),
            ("memory", "512", ["memory", "MiB"]),
            ("load", "{ kind = \"poisson\" }", ["rate", "120"]),
            ("load", "{ kind = poisson }", ["not TOML", ""]),
            ("slo", "{ p99 = \"fast\" }", ["fast", "ms"]),
            ("queue", "{ limit = 3, timeouts = \"1s\" }", ["timeouts", "timeout"]),
            ("path", "", ["path", "add"]),
            ("name", "", ["name", "add"]),
            ("path", "nowhere.onnx", ["nowhere.onnx", ""]),
            ("engine", "tract", ["rten", "onnxruntime"]),
            ("cores", "1\n[[model]]", ["", ""]),
        ] {
            let told = row().with_key(key, text).unwrap_err();
            assert!(words.iter().all(|word| told.contains(word)), "{key} = {text}: {told}");
        }
    }

    #[test]
    fn a_file_that_another_key_names_may_be_away() {
        let source = ModelSource::File("/nowhere/at/all.onnx".into());
        let away = Budget { source, ..full() };
        assert_eq!(away.with_key("threads", "3").unwrap().threads, Auto::Exactly(3));
        assert!(away.with_key("path", "\"/nowhere/at/all.onnx\"").is_err());
    }

    #[test]
    fn a_key_is_taken_away_whatever_file_another_one_misses() {
        // it is written last, where the line of the key that goes would be
        let replay = LoadSpec::Replay {
            file: "/nowhere/at/all.json".into(),
            order: ReplayOrder::Recorded,
            rate: None,
            carry: std::collections::BTreeMap::default(),
        };
        let away = Budget { load: Some(replay), paused: false, ..full() };
        assert_eq!(away.with_key("slo", "").unwrap().slo, None);
        assert_eq!(away.with_key("load", "").unwrap().load, None);
    }

    #[test]
    fn every_key_has_a_sentence() {
        for key in row().row_keys().unwrap() {
            assert!(!key.help().is_empty(), "{}", key.name);
        }
        let help = |name| row().row_keys().unwrap().into_iter().find(|key| key.name == name);
        assert!(help("engine").unwrap().help().contains("Which engine runs the model"));
    }
}

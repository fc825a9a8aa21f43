//! A `[[model]]` of a layout file.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::reader::{Reader, TomlValue};
use super::spans::RowSpans;
use super::values::{kind, set};
use super::{gpu, load};
use crate::layout::file::keys;
use crate::layout::file::origin::EMBEDDED_MODELS;
use crate::layout::model_name::{NAME_RULE, VERSION_RULE, name_error, version_error};
use crate::layout::{
    Auto, Budget, CoreRequest, EngineChoice, ModelSource, Objective, Overflow, QueuePolicy, Slo,
};
use crate::machine::{CpuSet, MAX_CORES};

/// The most threads, and the most instances.
const MOST: i64 = 1024;
/// The largest weight.
const HEAVIEST: i64 = Budget::MAX_WEIGHT as i64;
/// The most cores, as [`MAX_CORES`].
const MOST_CORES: i64 = MAX_CORES.cast_signed() as i64;
/// The largest queue limit.
const LONGEST_QUEUE: i64 = QueuePolicy::MAX_LIMIT.cast_signed() as i64;
/// The most priorities of a queue.
const MOST_LEVELS: i64 = QueuePolicy::MAX_LEVELS as i64;
/// The largest size of a dimension.
const LARGEST_DIM: i64 = i32::MAX as i64;

/// Reads a row. A faulty key gets its default value, so that the other keys can be read.
pub(super) fn row(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    span: Range<usize>,
) -> (Budget, RowSpans) {
    let mut budget = Budget::new("", ModelSource::Embedded(String::new()));
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        field(reader, &mut budget, name, value);
        if keys::LATER.contains(&name) {
            reader.fault(
                key.span(),
                format!("`{name}` is not available in this version of divvy"),
                "remove it: it would have no effect",
            );
        } else if keys::PROCESS.contains(&name) && !keys::MODEL.contains(&name) {
            let message = format!("a model has no `{name}`");
            reader.fault(key.span(), message, "remove it: only a `[[process]]` can have it");
        } else if !keys::MODEL.contains(&name) {
            reader.unknown(key, "a model", keys::MODEL);
        }
    }
    let spans = RowSpans::new(table, span.clone());
    for (required, example) in [("name", "detector"), ("path", "detector.onnx")] {
        if spans.written(required).is_none() {
            reader.fault(
                span.clone(),
                format!("this model has no `{required}`"),
                format!("add `{required} = \"{example}\"`"),
            );
        }
    }
    gpu::check_gpu_keys(reader, &budget, &spans);
    (budget, spans)
}

fn field(reader: &mut Reader<'_>, budget: &mut Budget, key: &str, value: &TomlValue<'_>) {
    match key {
        "name" => set(&mut budget.name, name(reader, value)),
        "path" => set(&mut budget.source, source(reader, value).map(Into::into)),
        "version" => set(&mut budget.version, version(reader, value)),
        "engine" => {
            let words = [
                ("auto", EngineChoice::Auto),
                ("onnxruntime", EngineChoice::OnnxRuntime),
                ("rten", EngineChoice::Rten),
            ];
            set(&mut budget.engine, reader.one_of(value, "`engine`", &words));
        }
        "cores" => set(&mut budget.cores, cores(reader, value)),
        "reserve" => set(&mut budget.reserve, reader.boolean(value, "`reserve`")),
        "threads" => set(&mut budget.threads, auto(reader, value, "`threads`")),
        "concurrency" => set(&mut budget.concurrency, auto(reader, value, "`concurrency`")),
        "objective" => {
            let words = [("latency", Objective::Latency), ("throughput", Objective::Throughput)];
            set(&mut budget.objective, reader.one_of(value, "`objective`", &words));
        }
        "spinning" => budget.spinning = spinning(reader, value),
        "weight" => set(&mut budget.weight, weight(reader, value)),
        "memory" => budget.memory = reader.bytes(value, "`memory`"),
        "gpu" => budget.gpu = gpu::gpu(reader, value),
        "gpu_memory" => budget.gpu_memory = reader.bytes(value, "`gpu_memory`"),
        "queue" => budget.queue = queue(reader, value),
        "slo" => budget.slo = slo(reader, value),
        "load" => budget.load = load::load(reader, value),
        "dims" => budget.dims = dims(reader, value),
        "inputs" => budget.inputs = load::inputs(reader, value),
        "paused" => set(&mut budget.paused, reader.boolean(value, "`paused`")),
        _ => {}
    }
}

/// Reads `name`.
pub(super) fn name(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<String> {
    let name = reader.string(value, "`name`")?;
    let Some(error) = name_error(&name) else { return Some(name) };
    reader.fault(value.span(), error, format!("write {NAME_RULE}"));
    None
}

fn version(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<String> {
    let version = reader.string(value, "`version`")?;
    let Some(error) = version_error(&version) else { return Some(version) };
    reader.fault(value.span(), error, format!("write {VERSION_RULE}"));
    None
}

fn source(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<ModelSource> {
    let written = reader.string(value, "`path`")?;
    match reader.origin.model(reader.folder.as_deref(), &written) {
        ModelSource::Embedded(name) if EMBEDDED_MODELS.contains(&name.as_str()) => {
            Some(ModelSource::Embedded(name))
        }
        ModelSource::Embedded(name) => {
            let message = format!("divvy has no embedded model `{name}`");
            let help = format!("use {}", keys::list(EMBEDDED_MODELS));
            reader.fault(value.span(), message, help);
            None
        }
        ModelSource::File(_) => reader.file(value, "the model", &written).map(ModelSource::File),
    }
}

/// Reads `cores`.
pub(super) fn cores(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<CoreRequest> {
    let help = "write a CPU list like \"0-3\", a number like 2, or a share like \"50%\"";
    let text = match value.get_ref() {
        DeValue::String(text) => text.trim(),
        DeValue::Integer(_) => {
            let count = reader.whole(value, "`cores`", 0..=MOST_CORES, help)?;
            return usize::try_from(count).ok().map(CoreRequest::Count);
        }
        _ => {
            mistyped_cores(reader, value, help);
            return None;
        }
    };
    if let Some(share) = text.strip_suffix('%') {
        return match share.trim().parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 100.0 => Some(CoreRequest::Share(share)),
            Ok(_) => {
                let message = format!("the share {text} is out of range");
                reader.fault(value.span(), message, "write above 0% up to 100%");
                None
            }
            Err(_) => {
                reader.fault(value.span(), format!("`{text}` is not a share"), help);
                None
            }
        };
    }
    if text.is_empty() {
        let help = "write a list like \"0-3\", or 0 for no cores";
        reader.fault(value.span(), "the CPU list is empty", help);
        return None;
    }
    text.parse::<CpuSet>()
        .map_err(|error| reader.fault(value.span(), format!("bad CPU list: {error}"), help))
        .ok()
        .map(CoreRequest::List)
}

fn mistyped_cores(reader: &mut Reader<'_>, value: &TomlValue<'_>, help: &str) {
    reader.fault(value.span(), format!("`cores` is {}", kind(value)), help);
}

/// Reads `weight`.
pub(super) fn weight(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<u32> {
    let help = "write 1 to 64; twice the weight is twice the time on a shared core";
    let weight = reader.count(value, "`weight`", HEAVIEST, help);
    weight.and_then(|weight| u32::try_from(weight).ok())
}

fn auto(reader: &mut Reader<'_>, value: &TomlValue<'_>, what: &str) -> Option<Auto> {
    if value.get_ref().as_str() == Some("auto") {
        return Some(Auto::Auto);
    }
    let help = if what == "`concurrency`" {
        "write \"auto\" or 1 to 1,024; to stop a model write `paused = true`"
    } else {
        "write \"auto\" or 1 to 1,024"
    };
    reader.count(value, what, MOST, help).map(Auto::Exactly)
}

fn spinning(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<bool> {
    if value.get_ref().as_str() == Some("auto") {
        return None;
    }
    let spinning = value.get_ref().as_bool();
    if spinning.is_none() {
        let message = format!("`spinning` is {}", kind(value));
        reader.fault(value.span(), message, "write true, false or \"auto\"");
    }
    spinning
}

fn queue(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> QueuePolicy {
    let mut queue = QueuePolicy::default();
    let help = "write `queue = { limit = 64, timeout = \"500ms\", overflow = \"reject\" }`";
    let Some(table) = reader.table(value, "`queue`", help) else {
        return queue;
    };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "limit" => {
                let help = "`limit` counts requests, 1 to 1,000,000, like 64";
                set(
                    &mut queue.limit,
                    reader.count(value, "the queue's `limit`", LONGEST_QUEUE, help),
                );
            }
            "timeout" => queue.timeout = reader.duration(value, "the queue's `timeout`"),
            "overflow" => {
                let words = [("reject", Overflow::Reject), ("block", Overflow::Block)];
                set(&mut queue.overflow, reader.one_of(value, "`overflow`", &words));
            }
            "levels" => {
                let help = "`levels` counts the priorities of clients, 1 to 100";
                let levels = reader.count(value, "the queue's `levels`", MOST_LEVELS, help);
                set(&mut queue.levels, levels.and_then(|levels| u8::try_from(levels).ok()));
            }
            _ => reader.unknown(key, "`queue`", keys::QUEUE),
        }
    }
    queue
}

/// Reads `slo`.
pub(super) fn slo(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<Slo> {
    let help = "write one percentile and its bound, like `slo = { p99 = \"20ms\" }`";
    let table = reader.table(value, "`slo`", help)?;
    if table.len() != 1 {
        let message = format!("`slo` has {} percentiles; write one", table.len());
        reader.fault(value.span(), message, help);
    }
    let mut slo = None;
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let percentile = name.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
        match percentile {
            Some(percentile) if percentile > 0.0 && percentile < 100.0 => {
                if value.get_ref().is_table() {
                    let message = "the key of a percentile with a decimal point needs quotes";
                    reader.fault(key.span(), message, "write `\"p99.9\" = \"50ms\"`");
                } else if let Some(bound) = reader.duration(value, &format!("`{name}`")) {
                    slo = Some(Slo { percentile, bound });
                }
            }
            Some(_) => {
                let message = format!("`{name}` is not a percentile between 0 and 100");
                reader.fault(key.span(), message, format!("write {}", keys::list(keys::SLO)));
            }
            None => reader.unknown(key, "`slo`", keys::SLO),
        }
    }
    slo
}

fn dims(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> BTreeMap<String, usize> {
    let help = "write sizes by name, like `dims = { batch = 1, seq = 128 }`";
    let Some(table) = reader.table(value, "`dims`", help) else {
        return BTreeMap::new();
    };
    let mut dims = BTreeMap::new();
    for (key, value) in table {
        let what = format!("the dimension `{}`", key.get_ref());
        if let Some(size) = reader.count(value, &what, LARGEST_DIM, "write a size of 1 or more") {
            dims.insert(key.get_ref().to_string(), size);
        }
    }
    dims
}

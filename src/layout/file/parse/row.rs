//! One `[[model]]` of a layout file.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::super::keys;
use super::super::origin::EMBEDDED_MODELS;
use super::{Reader, RowSpans, Value};
use crate::layout::model_name::{NAME_RULE, name_error};
use crate::layout::{
    Auto, Budget, CoreRequest, EngineChoice, ModelSource, Objective, Overflow, QueuePolicy, Slo,
};
use crate::machine::{CpuSet, MAX_CORES};

/// The most threads or instances.
const MOST: i64 = 1024;
/// The largest weight.
const HEAVIEST: i64 = Budget::MAX_WEIGHT as i64;
/// The most cores, as [`MAX_CORES`].
const MOST_CORES: i64 = MAX_CORES.cast_signed() as i64;
/// The longest queue, as the type that holds it allows.
const LONGEST_QUEUE: i64 = QueuePolicy::MAX_LIMIT.cast_signed() as i64;
/// The largest size of a dimension, as far as ONNX files in practice go.
const LARGEST_DIM: i64 = i32::MAX as i64;

impl Reader<'_> {
    /// Reads one row. What is faulty keeps its default, so that the rest can be read on.
    pub(super) fn row(&mut self, table: &DeTable<'_>, span: Range<usize>) -> (Budget, RowSpans) {
        let mut budget = Budget::new("", ModelSource::Embedded(String::new()));
        let mut values = HashMap::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            values.insert(name.to_owned(), value.span());
            self.field(&mut budget, name, value);
            if keys::LATER.contains(&name) {
                self.fault(
                    key.span(),
                    format!("`{name}` is not available in this version of divvy"),
                    "remove it; it would have no effect yet",
                );
            } else if !keys::MODEL.contains(&name) {
                self.unknown(key, "a model", keys::MODEL);
            }
        }
        for (required, example) in [("name", "detector"), ("path", "detector.onnx")] {
            if !values.contains_key(required) {
                self.fault(
                    span.clone(),
                    format!("this model has no `{required}`"),
                    format!("add `{required} = \"{example}\"`"),
                );
            }
        }
        self.gpu_alone(&budget, &values);
        (budget, RowSpans { row: span, values })
    }

    fn field(&mut self, budget: &mut Budget, name: &str, value: &Value<'_>) {
        match name {
            "name" => set(&mut budget.name, self.name(value)),
            "path" => set(&mut budget.source, self.source(value)),
            "engine" => {
                let words = [
                    ("auto", EngineChoice::Auto),
                    ("onnxruntime", EngineChoice::OnnxRuntime),
                    ("rten", EngineChoice::Rten),
                ];
                set(&mut budget.engine, self.one_of(value, "`engine`", &words));
            }
            "cores" => set(&mut budget.cores, self.cores(value)),
            "reserve" => set(&mut budget.reserve, self.boolean(value, "`reserve`")),
            "threads" => set(&mut budget.threads, self.auto(value, "`threads`")),
            "concurrency" => set(&mut budget.concurrency, self.auto(value, "`concurrency`")),
            "objective" => {
                let words =
                    [("latency", Objective::Latency), ("throughput", Objective::Throughput)];
                set(&mut budget.objective, self.one_of(value, "`objective`", &words));
            }
            "spinning" => budget.spinning = self.spinning(value),
            "weight" => {
                let help = "write 1 to 64: twice the weight is twice the time on a shared core";
                let weight = self.count(value, "`weight`", HEAVIEST, help);
                set(&mut budget.weight, weight.and_then(|weight| u32::try_from(weight).ok()));
            }
            "memory" => budget.memory = self.bytes(value, "`memory`"),
            "gpu" => budget.gpu = self.gpu(value),
            "gpu_memory" => budget.gpu_memory = self.bytes(value, "`gpu_memory`"),
            "queue" => budget.queue = self.queue(value),
            "slo" => budget.slo = self.slo(value),
            "load" => budget.load = self.load(value),
            "dims" => budget.dims = self.dims(value),
            "inputs" => budget.inputs = self.inputs(value),
            "paused" => set(&mut budget.paused, self.boolean(value, "`paused`")),
            _ => {}
        }
    }

    fn name(&mut self, value: &Value<'_>) -> Option<String> {
        let name = self.string(value, "`name`")?;
        let Some(error) = name_error(&name) else { return Some(name) };
        self.fault(value.span(), error, format!("write {NAME_RULE}"));
        None
    }

    fn source(&mut self, value: &Value<'_>) -> Option<ModelSource> {
        let written = self.string(value, "`path`")?;
        match self.origin.model(self.folder.as_deref(), &written) {
            ModelSource::Embedded(name) if EMBEDDED_MODELS.contains(&name.as_str()) => {
                Some(ModelSource::Embedded(name))
            }
            ModelSource::Embedded(name) => {
                let message = format!("no model `{name}` is part of divvy");
                let help = format!("there are {}", keys::list(EMBEDDED_MODELS));
                self.fault(value.span(), message, help);
                None
            }
            ModelSource::File(_) => self.file(value, "the model", &written).map(ModelSource::File),
        }
    }

    fn cores(&mut self, value: &Value<'_>) -> Option<CoreRequest> {
        let help = "write a CPU list like \"0-3\", a number like 2, or a share like \"50%\"";
        let text = match value.get_ref() {
            DeValue::String(text) => text.trim(),
            DeValue::Integer(_) => {
                let count = self.whole(value, "`cores`", 0..=MOST_CORES, help)?;
                return usize::try_from(count).ok().map(CoreRequest::Count);
            }
            _ => {
                self.mistyped_cores(value, help);
                return None;
            }
        };
        if let Some(share) = text.strip_suffix('%') {
            return match share.trim().parse::<f64>() {
                Ok(share) if share > 0.0 && share <= 100.0 => Some(CoreRequest::Share(share)),
                Ok(_) => {
                    let message = format!("the share {text} is out of range");
                    self.fault(value.span(), message, "write above 0% up to 100%");
                    None
                }
                Err(_) => {
                    self.fault(value.span(), format!("`{text}` is not a share"), help);
                    None
                }
            };
        }
        if text.is_empty() {
            let help = "write 0 for a model without cores, or name some, like \"0-3\"";
            self.fault(value.span(), "the CPU list is empty", help);
            return None;
        }
        text.parse::<CpuSet>()
            .map_err(|error| self.fault(value.span(), format!("bad CPU list: {error}"), help))
            .ok()
            .map(CoreRequest::List)
    }

    fn mistyped_cores(&mut self, value: &Value<'_>, help: &str) {
        self.fault(value.span(), format!("`cores` is {}", super::values::kind(value)), help);
    }

    fn auto(&mut self, value: &Value<'_>, what: &str) -> Option<Auto> {
        if value.get_ref().as_str() == Some("auto") {
            return Some(Auto::Auto);
        }
        let help = if what == "`concurrency`" {
            "write \"auto\" or 1 to 1,024; to stop a model write `paused = true`"
        } else {
            "write \"auto\" or 1 to 1,024"
        };
        self.count(value, what, MOST, help).map(Auto::Exactly)
    }

    fn spinning(&mut self, value: &Value<'_>) -> Option<bool> {
        if value.get_ref().as_str() == Some("auto") {
            return None;
        }
        let spinning = value.get_ref().as_bool();
        if spinning.is_none() {
            let message = format!("`spinning` is {}", super::values::kind(value));
            self.fault(value.span(), message, "write true, false or \"auto\"");
        }
        spinning
    }

    fn queue(&mut self, value: &Value<'_>) -> QueuePolicy {
        let mut queue = QueuePolicy::default();
        let help = "write `queue = { limit = 64, timeout = \"500ms\", overflow = \"reject\" }`";
        let Some(table) = self.table(value, "`queue`", help) else {
            return queue;
        };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "limit" => {
                    let help = "`limit` counts requests, 1 to 1,000,000, like 64";
                    set(
                        &mut queue.limit,
                        self.count(value, "the queue's `limit`", LONGEST_QUEUE, help),
                    );
                }
                "timeout" => queue.timeout = self.duration(value, "the queue's `timeout`"),
                "overflow" => {
                    let words = [("reject", Overflow::Reject), ("block", Overflow::Block)];
                    set(&mut queue.overflow, self.one_of(value, "`overflow`", &words));
                }
                _ => self.unknown(key, "`queue`", keys::QUEUE),
            }
        }
        queue
    }

    fn slo(&mut self, value: &Value<'_>) -> Option<Slo> {
        let help = "write a percentile and its bound, like `slo = { p99 = \"20ms\" }`";
        let table = self.table(value, "`slo`", help)?;
        if table.len() != 1 {
            let message = format!("`slo` has {} percentiles, not one", table.len());
            self.fault(value.span(), message, help);
        }
        let mut slo = None;
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let percentile = name.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
            match percentile {
                Some(percentile) if percentile > 0.0 && percentile < 100.0 => {
                    if value.get_ref().is_table() {
                        let message = "a percentile with a point needs quotes around its key";
                        self.fault(key.span(), message, "write `\"p99.9\" = \"50ms\"`");
                    } else if let Some(bound) = self.duration(value, &format!("`{name}`")) {
                        slo = Some(Slo { percentile, bound });
                    }
                }
                Some(_) => {
                    let message = format!("`{name}` is not a percentile between 0 and 100");
                    self.fault(key.span(), message, format!("write {}", keys::list(keys::SLO)));
                }
                None => self.unknown(key, "`slo`", keys::SLO),
            }
        }
        slo
    }

    fn dims(&mut self, value: &Value<'_>) -> BTreeMap<String, usize> {
        let help = "write sizes by name, like `dims = { batch = 1, seq = 128 }`";
        let Some(table) = self.table(value, "`dims`", help) else {
            return BTreeMap::new();
        };
        let mut dims = BTreeMap::new();
        for (key, value) in table {
            let what = format!("the dimension `{}`", key.get_ref());
            if let Some(size) = self.count(value, &what, LARGEST_DIM, "write a size of 1 or more") {
                dims.insert(key.get_ref().to_string(), size);
            }
        }
        dims
    }
}

/// Takes a value over where it could be read.
pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

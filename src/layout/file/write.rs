//! Rows of a layout as TOML values.

use std::path::Path;

use toml_edit::{Array, InlineTable, Value};

use super::origin::{self, Origin};
use super::save_error::SaveError;
use super::write_process;
use crate::layout::budget::{
    Auto, Budget, CoreRequest, EngineChoice, InputSpec, LoadSpec, ModelSource, Objective, Overflow,
    QueuePolicy, ReplayOrder, RowSource, Slo,
};
use crate::layout::gpu_id::GpuId;
use crate::layout::units::print_duration;

/// The form of the paths in a text.
pub(super) struct Paths<'o> {
    /// The origin of the text.
    pub(super) origin: &'o Origin,
    /// The folder at which relative paths start.
    pub(super) folder: Option<&'o Path>,
    /// The paths that are relative.
    pub(super) style: PathStyle,
}

/// Which paths of a row are relative to the folder of the layout; `None` for a path that is new.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PathStyle {
    /// The path of the model.
    pub(super) model: Option<bool>,
    /// The path of the recording.
    pub(super) recording: Option<bool>,
    /// The paths of arrays.
    pub(super) arrays: Option<bool>,
    /// The folder of a command.
    pub(super) dir: Option<bool>,
}

impl Paths<'_> {
    /// Returns the path of a file as text. A new path (`relative` is `None`) is relative if the file is
    /// inside the folder.
    pub(super) fn text(&self, file: &Path, relative: Option<bool>) -> Result<Value, SaveError> {
        let absolute = || {
            file.to_str()
                .map(str::to_owned)
                .ok_or_else(|| SaveError::NotText { path: file.display().to_string() })
        };
        let text = match self.folder {
            Some(folder) if relative.unwrap_or_else(|| file.starts_with(folder)) => {
                match origin::relative(folder, file) {
                    Some(text) => text,
                    None => absolute()?,
                }
            }
            _ => absolute()?,
        };
        Ok(text.into())
    }
}

/// The keys of a row that are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WrittenKeys {
    /// All keys. Then a change to a default value rewrites the key, instead of removing it and the
    /// comment beside it.
    All,
    /// Only those that differ from the default.
    NonDefault,
}

/// Returns the keys and values of a row.
///
/// # Errors
/// [`SaveError::NotText`] for a path that is not UTF-8.
pub(super) fn row(
    budget: &Budget,
    paths: &Paths<'_>,
    written: WrittenKeys,
) -> Result<InlineTable, SaveError> {
    let full = written == WrittenKeys::All;
    let mut row = InlineTable::new();
    row.insert("name", budget.name.as_str().into());
    let source = match &budget.source {
        RowSource::Process { process } => {
            return write_process::finish(row, budget, process, paths, written);
        }
        RowSource::Model(source) => source,
    };
    let path = match source {
        ModelSource::File(file) => paths.text(file, paths.style.model)?,
        ModelSource::Embedded(name) => paths.origin.embedded_text(name).into(),
    };
    row.insert("path", path);
    if full || budget.version != Budget::DEFAULT_VERSION {
        row.insert("version", budget.version.as_str().into());
    }
    if full || budget.engine != EngineChoice::Auto {
        row.insert(
            "engine",
            match budget.engine {
                EngineChoice::Auto => "auto",
                EngineChoice::OnnxRuntime => "onnxruntime",
                EngineChoice::Rten => "rten",
            }
            .into(),
        );
    }
    row.insert("cores", cores(&budget.cores));
    if full || budget.reserve {
        row.insert("reserve", budget.reserve.into());
    }
    if full || budget.threads != Auto::Auto {
        row.insert("threads", auto(budget.threads));
    }
    if full || budget.concurrency != Auto::Auto {
        row.insert("concurrency", auto(budget.concurrency));
    }
    if full || budget.objective != Objective::default() {
        row.insert(
            "objective",
            match budget.objective {
                Objective::Latency => "latency",
                Objective::Throughput => "throughput",
            }
            .into(),
        );
    }
    if full || budget.spinning.is_some() {
        row.insert("spinning", budget.spinning.map_or_else(|| "auto".into(), Value::from));
    }
    if full || budget.weight != 1 {
        row.insert("weight", i64::from(budget.weight).into());
    }
    if let Some(memory) = budget.memory {
        row.insert("memory", memory.to_string().into());
    }
    if let Some(gpu) = &budget.gpu {
        row.insert(
            "gpu",
            match gpu {
                GpuId::Index(index) => i64::from(*index).into(),
                GpuId::Uuid(_) | GpuId::Mig(_) => gpu.to_string().into(),
            },
        );
    }
    if let Some(memory) = budget.gpu_memory {
        row.insert("gpu_memory", memory.to_string().into());
    }
    if full || budget.queue != QueuePolicy::default() {
        row.insert("queue", queue(&budget.queue).into());
    }
    if let Some(target) = budget.slo {
        row.insert("slo", slo(target));
    }
    if let Some(spec) = &budget.load {
        row.insert("load", load(spec, paths)?.into());
    }
    if !budget.dims.is_empty() {
        let sizes = budget.dims.iter().map(|(name, size)| (name.as_str(), whole(*size)));
        row.insert("dims", sizes.collect::<InlineTable>().into());
    }
    if !budget.inputs.is_empty() {
        let mut inputs = InlineTable::new();
        for (name, spec) in &budget.inputs {
            inputs.insert(name.as_str(), input(spec, paths)?.into());
        }
        row.insert("inputs", inputs.into());
    }
    if full || budget.paused {
        row.insert("paused", budget.paused.into());
    }
    Ok(row)
}

/// Returns the value of a latency target.
pub(super) fn slo(slo: Slo) -> Value {
    let mut table = InlineTable::new();
    table.insert(format!("p{}", slo.percentile), print_duration(slo.bound).into());
    table.into()
}

fn whole(number: usize) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

pub(super) fn cores(cores: &CoreRequest) -> Value {
    match cores {
        // an empty list is not valid in a file
        CoreRequest::List(list) if list.is_empty() => 0.into(),
        CoreRequest::List(list) => list.to_string().into(),
        CoreRequest::Count(count) => whole(*count),
        CoreRequest::Share(share) => format!("{share}%").into(),
    }
}

fn auto(value: Auto) -> Value {
    match value {
        Auto::Auto => "auto".into(),
        Auto::Exactly(count) => whole(count),
    }
}

fn queue(queue: &QueuePolicy) -> InlineTable {
    let mut table = InlineTable::new();
    table.insert("limit", whole(queue.limit));
    if let Some(timeout) = queue.timeout {
        table.insert("timeout", print_duration(timeout).into());
    }
    let overflow = match queue.overflow {
        Overflow::Reject => "reject",
        Overflow::Block => "block",
    };
    table.insert("overflow", overflow.into());
    if queue.levels != QueuePolicy::default().levels {
        table.insert("levels", i64::from(queue.levels).into());
    }
    table
}

fn load(load: &LoadSpec, paths: &Paths<'_>) -> Result<InlineTable, SaveError> {
    let mut table = InlineTable::new();
    match load {
        LoadSpec::Poisson { rate } => {
            table.insert("kind", "poisson".into());
            table.insert("rate", (*rate).into());
        }
        LoadSpec::Constant { rate } => {
            table.insert("kind", "constant".into());
            table.insert("rate", (*rate).into());
        }
        LoadSpec::Closed { clients, think } => {
            table.insert("kind", "closed".into());
            table.insert("clients", whole(*clients));
            if !think.is_zero() {
                table.insert("think", print_duration(*think).into());
            }
        }
        LoadSpec::Replay { file, order, rate, carry } => {
            table.insert("kind", "replay".into());
            table.insert("file", paths.text(file, paths.style.recording)?);
            if *order == ReplayOrder::Shuffled {
                table.insert("order", "shuffled".into());
            }
            if let Some(rate) = rate {
                table.insert("rate", (*rate).into());
            }
            if !carry.is_empty() {
                let names = carry.iter().map(|(output, input)| (output.as_str(), input.as_str()));
                table.insert("carry", names.collect::<InlineTable>().into());
            }
        }
    }
    Ok(table)
}

fn input(input: &InputSpec, paths: &Paths<'_>) -> Result<InlineTable, SaveError> {
    let mut table = InlineTable::new();
    match input {
        InputSpec::Range(low, high) => {
            table.insert("range", Array::from_iter([*low, *high]).into());
        }
        InputSpec::Zeros => {
            table.insert("zeros", true.into());
        }
        InputSpec::Npy(file) => {
            table.insert("npy", paths.text(file, paths.style.arrays)?);
        }
    }
    Ok(table)
}

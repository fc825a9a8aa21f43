//! The valid range of each value of a row. No state holds a value outside it.

use std::time::Duration;

use super::super::budget::{Auto, Budget, CoreRequest, InputSpec, LoadSpec, QueuePolicy, Slo};
use super::super::gpu_check;
use super::super::model_name::{NAME_RULE, VERSION_RULE, name_error, version_error};
use super::super::refusal::Refusal;
use super::super::units::{Bytes, print_duration};

/// The most threads per instance, and the most instances per model.
const MOST: usize = 1024;
const DAY: Duration = Duration::from_hours(24);

fn require(model: &str, holds: bool, reason: impl FnOnce() -> String) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::row(model, reason())) }
}

/// Checks a whole row.
///
/// # Errors
/// A refusal that names the value and its range.
pub(super) fn budget(row: &Budget) -> Result<(), Refusal> {
    let name = row.name.as_str();
    self::name(name, name)?;
    version(name, &row.version)?;
    cores(name, &row.cores)?;
    process(row)?;
    number(name, "threads", row.threads)?;
    number(name, "concurrency", row.concurrency)?;
    weight(name, row.weight)?;
    queue(name, row.queue)?;
    slo(name, row.slo)?;
    memory(name, row.memory)?;
    gpu(row)?;
    load(name, row.load.as_ref())?;
    for (input, spec) in &row.inputs {
        if let InputSpec::Range(low, high) = spec {
            require(name, low.is_finite() && high.is_finite() && low < high, || {
                format!(
                    "the range of input `{input}` is {low} to {high}: write the lower end first"
                )
            })?;
        }
    }
    Ok(())
}

/// # Errors
/// A refusal of a process row with a value that only models have, or without a process.
fn process(row: &Budget) -> Result<(), Refusal> {
    let Some(process) = row.source.process() else { return Ok(()) };
    let plain = Budget {
        cores: row.cores,
        reserve: row.reserve,
        weight: row.weight,
        memory: row.memory,
        slo: row.slo,
        ..Budget::new(row.name.clone(), process.clone())
    };
    if *row != plain {
        return Err(Refusal::row(&row.name, MODEL_ONLY));
    }
    process.fault().map_or(Ok(()), |fault| Err(Refusal::row(&row.name, fault)))
}

/// The refusal of what only models have.
pub(super) const MODEL_ONLY: &str = "is a process: it has cores, reserve, weight, memory and a latency target, and nothing else to set";

/// # Errors
/// A refusal of a name that no layout file may hold.
pub(super) fn name(model: &str, name: &str) -> Result<(), Refusal> {
    name_error(name)
        .map_or(Ok(()), |error| Err(Refusal::row(model, format!("{error}; use {NAME_RULE}"))))
}

/// # Errors
/// A refusal of a version that no layout file may hold.
fn version(model: &str, version: &str) -> Result<(), Refusal> {
    version_error(version)
        .map_or(Ok(()), |error| Err(Refusal::row(model, format!("{error}; use {VERSION_RULE}"))))
}

/// # Errors
/// A refusal of a share outside 0 to 100.
pub(super) fn cores(model: &str, request: &CoreRequest) -> Result<(), Refusal> {
    match request {
        CoreRequest::Share(percent) => require(model, *percent > 0.0 && *percent <= 100.0, || {
            format!("a share of {percent}% is out of range: use above 0% up to 100%")
        }),
        CoreRequest::List(_) | CoreRequest::Count(_) => Ok(()),
    }
}

/// # Errors
/// A refusal of a number outside 1 to [`MOST`].
pub(super) fn number(model: &str, field: &str, value: Auto) -> Result<(), Refusal> {
    match value {
        Auto::Exactly(value) => require(model, (1..=MOST).contains(&value), || {
            format!("{field} = {value} is out of range: use 1 to {MOST}, or \"auto\"")
        }),
        Auto::Auto => Ok(()),
    }
}

/// # Errors
/// A refusal of a weight out of range.
pub(super) fn weight(model: &str, weight: u32) -> Result<(), Refusal> {
    require(model, (1..=Budget::MAX_WEIGHT).contains(&weight), || {
        format!("a weight of {weight} is out of range: use 1 to {}", Budget::MAX_WEIGHT)
    })
}

fn time(model: &str, field: &str, time: Duration) -> Result<(), Refusal> {
    require(model, (Duration::from_micros(1)..=DAY).contains(&time), || {
        format!("{field} = {} is out of range: use 1us to 24h", print_duration(time))
    })
}

/// # Errors
/// A refusal of a limit, a timeout or a number of levels out of range.
pub(super) fn queue(model: &str, queue: QueuePolicy) -> Result<(), Refusal> {
    require(model, (1..=QueuePolicy::MAX_LIMIT).contains(&queue.limit), || {
        format!(
            "a queue limit of {} is out of range: use 1 to {}",
            queue.limit,
            QueuePolicy::MAX_LIMIT
        )
    })?;
    require(model, (1..=QueuePolicy::MAX_LEVELS).contains(&queue.levels), || {
        format!(
            "{} priority levels are out of range: use 1 to {}",
            queue.levels,
            QueuePolicy::MAX_LEVELS
        )
    })?;
    queue.timeout.map_or(Ok(()), |timeout| time(model, "queue timeout", timeout))
}

/// # Errors
/// A refusal of a percentile or a bound out of range.
pub(super) fn slo(model: &str, slo: Option<Slo>) -> Result<(), Refusal> {
    let Some(slo) = slo else { return Ok(()) };
    require(model, slo.percentile > 0.0 && slo.percentile < 100.0, || {
        format!(
            "a latency target at percentile {} is out of range: use above 0 and below 100",
            slo.percentile
        )
    })?;
    time(model, "latency target", slo.bound)
}

/// # Errors
/// A refusal of a memory budget of 0.
pub(super) fn memory(model: &str, memory: Option<Bytes>) -> Result<(), Refusal> {
    require(model, memory.is_none_or(|bytes| bytes.0 > 0), || {
        "a memory budget of 0 is out of range: use 1 B or more, or none for no limit".to_owned()
    })
}

/// # Errors
/// A refusal of a GPU memory limit without a GPU, or of a GPU with an engine that runs on the CPU only.
pub(super) fn gpu(row: &Budget) -> Result<(), Refusal> {
    gpu_check::check_keys(row).map_err(|fault| Refusal::row(&row.name, fault.reason))
}

/// # Errors
/// A refusal of a rate, a number of clients or a think time out of range.
pub(super) fn load(model: &str, load: Option<&LoadSpec>) -> Result<(), Refusal> {
    let rate = |rate: f64| {
        require(model, rate > 0.0 && rate <= 1e6, || {
            format!("a load of {rate} requests/s is out of range: use above 0 up to 1,000,000")
        })
    };
    match load {
        None | Some(LoadSpec::Replay { rate: None, .. }) => Ok(()),
        Some(LoadSpec::Closed { clients, think }) => {
            require(model, (1..=10_000).contains(clients), || {
                format!("a load of {clients} clients is out of range: use 1 to 10,000")
            })?;
            require(model, *think <= DAY, || {
                "the think time of a client is out of range: use up to 24h".to_owned()
            })
        }
        Some(
            LoadSpec::Poisson { rate: value }
            | LoadSpec::Constant { rate: value }
            | LoadSpec::Replay { rate: Some(value), .. },
        ) => rate(*value),
    }
}

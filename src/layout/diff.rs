//! Differences between two layouts, for the preview of a change.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::budget::{
    Auto, Budget, CoreRequest, EngineChoice, InputSpec, Layout, LoadSpec, ModelSource, Objective,
    Overflow, ReplayOrder, RowSource,
};
use super::phrases::number;
use super::plan::Plan;
use super::process_source::{ProcessCommand, ProcessFilter, ProcessSelector, ProcessSource};
use super::units::print_duration;

/// A difference between two layouts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DiffLine {
    /// A model that only the new layout has.
    Added {
        /// The model.
        model: String,
        /// Its core request.
        cores: String,
    },
    /// A model that only the old layout has.
    Removed {
        /// The model.
        model: String,
    },
    /// A field that differs.
    Changed {
        /// The model; `None` for the layout as a whole.
        model: Option<String>,
        /// The name of the field.
        field: String,
        /// The old value.
        before: String,
        /// The new value.
        after: String,
    },
}

impl fmt::Display for DiffLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { model, cores } => write!(f, "{model}: added, cores {cores}"),
            Self::Removed { model } => write!(f, "{model}: removed"),
            Self::Changed { model, field, before, after } => {
                if let Some(model) = model {
                    write!(f, "{model}: ")?;
                }
                write!(f, "{field} {before} -> {after}")
            }
        }
    }
}

/// Returns all differences, in the order of the new layout, removed models last. Models are
/// compared by name: one that was renamed is removed and added.
pub fn diff(old: &Layout, new: &Layout) -> Vec<DiffLine> {
    compare(old, new, &[])
}

/// Returns how a plan changes a layout, as [`diff`] does; models that the plan renames stay the
/// same models.
pub fn plan_diff(old: &Layout, plan: &Plan) -> Vec<DiffLine> {
    let renames = plan.rows.iter().filter_map(|row| Some((row.renamed_from.as_ref()?, &row.model)));
    let renames: Vec<(&str, &str)> =
        renames.map(|(from, to)| (from.as_str(), to.as_str())).collect();
    compare(old, &plan.after.layout(), &renames)
}

/// `renames` are pairs of an old and a new name.
fn compare(old: &Layout, new: &Layout, renames: &[(&str, &str)]) -> Vec<DiffLine> {
    let new_name = |name: &str| {
        let renamed = renames.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        // the new name of a renamed model means that model
        renamed
            .or_else(|| (!renames.iter().any(|(_, to)| *to == name)).then_some(name))
            .map(str::to_owned)
    };
    let old_row =
        |name: &str| old.models.iter().find(|row| new_name(&row.name).as_deref() == Some(name));
    let mut lines = Vec::new();
    changed(&mut lines, None, "description", quoted(&old.description), quoted(&new.description));
    for row in &new.models {
        match old_row(&row.name) {
            None => {
                lines.push(DiffLine::Added { model: row.name.clone(), cores: cores(&row.cores) });
            }
            Some(before) => {
                let after = fields(row);
                for ((field, before), (_, after)) in fields(before).into_iter().zip(after) {
                    changed(&mut lines, Some(&row.name), field, before, after);
                }
            }
        }
    }
    let stays = |name: &Option<String>| name.as_ref().is_some_and(|name| new.model(name).is_some());
    let before = old.models.iter().map(|row| new_name(&row.name)).filter(stays).flatten();
    let after = new.models.iter().filter(|row| old_row(&row.name).is_some());
    let before: Vec<String> = before.collect();
    let after: Vec<String> = after.map(|row| row.name.clone()).collect();
    changed(&mut lines, None, "order", before.join(", "), after.join(", "));
    for row in old.models.iter().filter(|row| !stays(&new_name(&row.name))) {
        lines.push(DiffLine::Removed { model: row.name.clone() });
    }
    lines
}

fn changed(
    lines: &mut Vec<DiffLine>,
    model: Option<&str>,
    field: &str,
    before: String,
    after: String,
) {
    if before != after {
        let (model, field) = (model.map(str::to_owned), field.to_owned());
        lines.push(DiffLine::Changed { model, field, before, after });
    }
}

/// Returns the names and values of a row's fields, always in the same order. The pattern ensures that
/// no field is missing.
pub(super) fn fields(budget: &Budget) -> Vec<(&'static str, String)> {
    let Budget {
        name,
        source,
        version,
        engine,
        cores: request,
        reserve,
        threads,
        concurrency,
        objective,
        spinning,
        weight,
        memory,
        gpu,
        gpu_memory,
        queue,
        slo,
        load: spec,
        dims,
        inputs,
        paused,
    } = budget;
    let none = || "none".to_owned();
    vec![
        ("name", name.clone()),
        (if budget.is_process() { "processes" } else { "file" }, source_text(source)),
        ("where", process_text(source, |process| filter(&process.filter))),
        ("metrics", process_text(source, |process| process.metrics.clone())),
        ("dir", command_text(source, |it| it.dir.as_ref().map(|dir| dir.display().to_string()))),
        (
            "env",
            command_text(source, |it| (!it.env.is_empty()).then(|| listed(&it.env, Clone::clone))),
        ),
        ("restart", command_text(source, |it| Some(it.restart.name().to_owned()))),
        ("version", version.clone()),
        ("engine", engine_name(*engine).to_owned()),
        ("cores", cores(request)),
        ("reserved", yes_no(*reserve)),
        ("threads", auto(*threads)),
        ("concurrency", auto(*concurrency)),
        (
            "objective",
            match objective {
                Objective::Latency => "latency",
                Objective::Throughput => "throughput",
            }
            .to_owned(),
        ),
        ("spinning", spinning.map_or_else(|| "auto".to_owned(), yes_no)),
        ("weight", weight.to_string()),
        ("memory", memory.map_or_else(none, |memory| memory.to_string())),
        ("GPU", gpu.as_ref().map_or_else(none, ToString::to_string)),
        ("GPU memory", gpu_memory.map_or_else(none, |memory| memory.to_string())),
        ("queue limit", queue.limit.to_string()),
        ("queue timeout", queue.timeout.map_or_else(none, print_duration)),
        (
            "queue overflow",
            match queue.overflow {
                Overflow::Reject => "reject",
                Overflow::Block => "block",
            }
            .to_owned(),
        ),
        ("queue levels", queue.levels.to_string()),
        (
            "SLO",
            slo.map_or_else(none, |slo| {
                format!("p{} {}", slo.percentile, print_duration(slo.bound))
            }),
        ),
        ("load", spec.as_ref().map_or_else(none, load)),
        ("dims", listed(dims, ToString::to_string)),
        ("inputs", listed(inputs, input)),
        ("paused", yes_no(*paused)),
    ]
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { format!("{text:?}") }
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn auto(value: Auto) -> String {
    match value {
        Auto::Auto => "auto".to_owned(),
        Auto::Exactly(count) => count.to_string(),
    }
}

/// A core request as text.
fn cores(cores: &CoreRequest) -> String {
    match cores {
        CoreRequest::List(list) if list.is_empty() => "none".to_owned(),
        CoreRequest::List(list) => format!("CPU {list}"),
        CoreRequest::Count(count) => count.to_string(),
        CoreRequest::Share(share) => format!("{}%", number(*share)),
    }
}

fn source_text(source: &RowSource) -> String {
    match source {
        RowSource::Model(ModelSource::File(path)) => path.display().to_string(),
        RowSource::Model(ModelSource::Embedded(name)) => format!("embedded {name}"),
        RowSource::Process { process } => process.description(),
    }
}

/// Returns a text about a process row; "none" for a model.
fn process_text(source: &RowSource, text: impl Fn(&ProcessSource) -> Option<String>) -> String {
    source.process().and_then(text).unwrap_or_else(|| "none".to_owned())
}

/// Returns a text about a command; "none" for a row without one.
fn command_text(source: &RowSource, text: impl Fn(&ProcessCommand) -> Option<String>) -> String {
    process_text(source, |process| match &process.selector {
        ProcessSelector::Command(command) => text(command),
        _ => None,
    })
}

/// Returns conditions as text: "user postgres, cwd /srv".
fn filter(filter: &ProcessFilter) -> Option<String> {
    let ProcessFilter { cmdline, user, cwd } = filter;
    let cwd = cwd.as_ref().map(|cwd| cwd.display().to_string());
    let parts = [("cmdline", cmdline.clone()), ("user", user.clone()), ("cwd", cwd)];
    let parts: Vec<String> =
        parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn engine_name(engine: EngineChoice) -> &'static str {
    match engine {
        EngineChoice::Auto => "auto",
        EngineChoice::OnnxRuntime => "onnxruntime",
        EngineChoice::Rten => "rten",
    }
}

fn load(load: &LoadSpec) -> String {
    match load {
        LoadSpec::Poisson { rate } => format!("poisson {rate}/s"),
        LoadSpec::Constant { rate } => format!("constant {rate}/s"),
        LoadSpec::Closed { clients, think } if think.is_zero() => {
            format!("closed, clients {clients}")
        }
        LoadSpec::Closed { clients, think } => {
            format!("closed, clients {clients}, think {}", print_duration(*think))
        }
        LoadSpec::Replay { file, order, rate, carry } => {
            let mut text = format!("replay {}", file.display());
            if *order == ReplayOrder::Shuffled {
                text.push_str(", shuffled");
            }
            if let Some(rate) = rate {
                let _ = write!(text, ", {rate}/s");
            }
            if !carry.is_empty() {
                let _ = write!(text, ", carry {}", listed(carry, Clone::clone));
            }
            text
        }
    }
}

fn input(input: &InputSpec) -> String {
    match input {
        InputSpec::Range(low, high) => format!("{low} to {high}"),
        InputSpec::Zeros => "zeros".to_owned(),
        InputSpec::Npy(path) => path.display().to_string(),
    }
}

fn listed<T>(map: &BTreeMap<String, T>, text: impl Fn(&T) -> String) -> String {
    if map.is_empty() {
        return "none".to_owned();
    }
    let entries: Vec<String> =
        map.iter().map(|(name, value)| format!("{name} = {}", text(value))).collect();
    entries.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Bytes, GpuId, RestartPolicy, Slo};
    use super::*;

    fn row(name: &str) -> Budget {
        Budget::new(name, ModelSource::Embedded("ranker.onnx".into()))
    }

    fn lines(old: Vec<Budget>, new: Vec<Budget>) -> Vec<String> {
        let layout = |models| Layout { description: String::new(), models };
        diff(&layout(old), &layout(new)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn equal_layouts_have_no_difference() {
        assert_eq!(lines(vec![row("a"), row("b")], vec![row("a"), row("b")]), Vec::<String>::new());
    }

    #[test]
    fn one_line_per_difference() {
        let mut detector = row("detector");
        detector.cores = CoreRequest::Count(5);
        detector.slo = Some(Slo { percentile: 99.0, bound: Duration::from_millis(20) });
        detector.load = Some(LoadSpec::Closed { clients: 4, think: Duration::ZERO });
        detector.dims.insert("batch".into(), 2);
        detector.memory = Some(Bytes(1 << 30));
        detector.gpu = Some(GpuId::Index(1));
        detector.gpu_memory = Some(Bytes(4 << 30));
        let mut before = row("detector");
        before.cores = CoreRequest::Count(4);
        assert_eq!(
            lines(vec![before, row("ocr")], vec![detector, row("embedder")]),
            [
                "detector: cores 4 -> 5",
                "detector: memory none -> 1GiB",
                "detector: GPU none -> 1",
                "detector: GPU memory none -> 4GiB",
                "detector: SLO none -> p99 20ms",
                "detector: load none -> closed, clients 4",
                "detector: dims none -> batch = 2",
                "embedder: added, cores 1",
                "ocr: removed",
            ]
        );
    }

    #[test]
    fn changed_conditions_are_differences() {
        let command = ProcessCommand { args: vec!["x".into()], ..ProcessCommand::default() };
        let started = ProcessSource::new(ProcessSelector::Command(command.clone()));
        let restarted = ProcessCommand {
            restart: RestartPolicy::OnFailure,
            env: [("A".to_owned(), "1".to_owned())].into(),
            ..command
        };
        let restarted = ProcessSource {
            metrics: Some("http://h/m".into()),
            ..ProcessSource::new(ProcessSelector::Command(restarted))
        };
        let row = |source: ProcessSource| Budget::new("a", source);
        assert_eq!(
            lines(vec![row(started)], vec![row(restarted)]),
            [
                "a: metrics none -> http://h/m",
                "a: env none -> A = 1",
                "a: restart never -> on-failure"
            ]
        );
        let exe = ProcessSource::new(ProcessSelector::Exe("x".into()));
        let narrow = ProcessFilter { user: Some("u".into()), ..ProcessFilter::default() };
        let narrow = ProcessSource { filter: narrow, ..exe.clone() };
        assert_eq!(lines(vec![row(exe)], vec![row(narrow)]), ["a: where none -> user u"]);
    }

    #[test]
    fn order_is_a_difference() {
        let old = vec![row("a"), row("b")];
        assert_eq!(lines(old, vec![row("b"), row("a")]), ["order a, b -> b, a"]);
    }
}

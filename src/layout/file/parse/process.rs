//! A `[[process]]` of a layout file.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::reader::{FileCheck, Reader, TomlValue};
use super::row::{cores, name, slo, weight};
use super::spans::RowSpans;
use super::values::{kind, set};
use crate::layout::file::{keys, origin};
use crate::layout::{
    Budget, CoreRequest, ProcessCommand, ProcessFilter, ProcessSelector, ProcessSource,
    RestartPolicy, RowSource,
};
use crate::machine::CpuSet;

/// An example of a `match`.
const MATCH: &str =
    "write `match = { exe = \"redis-server\" }`, or `pid` or `cgroup` instead of `exe`";

/// The largest process number.
const LAST_PID: i64 = i32::MAX as i64;

/// The values of a row from which its source is made.
#[derive(Default)]
struct SourceKeys {
    selector: Option<ProcessSelector>,
    command: ProcessCommand,
    filter: ProcessFilter,
    metrics: Option<String>,
}

/// Reads a row. A faulty key gets its default value, so that the other keys can be read.
pub(super) fn row(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    span: Range<usize>,
) -> (Budget, RowSpans) {
    let faults = reader.faults.len();
    let mut source = SourceKeys::default();
    let unread = ProcessSource::new(ProcessSelector::Exe(String::new()));
    let mut budget = Budget::new("", unread);
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        field(reader, &mut budget, name, value);
        source_key(reader, &mut source, name, value);
        if keys::PROCESS.contains(&name) {
            continue;
        }
        if keys::MODEL.contains(&name) {
            let message = format!("a process has no `{name}`");
            reader.fault(key.span(), message, "remove it: only a `[[model]]` can have it");
        } else {
            reader.unknown(key, "a process", keys::PROCESS);
        }
    }
    let spans = RowSpans::new(table, span.clone());
    if spans.written("name").is_none() {
        reader.fault(span, "this process has no `name`", "add `name = \"redis\"`");
    }
    require_one_source(reader, &spans);
    command_keys(reader, &spans);
    if let Some(selector) = source.selector {
        let selector = match selector {
            ProcessSelector::Command(started) => {
                ProcessSelector::Command(ProcessCommand { args: started.args, ..source.command })
            }
            other => other,
        };
        let process = ProcessSource { selector, filter: source.filter, metrics: source.metrics };
        check_source(reader, &process, &spans, faults);
        budget.source = RowSource::Process { process };
    }
    (budget, spans)
}

/// Checks the values of a source, unless its row has a fault already, which may be the same.
fn check_source(reader: &mut Reader<'_>, source: &ProcessSource, spans: &RowSpans, faults: usize) {
    if reader.faults.len() > faults {
        return;
    }
    if let Err(fault) = source.check() {
        // the short forms of `match` stand for it
        let written = |key: &&str| spans.written(key).is_some();
        let key = [fault.key, "pid", "cgroup"].into_iter().find(written).unwrap_or(fault.key);
        let message = format!("`{}` {}", fault.key, fault.problem);
        reader.fault(spans.value(key), message, fault.remedy);
    }
}

fn require_one_source(reader: &mut Reader<'_>, spans: &RowSpans) {
    let written: Vec<&str> =
        keys::PROCESS_SOURCES.iter().copied().filter(|key| spans.written(key).is_some()).collect();
    match written.as_slice() {
        [_] => {}
        [] => reader.fault(
            spans.value(""),
            "this process has no `match` and no `command`",
            "add `match = { exe = \"redis-server\" }` for what runs, or `command = [\"python\", \
             \"server.py\"]` for what divvy starts",
        ),
        [.., last] => {
            let message = format!("a process has one of {}, not several", keys::all_of(&written));
            reader.fault(spans.value(last), message, "remove all but one of them");
        }
    }
}

fn command_keys(reader: &mut Reader<'_>, spans: &RowSpans) {
    if spans.written("command").is_some() {
        return;
    }
    for key in keys::COMMAND_ONLY {
        if spans.written(key).is_some() {
            let message = format!("`{key}` without `command`");
            let help = "remove it: divvy did not start this process, and does not start it again";
            reader.fault(spans.value(key), message, help);
        }
    }
}

fn field(reader: &mut Reader<'_>, budget: &mut Budget, key: &str, value: &TomlValue<'_>) {
    match key {
        "name" => set(&mut budget.name, name(reader, value)),
        "cores" => set(
            &mut budget.cores,
            cores(reader, value).map(|cores| match cores {
                // no budget of cores, as without the key
                CoreRequest::Count(0) => CoreRequest::List(CpuSet::EMPTY),
                other => other,
            }),
        ),
        "reserve" => set(&mut budget.reserve, reader.boolean(value, "`reserve`")),
        "weight" => set(&mut budget.weight, weight(reader, value)),
        "memory" => budget.memory = reader.bytes(value, "`memory`"),
        "slo" => budget.slo = slo(reader, value),
        _ => {}
    }
}

fn source_key(reader: &mut Reader<'_>, source: &mut SourceKeys, key: &str, value: &TomlValue<'_>) {
    match key {
        "match" => source.selector = matching(reader, value),
        "pid" => source.selector = pid(reader, value),
        "cgroup" => source.selector = reader.string(value, "`cgroup`").map(ProcessSelector::Cgroup),
        "command" => {
            source.selector = strings(reader, value).map(|args| {
                ProcessSelector::Command(ProcessCommand { args, ..ProcessCommand::default() })
            });
        }
        "dir" => source.command.dir = dir(reader, value),
        "env" => source.command.env = env(reader, value),
        "restart" => {
            let words = [
                ("never", RestartPolicy::Never),
                ("on-failure", RestartPolicy::OnFailure),
                ("always", RestartPolicy::Always),
            ];
            set(&mut source.command.restart, reader.one_of(value, "`restart`", &words));
        }
        "where" => source.filter = filter(reader, value),
        "metrics" => source.metrics = reader.string(value, "`metrics`"),
        _ => {}
    }
}

fn matching(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<ProcessSelector> {
    let table = reader.table(value, "`match`", MATCH)?;
    let mut selector = None;
    for (key, inner) in table {
        match key.get_ref().as_ref() {
            "exe" => selector = reader.string(inner, "`exe`").map(ProcessSelector::Exe),
            "pid" => selector = pid(reader, inner),
            "cgroup" => selector = reader.string(inner, "`cgroup`").map(ProcessSelector::Cgroup),
            name if keys::WHERE.contains(&name) => {
                let message = format!("`{name}` is a condition, not a choice");
                reader.fault(key.span(), message, format!("write `where = {{ {name} = ... }}`"));
            }
            _ => reader.unknown(key, "`match`", keys::MATCH),
        }
    }
    if table.len() != 1 {
        let message = format!("`match` has {} keys; write one", table.len());
        reader.fault(value.span(), message, MATCH);
    }
    selector
}

fn pid(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<ProcessSelector> {
    let help = "write the number of a process, as `ps` lists it, like `pid = 4711`";
    let pid = reader.whole(value, "`pid`", 1..=LAST_PID, help)?;
    i32::try_from(pid).ok().map(ProcessSelector::Pid)
}

/// Reads a command: a list of strings.
fn strings(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<Vec<String>> {
    let help = "write the program and each argument as a string of a list, like \
                `command = [\"python\", \"server.py\"]`";
    let DeValue::Array(items) = value.get_ref() else {
        reader.fault(value.span(), format!("`command` is {}, not a list", kind(value)), help);
        return None;
    };
    let mut args = Vec::new();
    for item in items {
        if let Some(text) = item.get_ref().as_str() {
            args.push(text.to_owned());
        } else {
            let message = format!("this argument is {}", kind(item));
            reader.fault(item.span(), message, "write it as a string, in quotes");
        }
    }
    (args.len() == items.len()).then_some(args)
}

fn dir(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<std::path::PathBuf> {
    let written = reader.string(value, "`dir`")?;
    let help = "write the folder in which the command runs, relative to the folder of this layout";
    if written.is_empty() || written.contains('\0') {
        reader.fault(value.span(), "`dir` is empty or has a null character", help);
        return None;
    }
    let dir = origin::resolve(reader.folder.as_deref(), &written);
    if reader.file_check == FileCheck::Required && !dir.is_dir() {
        let message = if dir.exists() { "`dir` is not a folder" } else { "`dir` does not exist" };
        reader.fault(value.span(), message, format!("check the path {}", dir.display()));
        return None;
    }
    Some(dir)
}

fn env(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> BTreeMap<String, String> {
    let help = "write variables by name, like `env = { OMP_NUM_THREADS = \"4\" }`";
    let Some(table) = reader.table(value, "`env`", help) else { return BTreeMap::new() };
    let mut env = BTreeMap::new();
    for (key, value) in table {
        let name = key.get_ref();
        if let Some(text) = reader.string(value, &format!("the variable `{name}`")) {
            env.insert(name.to_string(), text);
        }
    }
    env
}

fn filter(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> ProcessFilter {
    let mut filter = ProcessFilter::default();
    let help = "write `where = { cmdline = \"TEXT\", user = \"NAME\", cwd = \"/FOLDER\" }` or a part of it";
    let Some(table) = reader.table(value, "`where`", help) else { return filter };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "cmdline" => filter.cmdline = reader.string(value, "`cmdline`"),
            "user" => {
                // a number without quotes is the user's number
                filter.user = match value.get_ref() {
                    DeValue::Integer(_) => reader
                        .whole(value, "`user`", 0..=i64::from(u32::MAX), help)
                        .map(|number| number.to_string()),
                    _ => reader.string(value, "`user`"),
                };
            }
            "cwd" => filter.cwd = reader.string(value, "`cwd`").map(Into::into),
            _ => reader.unknown(key, "`where`", keys::WHERE),
        }
    }
    filter
}

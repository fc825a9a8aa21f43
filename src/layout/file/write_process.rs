//! Process rows of a layout as TOML values.

use toml_edit::{Array, InlineTable, Value};

use super::save_error::SaveError;
use super::write::{self, Paths, WrittenKeys};
use crate::layout::budget::{Budget, CoreRequest};
use crate::layout::process_source::{
    ProcessCommand, ProcessFilter, ProcessSelector, ProcessSource, RestartPolicy,
};

/// Returns a row of processes, given the row with its name.
///
/// # Errors
/// [`SaveError::NotText`] for a path that is not UTF-8.
pub(super) fn finish(
    mut row: InlineTable,
    budget: &Budget,
    process: &ProcessSource,
    paths: &Paths<'_>,
    written: WrittenKeys,
) -> Result<InlineTable, SaveError> {
    let full = written == WrittenKeys::All;
    match &process.selector {
        ProcessSelector::Exe(exe) => {
            row.insert("match", matching("exe", exe.as_str().into()));
        }
        ProcessSelector::Pid(pid) => {
            row.insert("match", matching("pid", i64::from(*pid).into()));
        }
        ProcessSelector::Cgroup(path) => {
            row.insert("match", matching("cgroup", path.as_str().into()));
        }
        ProcessSelector::Command(started) => command(&mut row, started, paths, full)?,
    }
    if !process.filter.is_empty() {
        row.insert("where", filter(&process.filter, paths)?);
    }
    let is_unlimited = matches!(budget.cores, CoreRequest::List(list) if list.is_empty());
    if full || !is_unlimited {
        row.insert("cores", write::cores(&budget.cores));
    }
    if full || budget.reserve {
        row.insert("reserve", budget.reserve.into());
    }
    if full || budget.weight != 1 {
        row.insert("weight", i64::from(budget.weight).into());
    }
    if let Some(memory) = budget.memory {
        row.insert("memory", memory.to_string().into());
    }
    if let Some(slo) = budget.slo {
        row.insert("slo", write::slo(slo));
    }
    if let Some(metrics) = &process.metrics {
        row.insert("metrics", metrics.as_str().into());
    }
    Ok(row)
}

fn matching(key: &str, value: Value) -> Value {
    let mut table = InlineTable::new();
    table.insert(key, value);
    table.into()
}

fn command(
    row: &mut InlineTable,
    command: &ProcessCommand,
    paths: &Paths<'_>,
    full: bool,
) -> Result<(), SaveError> {
    row.insert("command", command.args.iter().map(String::as_str).collect::<Array>().into());
    if let Some(dir) = &command.dir {
        row.insert("dir", paths.text(dir, paths.style.dir)?);
    }
    if !command.env.is_empty() {
        let pairs = command.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        row.insert("env", pairs.collect::<InlineTable>().into());
    }
    if full || command.restart != RestartPolicy::Never {
        row.insert("restart", command.restart.name().into());
    }
    Ok(())
}

fn filter(filter: &ProcessFilter, paths: &Paths<'_>) -> Result<Value, SaveError> {
    let mut table = InlineTable::new();
    if let Some(cmdline) = &filter.cmdline {
        table.insert("cmdline", cmdline.as_str().into());
    }
    if let Some(user) = &filter.user {
        table.insert("user", user.as_str().into());
    }
    if let Some(cwd) = &filter.cwd {
        table.insert("cwd", paths.text(cwd, Some(false))?);
    }
    Ok(table.into())
}

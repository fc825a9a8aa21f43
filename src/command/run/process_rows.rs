//! Rows of processes that the command line names, beside a layout or alone.

use std::io::Write;

use super::process_args::ProcessArgs;
use super::startup_layout::StartupLayout;
use crate::command::CommandError;
use crate::layout::{
    Budget, Document, Layout, ProcessSelector, ProcessSource, budget_from_process,
};
use crate::process::ProcessLookup;

/// The title of a layout of such rows alone.
pub(super) const TITLE: &str = "processes";

/// Adds the rows that the arguments name to a layout. A row that the layout has already, for example because it
/// is that of the last run, is not added again.
///
/// # Errors
/// [`CommandError::BadInput`] for a process that can be no row.
pub(super) fn add(args: &ProcessArgs, opened: &mut StartupLayout) -> Result<(), CommandError> {
    if !args.has_rows() {
        return Ok(());
    }
    let mut layout = opened.document.layout().clone();
    let mut lookup = ProcessLookup::read();
    for source in args.sources() {
        let is_it =
            |row: &Budget| row.source.process().is_some_and(|it| it.selector == source.selector);
        if !layout.models.iter().any(is_it) {
            let row = row(source, &layout, &mut lookup)?;
            layout.models.push(row);
        }
    }
    let bad = |error: crate::layout::SaveError| CommandError::BadInput(error.to_string());
    opened.document = opened.document.with_layout(&layout).map_err(bad)?;
    Ok(())
}

/// Returns the layout of such rows alone.
///
/// # Errors
/// As [`add`].
pub(super) fn alone(args: &ProcessArgs) -> Result<Document, CommandError> {
    let description = "processes from the command line".to_owned();
    let mut layout = Layout { description, ..Layout::default() };
    let mut lookup = ProcessLookup::read();
    for source in args.sources() {
        let row = row(source, &layout, &mut lookup)?;
        layout.models.push(row);
    }
    Document::from_layout(layout).map_err(|error| CommandError::BadInput(error.to_string()))
}

/// Returns the row of a source.
fn row(
    source: ProcessSource,
    layout: &Layout,
    lookup: &mut ProcessLookup,
) -> Result<Budget, CommandError> {
    let bad =
        |option: String, reason: String| CommandError::BadInput(format!("{option}: {reason}"));
    if let Some(fault) = source.fault() {
        return Err(bad(option(&source), fault));
    }
    let program = match &source.selector {
        ProcessSelector::Pid(pid) => {
            lookup.exe_name(*pid).map_err(|reason| bad(option(&source), reason))?
        }
        ProcessSelector::Exe(exe) => {
            let waits = match lookup.count(&source) {
                Ok(0) => {
                    Some("no process has this executable yet; the row waits for one".to_owned())
                }
                Ok(_) => None,
                // it may have its processes later
                Err(reason) => Some(reason),
            };
            if let Some(reason) = waits {
                // a closed stderr must not stop the run
                let _ = writeln!(std::io::stderr(), "divvy: {}: {reason}", option(&source));
            }
            exe.clone()
        }
        ProcessSelector::Command(command) => command.args.first().cloned().unwrap_or_default(),
        ProcessSelector::Cgroup(path) => path.clone(),
    };
    Ok(budget_from_process(source, &program, |name| layout.model(name).is_some()))
}

/// Returns the option that names a source, as the user wrote it.
fn option(source: &ProcessSource) -> String {
    match &source.selector {
        ProcessSelector::Pid(pid) => format!("--pid {pid}"),
        ProcessSelector::Exe(exe) => format!("--match {exe}"),
        ProcessSelector::Cgroup(_) | ProcessSelector::Command(_) => {
            format!("-- {}", source.description())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::run::startup_layout::demo;

    #[test]
    fn rows_are_added_to_a_layout_once() {
        let mut opened = demo().unwrap();
        let models = opened.document.layout().models.len();
        let args = ProcessArgs {
            matching: vec!["detector".into(), "no-such-program".into()],
            command: vec!["sleep".into(), "1".into()],
            ..ProcessArgs::default()
        };
        for _ in 0..2 {
            add(&args, &mut opened).unwrap();
            let rows = &opened.document.layout().models;
            let added: Vec<&str> = rows.iter().skip(models).map(|row| row.name.as_str()).collect();
            assert_eq!(added, ["detector-2", "no-such-program", "sleep"]);
        }
        let dir = std::env::current_dir().unwrap();
        let source = opened.document.layout().models.last().unwrap().source.process().unwrap();
        let ProcessSelector::Command(command) = &source.selector else { panic!("a command") };
        assert_eq!((command.dir.as_ref(), command.args.len()), (Some(&dir), 2));
    }

    #[test]
    fn process_that_can_be_no_row_is_refused() {
        let own = i32::try_from(std::process::id()).unwrap();
        for (pid, reason) in [(1, "process 1"), (own, "divvy itself"), (i32::MAX, "no process")] {
            let args = ProcessArgs { pid: vec![pid], ..ProcessArgs::default() };
            let error = alone(&args).map(|_| ()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let error = error.to_string();
            assert!(error.starts_with("--pid") && error.contains(reason), "{error}");
        }
    }
}

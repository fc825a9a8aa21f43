//! The files and processes that a change may name: a token for control must not open every file of the host, nor
//! start a command on it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::engine::embedded;
use crate::layout::{
    Budget, Change, Edit, InputSpec, Layout, LoadSpec, ModelSource, ProcessFilter, ProcessSelector,
    ProcessSource,
};

/// The files and processes that a change over TCP may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemotePaths {
    /// All of them.
    Any,
    /// Those that the layout named at the start.
    Known(KnownPaths),
}

/// The files and processes that a layout names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPaths {
    files: BTreeSet<PathBuf>,
    /// The choices of processes, the commands among them.
    processes: BTreeSet<(ProcessSelector, ProcessFilter)>,
    /// The pages on which processes report their requests.
    pages: BTreeSet<String>,
}

impl RemotePaths {
    /// Returns the files and processes of a layout.
    pub fn of(layout: &Layout) -> Self {
        let processes = || layout.models.iter().filter_map(|row| row.source.process());
        Self::Known(KnownPaths {
            files: layout.models.iter().flat_map(paths).map(Path::to_owned).collect(),
            processes: processes().map(|it| (it.selector.clone(), it.filter.clone())).collect(),
            pages: processes().filter_map(|it| it.metrics.clone()).collect(),
        })
    }

    /// Checks a change.
    ///
    /// # Errors
    /// A message that names the first file, processes or page that the change may not name.
    pub(super) fn check(&self, change: &Change) -> Result<(), String> {
        let Self::Known(known) = self else { return Ok(()) };
        for row in change.edits.iter().flat_map(edit_rows) {
            if let Some(process) = row.source.process() {
                known.check_process(process)?;
            }
        }
        let named = change.edits.iter().flat_map(edit_paths);
        match named.into_iter().find(|path| !known.files.contains(*path)) {
            None => Ok(()),
            Some(path) => Err(refusal(&path.display().to_string(), "this file")),
        }
    }
}

impl KnownPaths {
    /// # Errors
    /// A message that names the processes or the page if the layout did not name them at the start.
    fn check_process(&self, process: &ProcessSource) -> Result<(), String> {
        let choice = (process.selector.clone(), process.filter.clone());
        if !self.processes.contains(&choice) {
            let what = match &process.selector {
                ProcessSelector::Command(_) => "this command",
                _ => "these processes",
            };
            return Err(refusal(&process.description(), what));
        }
        match &process.metrics {
            Some(page) if !self.pages.contains(page) => Err(refusal(page, "this page")),
            _ => Ok(()),
        }
    }
}

/// Returns the message about something that a change over TCP may not name.
fn refusal(name: &str, what: &str) -> String {
    format!(
        "{name}: the layout did not name {what} at the start, and changes over TCP may not name new ones; make \
         this change on the host, or start divvy with --allow-remote-paths"
    )
}

/// Checks that a change names files by absolute paths, since the folder of the host is none that a client knows, and
/// only embedded models that divvy has.
///
/// # Errors
/// A message that names the file or the model.
pub(super) fn check_names(change: &Change) -> Result<(), String> {
    let files = change.edits.iter().flat_map(edit_paths);
    let folders = change.edits.iter().flat_map(edit_rows).flat_map(folders);
    if let Some(path) = files.chain(folders).find(|path| !path.is_absolute()) {
        return Err(format!("{}: this path is relative; send an absolute one", path.display()));
    }
    let unknown =
        change.edits.iter().flat_map(edit_rows).find_map(|row| match row.source.model() {
            Some(ModelSource::Embedded(name)) if embedded::bytes(name).is_none() => Some(name),
            _ => None,
        });
    match unknown {
        None => Ok(()),
        Some(name) => {
            Err(format!("divvy has no embedded model `{name}`, only {}", embedded::names()))
        }
    }
}

/// Returns the whole rows of an edit. [`edit_paths`] lists every edit.
fn edit_rows(edit: &Edit) -> &[Budget] {
    match edit {
        Edit::SetRow { budget, .. } | Edit::Add { budget } => std::slice::from_ref(&**budget),
        Edit::Load { layout } => &layout.models,
        _ => &[],
    }
}

/// Returns the folders that a process row names.
fn folders(row: &Budget) -> impl Iterator<Item = &Path> {
    let process = row.source.process();
    let command = process.and_then(|process| match &process.selector {
        ProcessSelector::Command(command) => command.dir.as_deref(),
        _ => None,
    });
    let working = process.and_then(|process| process.filter.cwd.as_deref());
    command.into_iter().chain(working)
}

fn paths(row: &Budget) -> Vec<&Path> {
    let source = match row.source.model() {
        Some(ModelSource::File(path)) => Some(path),
        Some(ModelSource::Embedded(_)) | None => None,
    };
    let inputs = row.inputs.values().filter_map(|input| match input {
        InputSpec::Npy(path) => Some(path),
        InputSpec::Range(..) | InputSpec::Zeros => None,
    });
    source.into_iter().chain(row.recording()).chain(inputs).map(PathBuf::as_path).collect()
}

/// Returns the files that an edit names. Every edit is listed, so that a new one is decided on here.
fn edit_paths(edit: &Edit) -> Vec<&Path> {
    match edit {
        Edit::SetRow { .. } | Edit::Add { .. } | Edit::Load { .. } => {
            edit_rows(edit).iter().flat_map(paths).collect()
        }
        Edit::SetLoad { load: Some(LoadSpec::Replay { file, .. }), .. } => vec![file],
        Edit::SetLoad { .. }
        | Edit::TransferCores { .. }
        | Edit::TransferConcurrency { .. }
        | Edit::SetCores { .. }
        | Edit::SetReserve { .. }
        | Edit::SetConcurrency { .. }
        | Edit::SetThreads { .. }
        | Edit::SetSpinning { .. }
        | Edit::SetWeight { .. }
        | Edit::SetObjective { .. }
        | Edit::SetQueue { .. }
        | Edit::SetSlo { .. }
        | Edit::SetMemory { .. }
        | Edit::SetGpu { .. }
        | Edit::Pause { .. }
        | Edit::Reload { .. }
        | Edit::Rename { .. }
        | Edit::Remove { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{ProcessCommand, ReplayOrder};

    fn row(path: &str) -> Budget {
        Budget::new("a", ModelSource::File(path.into()))
    }

    fn known() -> RemotePaths {
        let layout = Layout { models: vec![row("/models/a.onnx")], ..Layout::default() };
        RemotePaths::of(&layout)
    }

    #[test]
    fn names_must_be_clear() {
        let check = |row| check_names(&Edit::Add { budget: Box::new(row) }.into());
        let embedded = |name: &str| Budget::new("a", ModelSource::Embedded(name.to_owned()));
        assert_eq!(check(row("/models/a.onnx")), Ok(()));
        assert!(check(row("models/a.onnx")).unwrap_err().contains("relative"));
        assert_eq!(check(embedded("ranker.onnx")), Ok(()));
        assert!(check(embedded("banker.onnx")).unwrap_err().contains("ranker.onnx"));
    }

    #[test]
    fn new_files_are_refused() {
        let replay = LoadSpec::Replay {
            file: "/etc/shadow".into(),
            order: ReplayOrder::Recorded,
            rate: None,
            carry: std::collections::BTreeMap::default(),
        };
        let mut with_input = row("/models/a.onnx");
        with_input.inputs.insert("x".to_owned(), InputSpec::Npy("/etc/shadow".into()));
        let layout = Layout { models: vec![row("/etc/shadow")], ..Layout::default() };
        for edit in [
            Edit::Add { budget: Box::new(row("/models/../etc/shadow")) },
            Edit::SetRow { budget: Box::new(with_input), base: None },
            Edit::Load { layout: Box::new(layout) },
            Edit::SetLoad { model: "a".to_owned(), load: Some(replay) },
        ] {
            let change = Change::from(edit);
            let error = known().check(&change).unwrap_err();
            assert!(error.contains("shadow") && error.contains("--allow-remote-paths"), "{error}");
            assert_eq!(RemotePaths::Any.check(&change), Ok(()));
        }
    }

    #[test]
    fn new_processes_are_refused() {
        let redis = ProcessSource {
            metrics: Some("http://127.0.0.1:9121/metrics".to_owned()),
            ..ProcessSource::new(ProcessSelector::Exe("redis-server".to_owned()))
        };
        let row = |source: &ProcessSource| Budget::new("p", source.clone());
        let layout = Layout { models: vec![row(&redis)], ..Layout::default() };
        let known = RemotePaths::of(&layout);
        let command = ProcessCommand { args: vec!["rm".to_owned()], ..ProcessCommand::default() };
        let page = ProcessSource { metrics: Some("http://10.0.0.1/".to_owned()), ..redis.clone() };
        let user = ProcessFilter { user: Some("root".to_owned()), ..ProcessFilter::default() };
        for (source, named) in [
            (
                ProcessSource::new(ProcessSelector::Command(command)),
                "rm: the layout did not name this command",
            ),
            (
                ProcessSource::new(ProcessSelector::Pid(7)),
                "pid 7: the layout did not name these processes",
            ),
            (page, "http://10.0.0.1/: the layout did not name this page"),
            (ProcessSource { filter: user, ..redis.clone() }, "exe redis-server: the layout"),
        ] {
            let row = row(&source);
            for edit in [
                Edit::Add { budget: Box::new(row.clone()) },
                Edit::SetRow { budget: Box::new(row.clone()), base: None },
                Edit::Load { layout: Box::new(Layout { models: vec![row], ..Layout::default() }) },
            ] {
                let change = Change::from(edit);
                let error = known.check(&change).unwrap_err();
                assert!(error.starts_with(named), "{error}");
                assert_eq!(RemotePaths::Any.check(&change), Ok(()));
            }
        }
        let heavier = Budget { weight: 2, ..row(&ProcessSource { metrics: None, ..redis }) };
        let edit = Edit::SetRow { budget: Box::new(heavier), base: None };
        assert_eq!(known.check(&edit.into()), Ok(()));
    }

    #[test]
    fn known_files_are_allowed() {
        let embedded = Budget::new("b", ModelSource::Embedded("ranker.onnx".into()));
        let edits = vec![
            Edit::SetRow { budget: Box::new(row("/models/a.onnx")), base: None },
            Edit::Add { budget: Box::new(embedded) },
            Edit::SetWeight { model: "a".to_owned(), weight: 2 },
        ];
        assert_eq!(known().check(&Change { edits }), Ok(()));
    }
}

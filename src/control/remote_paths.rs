//! The files that a change may name. A token for control must not open every file of the host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::engine::embedded;
use crate::layout::{Budget, Change, Edit, InputSpec, Layout, LoadSpec, ModelSource};

/// The files that a change over TCP may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemotePaths {
    /// All files.
    Any,
    /// Those that the layout named at the start.
    Known(BTreeSet<PathBuf>),
}

impl RemotePaths {
    /// Returns the files of a layout.
    pub fn of(layout: &Layout) -> Self {
        Self::Known(layout.models.iter().flat_map(paths).map(Path::to_owned).collect())
    }

    /// Checks a change.
    ///
    /// # Errors
    /// A message that names the first file that the change may not name.
    pub(super) fn check(&self, change: &Change) -> Result<(), String> {
        let Self::Known(known) = self else { return Ok(()) };
        let named = change.edits.iter().flat_map(edit_paths);
        match named.into_iter().find(|path| !known.contains(*path)) {
            None => Ok(()),
            Some(path) => Err(format!(
                "{}: the layout did not name this file at the start, and changes over TCP may not name new \
                 ones; make this change on the host, or start divvy with --allow-remote-paths",
                path.display()
            )),
        }
    }
}

/// Checks that a change names files by absolute paths, since the folder of the host is none that a client knows, and
/// only embedded models that divvy has.
///
/// # Errors
/// A message that names the file or the model.
pub(super) fn check_names(change: &Change) -> Result<(), String> {
    let named = change.edits.iter().flat_map(edit_paths);
    if let Some(path) = named.into_iter().find(|path| !path.is_absolute()) {
        return Err(format!("{}: this path is relative; send an absolute one", path.display()));
    }
    let unknown = change.edits.iter().flat_map(edit_rows).find_map(|row| match &row.source {
        ModelSource::Embedded(name) if embedded::bytes(name).is_none() => Some(name),
        _ => None,
    });
    match unknown {
        None => Ok(()),
        Some(name) => {
            Err(format!("divvy has no embedded model `{name}`, only {}", embedded::names()))
        }
    }
}

/// Returns the whole rows of an edit.
fn edit_rows(edit: &Edit) -> &[Budget] {
    match edit {
        Edit::SetRow { budget, .. } | Edit::Add { budget } => std::slice::from_ref(&**budget),
        Edit::Load { layout } => &layout.models,
        _ => &[],
    }
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
        Edit::SetRow { budget, .. } | Edit::Add { budget } => paths(budget),
        Edit::Load { layout } => layout.models.iter().flat_map(paths).collect(),
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
    use crate::layout::ReplayOrder;

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

//! Rows for models and processes that are opened without a layout.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::budget::{Budget, LoadSpec, ModelSource};
use super::model_name::LONGEST_NAME;
use super::process_source::ProcessSource;

/// The source of the requests of a new row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// Built-in load: one client that sends requests, so that there is something to see.
    BuiltIn,
    /// Clients of the server only.
    Clients,
}

/// Returns a row for an ONNX file with one core. The model gets the file's name, changed if `is_taken`
/// returns true for it. `file` is absolute.
pub fn budget_from_file(
    file: PathBuf,
    requests: RequestOrigin,
    is_taken: impl Fn(&str) -> bool,
) -> Budget {
    let name = unique_name(&name_of_file(&file), is_taken);
    let load = match requests {
        RequestOrigin::BuiltIn => {
            Some(LoadSpec::Closed { clients: 1, think: Duration::from_millis(20) })
        }
        RequestOrigin::Clients => None,
    };
    Budget { load, ..Budget::new(name, ModelSource::File(file)) }
}

/// Returns a row for processes without a budget of cores. It gets the file name of their program, changed if
/// `is_taken` returns true for it.
pub fn budget_from_process(
    source: ProcessSource,
    program: &str,
    is_taken: impl Fn(&str) -> bool,
) -> Budget {
    let file = Path::new(program).file_name();
    let base = file.map_or_else(|| program.into(), |file| file.to_string_lossy());
    Budget::new(unique_name(&base, is_taken), source)
}

/// Returns the file's name without its extension; the folder's name for a file named "model.onnx".
fn name_of_file(path: &Path) -> String {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = text(path.file_stem()).unwrap_or_else(|| "model".to_owned());
    let folder = text(path.parent().and_then(Path::file_name)).filter(|_| stem == "model");
    folder.unwrap_or(stem)
}

/// Returns the name as a row can have it; with a number if it is taken.
fn unique_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    // leaves room for a number
    let base: String =
        name.chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME - 10).collect();
    let base = if base.trim().is_empty() { "row".to_owned() } else { base };
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names.find(|name| !is_taken(name)).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ProcessSelector;

    #[test]
    fn names_are_unique() {
        let name = |file: &str, taken: &[&str]| {
            let taken = |name: &str| taken.contains(&name);
            budget_from_file(file.into(), RequestOrigin::BuiltIn, taken).name
        };
        assert_eq!(name("/m/ocr.onnx", &[]), "ocr");
        assert_eq!(name("/m/ocr.onnx", &["ocr", "ocr-2"]), "ocr-3");
        assert_eq!(name("/m/v3/model.onnx", &["model"]), "v3");
    }

    #[test]
    fn process_row_is_named_after_its_program() {
        let name = |program: &str, taken: &[&str]| {
            let source = ProcessSource::new(ProcessSelector::Pid(7));
            budget_from_process(source, program, |name| taken.contains(&name)).name
        };
        assert_eq!(name("redis-server", &[]), "redis-server");
        assert_eq!(name("/usr/bin/redis-server", &["redis-server"]), "redis-server-2");
        assert_eq!(name("", &[]), "row");
    }

    #[test]
    fn served_row_has_no_load() {
        let row = |requests| budget_from_file("/m/ocr.onnx".into(), requests, |_| false);
        assert_eq!(row(RequestOrigin::Clients).load, None);
        assert!(row(RequestOrigin::BuiltIn).load.is_some());
    }
}

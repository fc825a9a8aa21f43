//! Rows for models that are opened without a layout.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::budget::{Budget, LoadSpec, ModelSource};
use super::model_name::LONGEST_NAME;

/// Returns a row for an ONNX file: one core, and one client that sends requests, so that there is
/// something to see. The model gets the file's name, changed if `is_taken` returns true for it.
/// `file` is absolute.
pub fn budget_from_file(file: PathBuf, is_taken: impl Fn(&str) -> bool) -> Budget {
    let name = unique_name(&file, is_taken);
    let load = Some(LoadSpec::Closed { clients: 1, think: Duration::from_millis(20) });
    Budget { load, ..Budget::new(name, ModelSource::File(file)) }
}

/// Returns the file's name without its extension; the folder's name for a file named "model.onnx";
/// with a number if the name is taken.
fn unique_name(path: &Path, is_taken: impl Fn(&str) -> bool) -> String {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = text(path.file_stem()).unwrap_or_else(|| "model".to_owned());
    let folder = text(path.parent().and_then(Path::file_name)).filter(|_| stem == "model");
    // leaves room for a number
    let base: String = folder
        .unwrap_or(stem)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST_NAME - 10)
        .collect();
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names.find(|name| !is_taken(name)).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let name = |file: &str, taken: &[&str]| {
            budget_from_file(file.into(), |name| taken.contains(&name)).name
        };
        assert_eq!(name("/m/ocr.onnx", &[]), "ocr");
        assert_eq!(name("/m/ocr.onnx", &["ocr", "ocr-2"]), "ocr-3");
        assert_eq!(name("/m/v3/model.onnx", &["model"]), "v3");
    }
}

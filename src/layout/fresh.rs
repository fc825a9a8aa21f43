//! A row for a model that is known by its file alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::budget::{Budget, LoadSpec, ModelSource};

impl Budget {
    /// A row for a file: one core, and one gentle caller, so that there is something to see. The
    /// name is the file's, made one that `taken` does not know. `file` is absolute.
    pub fn for_file(file: PathBuf, taken: impl Fn(&str) -> bool) -> Self {
        let name = unique_name(&file, taken);
        let load = Some(LoadSpec::Closed { clients: 1, think: Duration::from_millis(20) });
        Self { load, ..Self::new(name, ModelSource::File(file)) }
    }
}

/// The file's name without its ending; the folder's name where that says nothing ("model.onnx");
/// a number where the name is taken.
fn unique_name(path: &Path, taken: impl Fn(&str) -> bool) -> String {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = text(path.file_stem()).unwrap_or_else(|| "model".to_owned());
    let folder = text(path.parent().and_then(Path::file_name)).filter(|_| stem == "model");
    let base: String =
        folder.unwrap_or(stem).chars().filter(|letter| !letter.is_control()).take(190).collect();
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_something_and_is_not_taken() {
        let name = |file: &str, taken: &[&str]| {
            Budget::for_file(file.into(), |name| taken.contains(&name)).name
        };
        assert_eq!(name("/m/ocr.onnx", &[]), "ocr");
        assert_eq!(name("/m/ocr.onnx", &["ocr", "ocr-2"]), "ocr-3");
        assert_eq!(name("/m/v3/model.onnx", &["model"]), "v3");
    }
}

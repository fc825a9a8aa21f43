//! What to run: a layout file, models named on the command line, or the demo.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::command::CommandError;
use crate::layout::{Budget, CoreRequest, Document, Layout, demo};

/// A layout to run, with the document it came from where it came from one.
pub struct Wanted {
    /// The document, so that a save keeps its comments.
    pub document: Document,
    /// The file that a save goes to; `None` for the demo and for models from the command line.
    pub path: Option<PathBuf>,
    /// How the screen calls it.
    pub title: String,
}

/// Finds out what the arguments mean.
///
/// # Errors
/// [`CommandError::BadInput`] for a layout with faults, a mix of layouts and models, or an argument
/// that is neither.
pub fn wanted(arguments: &[PathBuf]) -> Result<Wanted, CommandError> {
    let [first, rest @ ..] = arguments else {
        let document = demo().map_err(|faults| CommandError::Failed(faults.to_string()))?;
        return Ok(Wanted { document, path: None, title: "demo".to_owned() });
    };
    let is_layout = |path: &Path| has_extension(path, "toml");
    if is_layout(first) && rest.is_empty() {
        let document =
            Layout::read(first).map_err(|faults| CommandError::BadInput(faults.to_string()))?;
        let title =
            first.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
        return Ok(Wanted { document, path: Some(first.clone()), title });
    }
    if let Some(layout) = arguments.iter().find(|path| is_layout(path)) {
        return Err(CommandError::BadInput(format!(
            "{}: one layout, or any number of models: not both",
            layout.display()
        )));
    }
    let layout = of_models(arguments)?;
    let document =
        Document::from_layout(layout).map_err(|error| CommandError::BadInput(error.to_string()))?;
    Ok(Wanted { document, path: None, title: "models".to_owned() })
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// A layout for models without one: the cores divided evenly, one gentle caller each.
fn of_models(paths: &[PathBuf]) -> Result<Layout, CommandError> {
    let mut names = HashSet::new();
    let mut models = Vec::new();
    for path in paths {
        let absolute = std::path::absolute(path)
            .map_err(|error| CommandError::BadInput(format!("{}: {error}", path.display())))?;
        if absolute.to_str().is_none() {
            return Err(CommandError::BadInput(format!(
                "{}: this path is not UTF-8, which a layout could not name; rename it",
                path.display()
            )));
        }
        if !has_extension(path, "onnx") && !absolute.is_file() {
            return Err(CommandError::BadInput(format!(
                "{}: neither a subcommand (see divvy --help), nor a layout (*.toml), nor a model (*.onnx)",
                path.display()
            )));
        }
        let mut budget = Budget::for_file(absolute, |name| names.contains(name));
        budget.cores = CoreRequest::Share(100.0 / paths.len() as f64);
        names.insert(budget.name.clone());
        models.push(budget);
    }
    Ok(Layout { description: "models from the command line, cores divided evenly".into(), models })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_get_distinct_names_and_equal_shares() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["a.onnx", "b/a.onnx", "v3/model.onnx"]
            .iter()
            .map(|name| folder.path().join(name))
            .collect();
        let layout = of_models(&paths).unwrap();
        let names: Vec<&str> = layout.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["a", "a-2", "v3"]);
        assert!(layout.models.iter().all(|model| model.cores == CoreRequest::Share(100.0 / 3.0)));
    }

    #[test]
    fn what_is_neither_is_refused() {
        let error = wanted(&["frobnicate".into()]).map(|_| ()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let both = wanted(&["a.onnx".into(), "b.toml".into()]).map(|_| ()).unwrap_err();
        assert!(both.to_string().contains("b.toml"));
    }

    #[test]
    fn no_argument_is_the_demo() {
        let demo = wanted(&[]).unwrap();
        assert_eq!(demo.document.layout().models.len(), 3);
        assert_eq!(demo.path, None);
    }
}

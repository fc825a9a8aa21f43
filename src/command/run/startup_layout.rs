//! What to run: a layout file, models named on the command line, or the demo.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::command::CommandError;
use crate::layout::{Budget, CoreRequest, Document, Faults, Layout};

/// How the demo is called.
pub(super) const DEMO: &str = "demo";

/// A layout to run, with the document it came from where it came from one.
pub(super) struct Wanted {
    /// The document, so that a save keeps its comments.
    pub document: Document,
    /// The file that a save goes to; `None` for the demo and for models from the command line.
    pub path: Option<PathBuf>,
    /// How the screen calls it.
    pub title: String,
}

/// What to run where nothing is named: the layout that was in use last, where it can be had, else
/// the demo; with a sentence about which of the two, where there was one. `place` is that of the
/// last layout's file, `fits` says whether this machine can hold it.
///
/// # Errors
/// As [`demo`] does.
pub(super) fn last_or_demo(
    last: Option<(String, Option<PathBuf>)>,
    fits: impl Fn(&Document) -> Result<(), String>,
) -> Result<(Wanted, Option<String>), CommandError> {
    let Some((title, place)) = last else { return Ok((demo()?, None)) };
    let no_demo = "`divvy --demo` opens the demo.";
    let path = place.filter(|place| place.exists());
    let gone = || format!("{title} was in use last, and its file is gone");
    let read = path.ok_or_else(gone).and_then(|path| {
        let document = Layout::read(&path).map_err(|faults| {
            format!("{title} was in use last, and has a fault by now: {}", first(&faults))
        })?;
        fits(&document).map_err(|reason| {
            format!("{title} was in use last, and this machine cannot hold it: {reason}")
        })?;
        Ok((document, path))
    });
    let why = match read {
        Ok((document, path)) => {
            let told = format!("This is {title}, in use last. {no_demo}");
            return Ok((Wanted { document, path: Some(path), title }, Some(told)));
        }
        Err(why) => why,
    };
    Ok((demo()?, Some(format!("{why}. This is the demo."))))
}

/// Why the demo stands in for a layout that was in use last and whose models do not load; of several
/// reasons the first.
pub(super) fn not_loaded(title: &str, reason: &str) -> String {
    let first = reason.lines().next().unwrap_or_default();
    // the reason may be long: what was opened instead goes before it
    format!("This is the demo: {title} was in use last, and cannot be loaded: {first}")
}

/// The first of a layout's faults, in one line.
pub(super) fn first(faults: &Faults) -> String {
    faults.faults().first().map_or_else(|| faults.to_string(), ToString::to_string)
}

/// The demo.
///
/// # Errors
/// [`CommandError::Failed`] where the executable's own layout has faults.
pub(super) fn demo() -> Result<Wanted, CommandError> {
    let document =
        crate::layout::demo().map_err(|faults| CommandError::Failed(faults.to_string()))?;
    Ok(Wanted { document, path: None, title: DEMO.to_owned() })
}

/// Finds out what the arguments mean.
///
/// # Errors
/// [`CommandError::BadInput`] for a layout with faults, a mix of layouts and models, or an argument
/// that is neither.
pub(super) fn wanted(arguments: &[PathBuf]) -> Result<Wanted, CommandError> {
    let [first, rest @ ..] = arguments else {
        return demo();
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
    fn the_last_layout_comes_back_and_the_demo_says_why_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("night.toml");
        let open = |fits: Result<(), String>| {
            let last = ("night".to_owned(), Some(path.clone()));
            let (wanted, told) = last_or_demo(Some(last), |_| fits.clone()).unwrap();
            (wanted.title, wanted.path, told.unwrap())
        };
        let (title, _, told) = open(Ok(()));
        assert_eq!(title, DEMO);
        assert!(told.contains("night") && told.contains("gone"), "{told}");
        std::fs::write(&path, "version = 7").unwrap();
        let (title, _, told) = open(Ok(()));
        assert_eq!(title, DEMO);
        assert!(told.contains("fault") && told.contains("version"), "{told}");
        let text = "version = 1\n[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\n";
        std::fs::write(&path, text).unwrap();
        let (title, _, told) = open(Err("it has 2 cores".to_owned()));
        assert_eq!(title, DEMO);
        assert!(told.contains("2 cores") && told.contains("This is the demo"), "{told}");
        let (title, from, told) = open(Ok(()));
        assert_eq!((title.as_str(), from), ("night", Some(path.clone())));
        assert!(told.contains("--demo"), "{told}");
        let (wanted, told) = last_or_demo(None, |_| Ok(())).unwrap();
        assert_eq!((wanted.title.as_str(), told), (DEMO, None));
    }

    #[test]
    fn no_argument_is_the_demo() {
        let demo = wanted(&[]).unwrap();
        assert_eq!(demo.document.layout().models.len(), 3);
        assert_eq!(demo.path, None);
    }
}

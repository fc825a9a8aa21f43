//! The layout of a run: a file, standard input, models named on the command line, or the demo.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::args::RunArgs;
use super::preload::RequiredModels;
use super::process_rows;
use super::saved_layout;
use crate::command::CommandError;
use crate::layout::{
    CoreRequest, Document, Faults, FileCheck, Layout, RequestOrigin, budget_from_file,
};
use crate::scheduler::SavedLayout;

/// The title of the demo.
pub(super) const DEMO: &str = "demo";

/// The argument that stands for standard input.
const STDIN: &str = "-";

/// A layout to run.
pub(super) struct StartupLayout {
    /// The layout with its text, so that a save keeps the comments.
    pub document: Document,
    /// The file that a save goes to; `None` for the demo, standard input and models from the
    /// command line.
    pub path: Option<PathBuf>,
    /// The title on the screen.
    pub title: String,
    /// The models that must load for the run to start.
    pub required: RequiredModels,
    /// The layout as its file has it; `None` without a file, or if the restored layout of an earlier
    /// run comes from a file that has changed since.
    pub opened: Option<SavedLayout>,
}

/// A layout together with a notice for the user about why it was opened.
pub(super) struct ChosenLayout {
    /// The layout.
    pub layout: StartupLayout,
    /// The notice, if there is one.
    pub notice: Option<String>,
}

/// The layout of the last console session.
pub(super) struct LastLayout {
    /// Its title.
    pub title: String,
    /// Its file, if it has one.
    pub path: Option<PathBuf>,
}

/// Opens the layout of the last session, or the demo when there was none or it cannot be used.
/// `check_fit` checks a layout against this machine.
///
/// # Errors
/// As [`demo`].
pub(super) fn last_or_demo(
    last: Option<LastLayout>,
    check_fit: impl Fn(&Document) -> Result<(), String>,
) -> Result<ChosenLayout, CommandError> {
    let Some(LastLayout { title, path }) = last else {
        return Ok(ChosenLayout { layout: demo()?, notice: None });
    };
    let read = path
        .filter(|path| path.exists())
        .ok_or_else(|| format!("the last layout, {title}, no longer exists"))
        .and_then(|path| {
            let document = Layout::read(&path, FileCheck::Skipped).map_err(|faults| {
                let fault = first_fault(&faults);
                format!("the last layout, {title}, is invalid: {fault}")
            })?;
            check_fit(&document).map_err(|reason| {
                format!("the last layout, {title}, does not fit this machine: {reason}")
            })?;
            Ok((document, path))
        });
    match read {
        Ok((document, path)) => {
            let notice = format!("Opened {title}, the last layout. `divvy --demo` opens the demo.");
            let required = RequiredModels::Any;
            let opened = Some(saved_layout::saved_in(&path, &document));
            let layout = StartupLayout { document, path: Some(path), title, required, opened };
            Ok(ChosenLayout { layout, notice: Some(notice) })
        }
        Err(reason) => {
            let notice = format!("Opened the demo: {reason}");
            Ok(ChosenLayout { layout: demo()?, notice: Some(notice) })
        }
    }
}

/// Returns the notice for a demo that replaces the last session's layout, whose models do not load.
/// Only the first line of `reason` is shown.
pub(super) fn demo_notice(title: &str, reason: &str) -> String {
    let first = reason.lines().next().unwrap_or_default();
    format!("Opened the demo: the last layout, {title}, cannot be loaded: {first}")
}

/// Returns the first fault of a layout in one line, with the number of the others.
pub(super) fn first_fault(faults: &Faults) -> String {
    let first = faults.faults().first().map_or_else(|| faults.to_string(), ToString::to_string);
    match faults.faults().len() {
        0 | 1 => first,
        count => format!("{first} (`divvy check` lists {} more)", count - 1),
    }
}

/// Returns the demo.
///
/// # Errors
/// [`CommandError::Failed`] if the layout in the executable has faults.
pub(super) fn demo() -> Result<StartupLayout, CommandError> {
    let document = demo_document().map_err(|faults| CommandError::Failed(faults.to_string()))?;
    let (title, required) = (DEMO.to_owned(), RequiredModels::Any);
    Ok(StartupLayout { document, path: None, title, required, opened: None })
}

/// Returns the demo layout for the cores of this process.
///
/// # Errors
/// [`Faults`] if the layout in the executable has faults.
pub(super) fn demo_document() -> Result<Document, Faults> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    crate::layout::demo_for(cores)
}

/// Returns the layout that the arguments of a run name, without the rows of processes that are added to a layout.
///
/// # Errors
/// As [`from_arguments`], and for a process that can be no row.
pub(super) fn of_run(args: &RunArgs) -> Result<StartupLayout, CommandError> {
    if !args.inputs.is_empty() || args.demo || !args.processes.has_rows() {
        return from_arguments(&args.inputs, args.serve.requests());
    }
    let document = process_rows::alone(&args.processes)?;
    let (title, required) = (process_rows::TITLE.to_owned(), RequiredModels::Any);
    Ok(StartupLayout { document, path: None, title, required, opened: None })
}

/// Returns the layout that the arguments name; the demo without arguments. `requests` is for models that
/// are named without a layout.
///
/// # Errors
/// [`CommandError::BadInput`] for a layout with faults, several layouts, layouts mixed with models,
/// or an argument that is neither.
pub(super) fn from_arguments(
    arguments: &[PathBuf],
    requests: RequestOrigin,
) -> Result<StartupLayout, CommandError> {
    let (layouts, models): (Vec<&PathBuf>, Vec<&PathBuf>) =
        arguments.iter().partition(|path| is_layout(path));
    match (&layouts[..], &models[..]) {
        ([], []) => demo(),
        ([layout], []) => read_layout(layout),
        ([], _) => {
            let layout = layout_of_models(arguments, requests)?;
            let document = Document::from_layout(layout)
                .map_err(|error| CommandError::BadInput(error.to_string()))?;
            let (title, required) = ("models".to_owned(), RequiredModels::All);
            Ok(StartupLayout { document, path: None, title, required, opened: None })
        }
        ([layout, ..], [model, ..]) => Err(CommandError::BadInput(format!(
            "{} and {}: a layout cannot be opened together with models; pass a single layout file, \
             or one or more .onnx models, or add the models to the layout",
            layout.display(),
            model.display()
        ))),
        ([first, second, ..], []) => Err(CommandError::BadInput(format!(
            "{} and {}: only one layout can be opened; pass a single layout file, or one or more \
             .onnx models",
            first.display(),
            second.display()
        ))),
    }
}

fn read_layout(path: &Path) -> Result<StartupLayout, CommandError> {
    let bad = |faults: Faults| CommandError::BadInput(faults.to_string());
    let required = RequiredModels::Any;
    if path == Path::new(STDIN) {
        let document = Layout::read_stdin(FileCheck::Skipped).map_err(bad)?;
        let title = "standard input".to_owned();
        return Ok(StartupLayout { document, path: None, title, required, opened: None });
    }
    let document = Layout::read(path, FileCheck::Skipped).map_err(bad)?;
    let title = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
    let opened = Some(saved_layout::saved_in(path, &document));
    Ok(StartupLayout { document, path: Some(path.to_owned()), title, required, opened })
}

fn is_layout(path: &Path) -> bool {
    has_extension(path, "toml") || path == Path::new(STDIN)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// Returns a layout of these models with the cores divided evenly.
fn layout_of_models(paths: &[PathBuf], requests: RequestOrigin) -> Result<Layout, CommandError> {
    let mut names = HashSet::new();
    let mut models = Vec::new();
    for path in paths {
        let absolute = std::path::absolute(path)
            .map_err(|error| CommandError::BadInput(format!("{}: {error}", path.display())))?;
        if absolute.to_str().is_none() {
            return Err(CommandError::BadInput(format!(
                "{}: this path is not UTF-8, so a layout cannot contain it; rename the file",
                path.display()
            )));
        }
        if let Some(kind) = crate::machine::special_file_kind(&absolute) {
            return Err(CommandError::BadInput(format!(
                "{}: this is {kind}, not a file; pass a layout (*.toml) or models (*.onnx), or - to \
                 read a layout from standard input",
                path.display()
            )));
        }
        if !has_extension(path, "onnx") && !absolute.is_file() {
            return Err(CommandError::BadInput(neither(path, &absolute)));
        }
        let mut budget = budget_from_file(absolute, requests, |name| names.contains(name));
        budget.cores = CoreRequest::Share(100.0 / paths.len() as f64);
        names.insert(budget.name.clone());
        models.push(budget);
    }
    Ok(Layout { description: "models from the command line, cores divided evenly".into(), models })
}

/// Returns the message for an argument that is neither a layout nor a model.
fn neither(path: &Path, absolute: &Path) -> String {
    let shown = path.display();
    if absolute.is_dir() {
        return format!(
            "{shown}: this is a folder; pass a layout (*.toml) or models (*.onnx) in it"
        );
    }
    format!(
        "{shown}: no such file or subcommand; pass a layout (*.toml) or models (*.onnx), or see \
         `divvy --help`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_get_distinct_names() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["a.onnx", "b/a.onnx", "v3/model.onnx"]
            .iter()
            .map(|name| folder.path().join(name))
            .collect();
        let layout = layout_of_models(&paths, RequestOrigin::BuiltIn).unwrap();
        let names: Vec<&str> = layout.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["a", "a-2", "v3"]);
        assert!(layout.models.iter().all(|model| model.cores == CoreRequest::Share(100.0 / 3.0)));
    }

    #[test]
    fn notice_counts_the_other_faults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("night.toml");
        std::fs::write(&path, "version = 1\nfirst = 1\nsecond = 2\nmodel = []\n").unwrap();
        let last = LastLayout { title: "night".to_owned(), path: Some(path) };
        let chosen = last_or_demo(Some(last), |_| Ok(())).unwrap();
        let notice = chosen.notice.unwrap();
        assert!(notice.contains("first") && notice.contains("more)"), "{notice}");
        assert!(notice.contains("`divvy check` lists"), "{notice}");
    }

    #[test]
    fn rejects_unknown_argument() {
        let error =
            from_arguments(&["frobnicate".into()], RequestOrigin::BuiltIn).map(|_| ()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn rejects_layout_with_other_files() {
        for (second, remedy) in [("b.toml", "only one layout"), ("b.onnx", "add the models")] {
            let inputs = ["a.toml".into(), second.into()];
            let error = from_arguments(&inputs, RequestOrigin::BuiltIn)
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(error.contains("a.toml") && error.contains(second), "{error}");
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn last_layout_is_opened_or_notice_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("night.toml");
        let open = |fits: Result<(), String>| {
            let last = LastLayout { title: "night".to_owned(), path: Some(path.clone()) };
            let chosen = last_or_demo(Some(last), |_| fits.clone()).unwrap();
            (chosen.layout.title, chosen.layout.path, chosen.notice.unwrap())
        };
        let (title, _, notice) = open(Ok(()));
        assert_eq!(title, DEMO);
        assert!(notice.contains("night, no longer exists"), "{notice}");
        std::fs::write(&path, "version = 7").unwrap();
        let (title, _, notice) = open(Ok(()));
        assert_eq!(title, DEMO);
        assert!(notice.contains("invalid") && notice.contains("version"), "{notice}");
        let text = "version = 1\n[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\n";
        std::fs::write(&path, text).unwrap();
        let (title, _, notice) = open(Err("it has 2 cores".to_owned()));
        assert_eq!(title, DEMO);
        assert!(notice.contains("2 cores") && notice.contains("Opened the demo"), "{notice}");
        let (title, from, notice) = open(Ok(()));
        assert_eq!((title.as_str(), from), ("night", Some(path.clone())));
        assert!(notice.contains("--demo"), "{notice}");
    }

    #[test]
    fn demo_opens_without_argument_or_last_layout() {
        let demo = from_arguments(&[], RequestOrigin::BuiltIn).unwrap();
        assert_eq!(demo.document.layout().models.len(), 3);
        assert_eq!(demo.path, None);
        let chosen = last_or_demo(None, |_| Ok(())).unwrap();
        assert_eq!((chosen.layout.title.as_str(), chosen.notice), (DEMO, None));
    }
}

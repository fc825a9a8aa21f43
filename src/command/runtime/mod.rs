//! `divvy runtime`: shows and installs ONNX Runtime.

mod install;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::CommandError;
use crate::engine::onnxruntime::locate::{self, LibraryPlace};
use crate::engine::onnxruntime::{self, OLDEST_MINOR, cuda};

pub use install::InstallArgs;

/// Arguments of `divvy runtime`.
#[derive(Debug, Args)]
pub struct RuntimeArgs {
    /// The action.
    #[command(subcommand)]
    pub action: RuntimeAction,
}

/// The actions of `divvy runtime`.
#[derive(Debug, Subcommand)]
pub enum RuntimeAction {
    /// Fetches ONNX Runtime with pip and puts it into the user's data folder.
    Install(InstallArgs),
    /// Shows the places that are searched for ONNX Runtime, and the libraries found.
    Status(StatusArgs),
}

/// Arguments of `divvy runtime status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The library to ask about, in place of the search.
    #[arg(long, value_name = "PATH")]
    pub ort_dylib: Option<PathBuf>,
}

/// Runs `divvy runtime`.
///
/// # Errors
/// [`CommandError`] with a message for the user.
pub fn run(args: &RuntimeArgs) -> Result<(), CommandError> {
    match &args.action {
        RuntimeAction::Install(args) => install::run(args),
        RuntimeAction::Status(args) => status(args),
    }
}

/// A library that was found.
#[derive(Debug, Serialize)]
struct Found {
    origin: locate::LibraryOrigin,
    path: PathBuf,
    /// Its version, where divvy can use it.
    version: Option<String>,
    /// True for a build with CUDA, for models on NVIDIA GPUs.
    cuda: bool,
    /// Libraries of CUDA that such a build needs and that do not lie beside it; the system may have
    /// them.
    cuda_missing: Vec<String>,
    /// Why divvy cannot use it.
    fault: Option<String>,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Status {
    /// The library that divvy would use.
    used: Option<PathBuf>,
    found: Vec<Found>,
    searched: Vec<LibraryPlace>,
}

fn status(args: &StatusArgs) -> Result<(), CommandError> {
    let searched = locate::places(args.ort_dylib.as_deref());
    let mut found = Vec::new();
    for place in &searched {
        for path in &place.libraries {
            let (version, fault) = match onnxruntime::version(path) {
                Ok(version) => (Some(version), None),
                Err(fault) => (None, Some(fault)),
            };
            let (origin, cuda) = (place.origin, locate::has_cuda(path));
            let cuda_missing = if cuda { cuda::missing_libraries(path) } else { Vec::new() };
            found.push(Found { origin, path: path.clone(), version, cuda, cuda_missing, fault });
        }
    }
    let used =
        found.iter().find(|library| library.version.is_some()).map(|library| library.path.clone());
    let status = Status { used, found, searched };
    if args.json {
        let text = serde_json::to_string_pretty(&status)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", text(&status));
    }
    Ok(())
}

fn text(status: &Status) -> String {
    let mut lines = Vec::new();
    for library in &status.found {
        let in_use = if status.used.as_ref() == Some(&library.path) { "  in use" } else { "" };
        let cuda = if library.cuda { " with CUDA" } else { "" };
        let verdict = match (&library.version, &library.fault) {
            (Some(version), _) => format!("ONNX Runtime {version}{cuda}{in_use}"),
            (None, fault) => fault.clone().unwrap_or_default(),
        };
        let origin = library.origin.description();
        lines.push(format!("{}  ({origin})  {verdict}", library.path.display()));
        if !library.cuda_missing.is_empty() {
            lines.push(format!(
                "  not beside it: {}; models run on a GPU only if the system has them (`divvy runtime \
                 install --gpu` installs them)",
                library.cuda_missing.join(", ")
            ));
        }
    }
    if status.found.is_empty() {
        lines.push("no ONNX Runtime library was found".to_owned());
    }
    lines.push("searched:".to_owned());
    for place in &status.searched {
        lines.push(format!("  {}  ({})", place.path.display(), place.origin.description()));
    }
    if status.used.is_none() {
        lines.push(format!(
            "`divvy runtime install` installs one (1.{OLDEST_MINOR} or later is needed); until then \
             models run on the embedded engine"
        ));
    }
    lines.join("\n") + "\n"
}

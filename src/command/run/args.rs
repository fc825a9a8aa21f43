//! Arguments of `divvy` without a subcommand.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(unix)]
use super::control_args::ControlArgs;
#[cfg(unix)]
use super::life_args::LifeArgs;
use super::process_args::ProcessArgs;
use super::record::RecordArg;
use super::serve_args::ServeArgs;
use crate::command::CommandError;
use crate::command::state_folder::StateDir;
use crate::console::{GlyphSet, ThemeName};
use crate::layout::{EngineChoice, parse_duration};
use crate::machine::CpuSet;

/// Arguments of `divvy` without a subcommand.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A layout (*.toml, or - for standard input), or models (*.onnx) that share the cores evenly. By
    /// default the console opens the layout of its last session, and --headless runs the demo.
    #[arg(value_name = "LAYOUT | MODEL.onnx")]
    pub inputs: Vec<PathBuf>,
    /// Report to standard output instead of opening the console.
    #[arg(long)]
    pub headless: bool,
    /// Stop after this time, for example 30s (with --headless; by default, run until a signal).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Time between reports (with --headless).
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,
    /// Report one JSON snapshot per line (with --headless).
    #[arg(long)]
    pub json: bool,
    /// End with exit code 2 if any model or file of the layout cannot be loaded; without it, such a
    /// model fails alone.
    #[arg(long)]
    pub strict: bool,
    /// The engine of models whose layout sets none.
    #[arg(long, value_enum, default_value_t = EngineArg::Auto)]
    pub engine: EngineArg,
    /// The ONNX Runtime library to load.
    #[arg(long, value_name = "PATH")]
    pub ort_dylib: Option<PathBuf>,
    /// Use only these CPUs, for example 0-7.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CpuSet>,
    /// Record the inputs of the first N requests that callers send to a model (default 1000, at most 256
    /// MiB), for load = { kind = "replay", file = "FILE" }. Can be given once per model.
    #[arg(long, value_name = "MODEL=FILE.npz[:N]")]
    pub record: Vec<RecordArg>,
    /// Show everything, change nothing, and start no command.
    #[arg(long)]
    pub readonly: bool,
    /// Scale down a layout that asks for more cores than this machine has.
    #[arg(long)]
    pub fit: bool,
    /// The console.
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// The folder of saved layouts.
    #[arg(long, value_name = "FOLDER")]
    pub layout_dir: Option<PathBuf>,
    /// Open the demo instead of the layout of the last session.
    #[arg(long, conflicts_with_all = ["inputs", "last"])]
    pub demo: bool,
    /// Restore the layout of the last run with its unsaved changes, for example after a crash.
    #[arg(long, conflicts_with = "inputs")]
    pub last: bool,
    /// The folder of the journal, the live layout and the log.
    #[command(flatten)]
    pub state: StateDir,
    /// Processes.
    #[command(flatten)]
    pub processes: ProcessArgs,
    /// The server.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The control socket.
    #[cfg(unix)]
    #[command(flatten)]
    pub control: ControlArgs,
    /// The life of the run.
    #[cfg(unix)]
    #[command(flatten)]
    pub life: LifeArgs,
}

/// Arguments of the console's display.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConsoleArgs {
    /// Don't capture the mouse (a key in the console captures it).
    #[arg(long)]
    pub no_mouse: bool,
    /// The console's config file (also set by `DIVVY_CONFIG`; `divvy config --print` prints a default
    /// one).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The console's colours: ansi, truecolor, colour-blind or mono.
    #[arg(long, value_name = "NAME")]
    pub theme: Option<ThemeName>,
    /// The console's characters: block, braille or ascii.
    #[arg(long, value_name = "NAME")]
    pub glyphs: Option<GlyphSet>,
}

/// The display of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisplayMode {
    /// The console in the terminal.
    Console,
    /// Reports on standard output.
    Headless,
}

impl DisplayMode {
    /// Returns the mode for these arguments: the console needs a terminal that can move its cursor.
    pub(super) fn of(args: &RunArgs) -> Self {
        let is_headless = args.is_headless() || no_console().is_some();
        if is_headless { Self::Headless } else { Self::Console }
    }
}

/// Returns the reason why no console can open; `None` if one can.
pub(in crate::command) fn no_console() -> Option<&'static str> {
    let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if !is_terminal {
        return Some("not a terminal");
    }
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_dumb.then_some("this terminal cannot draw a screen (TERM=dumb)")
}

impl RunArgs {
    /// Returns true if the arguments ask for a run without the console.
    pub(super) fn is_headless(&self) -> bool {
        #[cfg(unix)]
        let is_detached = self.life.detached;
        #[cfg(not(unix))]
        let is_detached = false;
        self.headless || is_detached
    }

    /// Checks options that only some modes use.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] for report options without a report, for a `--layout-dir` that is not a
    /// folder, and as [`ServeArgs::check`].
    pub(super) fn check(&self, mode: DisplayMode) -> Result<(), CommandError> {
        if mode == DisplayMode::Console {
            let given = [("--for", self.duration.is_some()), ("--json", self.json)];
            if let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given) {
                return Err(CommandError::BadInput(format!(
                    "{option} works only with --headless; add --headless, or leave {option} out"
                )));
            }
        }
        self.serve.check()?;
        match &self.layout_dir {
            Some(folder) if folder.exists() && !folder.is_dir() => {
                Err(CommandError::BadInput(format!(
                    "--layout-dir {}: this is not a folder; name the folder of saved layouts",
                    folder.display()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// The engines of `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineArg {
    /// ONNX Runtime if it is found, else rten.
    Auto,
    /// ONNX Runtime.
    Onnxruntime,
    /// The embedded engine.
    Rten,
}

impl From<EngineArg> for EngineChoice {
    fn from(argument: EngineArg) -> Self {
        match argument {
            EngineArg::Auto => Self::Auto,
            EngineArg::Onnxruntime => Self::OnnxRuntime,
            EngineArg::Rten => Self::Rten,
        }
    }
}

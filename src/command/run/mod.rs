//! The program proper: loads the models, starts the scheduler and the load, and shows it all in the
//! console or reports it without a terminal.

mod autosave;
mod keeping;
mod log;
mod own_threads;
mod preload;
mod profiles;
mod remembered;
mod signals;
mod sources;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::CommandError;
use super::config;
use super::report::{HeadlessOptions, run_headless};
use super::state_folder::StateDir;
use crate::console::state::Command;
use crate::console::{self, ConsoleOptions, Exit, GlyphSet, Profiles, ThemeName};
use crate::engine::{Engines, devices};
use crate::layout::{Document, EngineChoice, Layout, Warning, parse_duration};
use crate::load::LoadFollower;
use crate::machine::{CpuSet, Description, this_machine};
use crate::scheduler::{Control, EngineLoader, Options, Scheduler};
use crate::telemetry::gpu::{self, GpuOptions, GpuSensor};
use autosave::{Origin, UNNAMED};
use keeping::Keeping;
use remembered::Remembered;

/// How long waiting requests may take to be answered at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of the program without a subcommand.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A layout (*.toml), or models (*.onnx) that share the machine evenly; without any, the layout
    /// that the console had last, or the demo.
    #[arg(value_name = "LAYOUT | MODEL.onnx")]
    pub inputs: Vec<PathBuf>,
    /// Report to standard output instead of opening the console.
    #[arg(long)]
    pub headless: bool,
    /// End after this time, for example 30s (with --headless; without it, run until a signal).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Time between reports.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,
    /// Report a JSON snapshot a line (with --headless).
    #[arg(long)]
    pub json: bool,
    /// The engine for models whose layout leaves it open.
    #[arg(long, value_enum, default_value_t = EngineArg::Auto)]
    pub engine: EngineArg,
    /// The ONNX Runtime library to use.
    #[arg(long, value_name = "PATH")]
    pub ort_dylib: Option<PathBuf>,
    /// Use only these CPUs, for example 0-7.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CpuSet>,
    /// Show everything, change nothing.
    #[arg(long)]
    pub readonly: bool,
    /// Scale a layout that asks for cores which this machine lacks.
    #[arg(long)]
    pub fit: bool,
    /// Leave the mouse to the terminal (a key in the console takes it back).
    #[arg(long)]
    pub no_mouse: bool,
    /// The console's config file (also the variable `DIVVY_CONFIG`; `divvy config --print` shows one).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The console's colours: ansi, truecolor, colour-blind or mono.
    #[arg(long, value_name = "NAME")]
    pub theme: Option<ThemeName>,
    /// The console's characters: block, braille or ascii.
    #[arg(long, value_name = "NAME")]
    pub glyphs: Option<GlyphSet>,
    /// The folder of saved layouts.
    #[arg(long, value_name = "FOLDER")]
    pub layout_dir: Option<PathBuf>,
    /// Open the demo, also where another layout was in use last.
    #[arg(long, conflicts_with_all = ["inputs", "last"])]
    pub demo: bool,
    /// Go on with the layout of the last run as it was, after a crash for example.
    #[arg(long, conflicts_with = "inputs")]
    pub last: bool,
    /// Where the journal, the live layout and the log are.
    #[command(flatten)]
    pub state: StateDir,
}

/// The engines that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineArg {
    /// ONNX Runtime where it is found, else rten.
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

/// Runs it.
///
/// # Errors
/// [`CommandError::BadInput`] for a layout or a model with faults: then nothing was started.
pub fn run(args: &RunArgs) -> Result<(), CommandError> {
    let machine =
        this_machine(args.cores).map_err(|error| CommandError::BadInput(error.to_string()))?;
    let mut description = machine.describe();
    let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let headless = args.headless || !terminal;
    let folder = args.state.folder()?;
    let mut keeping = Keeping::open(folder.clone(), !headless)?;
    let mut told = None;
    let is_last = !args.last && args.inputs.is_empty() && !args.demo && !headless;
    let mut wanted = if args.last {
        keeping.last()?
    } else if is_last {
        let (wanted, sentence) = in_use_last(args, &folder, &description)?;
        told = sentence;
        wanted
    } else {
        sources::wanted(&args.inputs)?
    };
    // before models are loaded and sensors start
    devices::prepare(wanted.document.layout());
    let sensor = GpuSensor::start(GpuOptions::default());
    if wanted.document.layout().models.iter().any(|row| row.gpu.is_some()) {
        description.gpus = sensor.first(gpu::LIST_PATIENCE).known();
    }
    let mut stderr = std::io::stderr();
    // it came without being named
    let by_itself = |wanted: &sources::Wanted| is_last && wanted.path.is_some();
    let mut layout = match fitting(args, &wanted, &description, &mut stderr) {
        Err(CommandError::BadInput(reason)) if by_itself(&wanted) => {
            (wanted, told) = stand_in(&wanted, &reason)?;
            fitting(args, &wanted, &description, &mut stderr)?
        }
        other => other?,
    };
    if let Some(offer) = keeping.offer().filter(|_| !args.last) {
        writeln!(stderr, "divvy: {offer}")?;
        if let Some(words) = keeping.last_words() {
            writeln!(stderr, "divvy: {words}")?;
        }
    }
    if headless && !args.headless {
        writeln!(stderr, "divvy: no terminal here, so this is the report of --headless")?;
    }
    // a bad config is told before anything is loaded
    let look = if headless { ConsoleOptions::default() } else { console_options(args)? };
    let engines = Arc::new(Engines::new(args.engine.into(), args.ort_dylib.clone()));
    let load = |layout: &Layout| {
        preload::preload(layout, EngineLoader::new(engines.clone()), &mut std::io::stderr())
    };
    let loader = match load(&layout) {
        Err(CommandError::BadInput(reason)) if by_itself(&wanted) => {
            (wanted, told) = stand_in(&wanted, &reason)?;
            layout = fitting(args, &wanted, &description, &mut stderr)?;
            load(&layout)?
        }
        other => other?,
    };
    let options = Options {
        interval: if headless {
            args.interval.min(Duration::from_secs(1))
        } else {
            Duration::from_millis(500)
        },
        readonly: args.readonly,
        journal: keeping.journal(&description, &wanted.title),
        conditions: keeping.conditions(),
        gpu: Some(Arc::new(sensor)),
        ..Options::new(machine.clone(), Arc::new(loader))
    };
    tracing::info!("begins with {} on cores {}", wanted.title, description.limits.allowed);
    let scheduler = Scheduler::start(&layout, options)
        .map_err(|refusal| CommandError::BadInput(format!("{}: {refusal}", wanted.title)))?;
    let load = LoadFollower::start(scheduler.loads())
        .map_err(|error| CommandError::Failed(format!("cannot start the load: {error}")))?;
    let scheduler = Arc::new(scheduler);
    own_threads::follow(machine, scheduler.snapshots())?;
    keeping.autosave(&wanted, args.last, scheduler.clone());
    let ended = if headless {
        report(args, &scheduler, || {
            load.stop(Duration::ZERO);
            scheduler.stop(PATIENCE);
        })
    } else {
        let fell_back = told.is_some() && wanted.path.is_none();
        let crashed = keeping.offer().filter(|_| !args.last);
        let words = crashed.as_ref().and_then(|_| keeping.last_words());
        // a path is long: it goes last
        let sentence = |told: Option<String>| told.map(|told| capital(&told));
        let sentences: Vec<String> =
            sentence(crashed).into_iter().chain(told).chain(sentence(words)).collect();
        let greeting = Some(sentences.join(". ")).filter(|greeting| !greeting.is_empty());
        let look =
            ConsoleOptions { greeting, log: keeping.log(), stderr: Some(keeping.stderr()), ..look };
        open_console(args, look, wanted, fell_back, &scheduler, keeping.origin())
    };
    load.stop(Duration::ZERO);
    scheduler.stop(PATIENCE);
    keeping.finish(&*scheduler);
    ended
}

/// The layout that the console had last, where it is there and this machine can hold it; else the
/// demo.
fn in_use_last(
    args: &RunArgs,
    folder: &Path,
    description: &Description,
) -> Result<(sources::Wanted, Option<String>), CommandError> {
    let Remembered { layout, place, .. } = Remembered::read(folder);
    let last = layout.map(|name| {
        let folders = || profiles::Folders::new(args.layout_dir.clone()).ok();
        let place = place.or_else(|| folders()?.find(&name));
        (name, place)
    });
    let fits = |document: &Document| match document.check(description) {
        Err(faults) if !args.fit => Err(sources::first(&faults)),
        _ => Ok(()),
    };
    sources::last_or_demo(last, fits)
}

/// The demo in place of a layout that was in use last; the whole reason is on standard error.
fn stand_in(
    last: &sources::Wanted,
    reason: &str,
) -> Result<(sources::Wanted, Option<String>), CommandError> {
    writeln!(std::io::stderr(), "divvy: {reason}")?;
    Ok((sources::demo()?, Some(sources::not_loaded(&last.title, reason))))
}

/// The layout as it can run on this machine; what was made to fit, or is doubtful, is told.
fn fitting(
    args: &RunArgs,
    wanted: &sources::Wanted,
    description: &Description,
    stderr: &mut std::io::Stderr,
) -> Result<Layout, CommandError> {
    if args.fit {
        let fitted = wanted.document.fit(description);
        for change in &fitted.changes {
            writeln!(stderr, "divvy: fitted to this machine: {change}")?;
        }
        return Ok(fitted.layout);
    }
    let warnings = wanted
        .document
        .check(description)
        .map_err(|faults| CommandError::BadInput(faults.to_string()))?;
    // The demo is made to share what there is; its screen says so.
    let is_demo = wanted.path.is_none() && wanted.title == sources::DEMO;
    if !warnings.is_empty() && !is_demo {
        warn(wanted, &warnings, stderr)?;
    }
    Ok(wanted.document.layout().clone())
}

/// With the lines that they are about, where these are the user's own.
fn warn(
    wanted: &sources::Wanted,
    warnings: &[Warning],
    stderr: &mut std::io::Stderr,
) -> std::io::Result<()> {
    if wanted.path.is_some() {
        let text = wanted.document.render_warnings(warnings, stderr.is_terminal());
        return writeln!(stderr, "{text}");
    }
    warnings.iter().try_for_each(|Warning(fault)| writeln!(stderr, "divvy: {}", fault.message))
}

fn report(
    args: &RunArgs,
    scheduler: &Scheduler,
    settle: impl FnOnce(),
) -> Result<(), CommandError> {
    let options =
        HeadlessOptions { duration: args.duration, interval: args.interval, json: args.json };
    let mut stop = signals::stop()?;
    let stopped = async move {
        // An error says that no signal can come any more, which ends nothing.
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let (mut out, mut progress) = (std::io::stdout(), std::io::stderr());
    run_headless(scheduler, options, &mut out, &mut progress, stopped, settle)
}

/// A sentence as it stands beside others.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// How the console is to look: by the environment, then the config file, then the arguments.
fn console_options(args: &RunArgs) -> Result<ConsoleOptions, CommandError> {
    let variable = |name| std::env::var(name).ok();
    let (no_color, colorterm) = (variable("NO_COLOR"), variable("COLORTERM"));
    let mut options = ConsoleOptions {
        theme: ThemeName::from_environment(no_color.as_deref(), colorterm.as_deref()),
        reduced_motion: variable("DIVVY_REDUCED_MOTION").is_some_and(|value| !value.is_empty()),
        ..ConsoleOptions::default()
    };
    config::read(args.config.as_deref())?.apply(&mut options);
    options.theme = args.theme.unwrap_or(options.theme);
    options.glyphs = args.glyphs.unwrap_or(options.glyphs);
    options.mouse &= !args.no_mouse;
    options.readonly = args.readonly;
    Ok(options)
}

/// A kept layout as its file has it: what runs may hold changes that were never saved.
fn as_saved(kept: &sources::Wanted) -> Layout {
    let document = match &kept.path {
        Some(path) => Layout::read(path).ok(),
        None if kept.title == sources::DEMO => crate::layout::demo().ok(),
        None => None,
    };
    document.map_or_else(Layout::default, |document| document.layout().clone())
}

fn open_console(
    args: &RunArgs,
    look: ConsoleOptions,
    wanted: sources::Wanted,
    fell_back: bool,
    scheduler: &Arc<Scheduler>,
    keeper: watch::Sender<Origin>,
) -> Result<(), CommandError> {
    let folder = args.state.folder()?;
    let mut remembered = Remembered::read(&folder);
    let baseline = args.last.then(|| as_saved(&wanted));
    let opened = wanted.path.map(|path| (wanted.title.clone(), path));
    let last = remembered.layout.clone().zip(remembered.place.clone());
    let folders = profiles::Folders::new(args.layout_dir.clone()).map_err(CommandError::Failed)?;
    let profiles = Arc::new(folders.with(opened, last).told_to(keeper));
    let known = remembered.layout.clone().filter(|name| profiles.has(name));
    let options = ConsoleOptions {
        greeting: look.greeting.or_else(|| {
            known.as_ref()?;
            remembered.greeting(&wanted.title, &look.keymap.shown(Command::Layouts))
        }),
        profiles: Some(profiles.clone()),
        profile: Some(wanted.title).filter(|title| title != UNNAMED),
        baseline,
        last_layout: known,
        screen: remembered.screen,
        stop: Some(signals::stop()?),
        ..look
    };
    let ended = console::run(scheduler.clone(), options);
    let left = ended.map_err(|error| CommandError::Failed(error.to_string()))?;
    // the console's worker may not have come to it
    profiles.in_force(left.profile.as_deref());
    remembered.screen = left.screen;
    // a demo that only stood in for the last layout is not what was chosen
    let stood_in = fell_back && left.profile.as_deref() == Some(sources::DEMO);
    if !stood_in {
        let place = left.profile.as_deref().and_then(|name| profiles.find(name));
        remembered.leave(left.profile, place);
    }
    if let Err(reason) = remembered.write(&folder) {
        tracing::warn!("the screen will not come back at the next start: {reason}");
    }
    match left.exit {
        Exit::Ended => Err(CommandError::Failed(
            "the scheduler has ended by itself; divvy.log in the state folder says why".to_owned(),
        )),
        Exit::Quit | Exit::Stopped | Exit::Lost => Ok(()),
    }
}

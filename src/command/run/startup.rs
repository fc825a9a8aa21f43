//! Prepares a run: chooses the layout, fits it to the machine and loads its models.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use super::args::{DisplayMode, RunArgs};
use super::last_session::LastSession;
use super::layout_folders::LayoutFolders;
use super::named_layout::ResumedLayout;
use super::preload::{PreloadPlan, PreloadedModels, RequiredModels, preload};
use super::process_rows;
use super::run_limits::RunLimits;
use super::run_records::RunRecords;
use super::startup_layout::{self, ChosenLayout, DEMO, LastLayout, StartupLayout};
use crate::command::CommandError;
use crate::command::model_names::{NameScope, read_model_names};
use crate::engine::{Engines, devices};
use crate::layout::{Document, Faults, Layout, ReportStyle, Warning};
use crate::machine::Description;
use crate::scheduler::EngineLoader;
use crate::telemetry::gpu::{self, GpuOptions, GpuSensor};

/// The loader of a run, which holds the models that were loaded at the start.
pub(super) type StartupLoader = PreloadedModels<EngineLoader>;

/// A layout that was chosen, fitted to this machine, but not loaded.
pub(super) struct Startup<'a> {
    args: &'a RunArgs,
    limits: Arc<RunLimits>,
    /// The machine.
    pub description: Description,
    /// The GPU sensor, already sampling.
    pub sensor: Arc<GpuSensor>,
    /// The layout as opened.
    pub opened: StartupLayout,
    /// The layout that runs: as opened, or scaled by `--fit`.
    pub layout: Layout,
    /// Of a resumed layout, the one that its file had in the run before.
    pub base: Option<Layout>,
    /// True if the layout is that of the last run of the same name.
    pub is_resumed: bool,
    /// A notice for the user about why this layout was opened.
    pub notice: Option<String>,
    /// The reason for opening the layout.
    source: LayoutSource,
}

/// The reason for opening a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LayoutSource {
    /// The arguments name it. If it has a fault, the program ends.
    Arguments,
    /// The last session used it. If it has a fault, the demo opens instead.
    LastSession,
}

impl<'a> Startup<'a> {
    /// Chooses the layout and fits it to the machine.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] for a layout with faults, or limits of the server that contradict the flags.
    pub(super) fn choose(
        args: &'a RunArgs,
        mut description: Description,
        records: &RunRecords,
        mode: DisplayMode,
    ) -> Result<Self, CommandError> {
        let is_named =
            args.last || args.demo || !args.inputs.is_empty() || args.processes.has_rows();
        let (chosen, source) = if args.last {
            let layout = records.last_layout()?;
            (ChosenLayout { layout, notice: None }, LayoutSource::Arguments)
        } else if is_named || mode == DisplayMode::Headless {
            let layout = startup_layout::of_run(args)?;
            (ChosenLayout { layout, notice: None }, LayoutSource::Arguments)
        } else {
            let session = records.last_session();
            (last_session_layout(args, session, &description)?, LayoutSource::LastSession)
        };
        let ChosenLayout { layout: opened, notice } = chosen;
        let (mut opened, base, is_resumed) = match resumed_layout(args, records)? {
            Some(ResumedLayout { layout, base }) => (layout, base, true),
            None => (opened, None, false),
        };
        process_rows::add(&args.processes, &mut opened)?;
        // CUDA reads its variables once: set them before models are loaded and sensors start
        devices::set_cuda_environment(opened.document.layout());
        let sensor = Arc::new(GpuSensor::start(GpuOptions::default()));
        if opened.document.layout().models.iter().any(|row| row.gpu.is_some()) {
            description.gpus = sensor.first(gpu::LIST_PATIENCE).known();
        }
        let mut startup = Self {
            args,
            limits: records.limits(),
            description,
            sensor,
            opened,
            layout: Layout::default(),
            base,
            is_resumed,
            notice,
            source,
        };
        match startup.fit() {
            Err(CommandError::BadInput(reason)) if startup.has_fallback() => {
                startup.fall_back_to_demo(&reason)?;
            }
            other => other?,
        }
        startup.open_limits()?;
        Ok(startup)
    }

    /// Loads the models of the layout.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] if a required model cannot be loaded or run.
    pub(super) fn load(&mut self) -> Result<StartupLoader, CommandError> {
        let engines = Arc::new(Engines::new(self.args.engine.into(), self.args.ort_dylib.clone()));
        let description = self.description.clone();
        let strict = self.args.strict;
        let load = |startup: &Self| {
            let loader = EngineLoader::new(engines.clone());
            let required = if strict { RequiredModels::All } else { startup.opened.required };
            let plan = PreloadPlan { layout: &startup.layout, machine: &description, required };
            preload(plan, loader, &mut std::io::stderr())
        };
        match load(self) {
            Err(CommandError::BadInput(reason)) if self.has_fallback() => {
                self.fall_back_to_demo(&reason)?;
                self.open_limits()?;
                load(self)
            }
            // no model can run: show the places in the layout where they are known
            Err(CommandError::BadInput(reason)) => {
                let document = &self.opened.document;
                let names = read_model_names(document.layout(), NameScope::AllRows);
                let located = document.check_files_and_models(&names).err();
                let text = located
                    .filter(|_| self.opened.path.is_some())
                    .map_or(reason, |faults| faults.to_string());
                Err(CommandError::BadInput(text))
            }
            other => other,
        }
    }

    /// Returns true if the demo replaces the last session's layout, which cannot be used.
    pub(super) fn fell_back(&self) -> bool {
        self.notice.is_some() && self.opened.path.is_none()
    }

    /// Returns true if a fault of the layout opens the demo instead of ending the program.
    fn has_fallback(&self) -> bool {
        self.source == LayoutSource::LastSession && self.opened.path.is_some()
    }

    /// Opens the demo instead; the whole reason goes to standard error.
    fn fall_back_to_demo(&mut self, reason: &str) -> Result<(), CommandError> {
        writeln!(std::io::stderr(), "divvy: {reason}")?;
        self.notice = Some(startup_layout::demo_notice(&self.opened.title, reason));
        self.opened = startup_layout::demo()?;
        self.fit()
    }

    /// Takes the server's limits from the layout, and checks them with the flags before any model is loaded.
    fn open_limits(&self) -> Result<(), CommandError> {
        self.limits.open(&self.opened.title, self.opened.document.server());
        if self.args.serve.is_serving() {
            self.limits.for_server(&self.args.serve)?;
        }
        Ok(())
    }

    /// Checks the layout against the machine, or scales it with `--fit`; prints warnings.
    fn fit(&mut self) -> Result<(), CommandError> {
        let mut stderr = std::io::stderr();
        let document = &self.opened.document;
        let bad = |faults: Faults| CommandError::BadInput(faults.to_string());
        if self.args.strict {
            let names = read_model_names(document.layout(), NameScope::AllRows);
            document.check_files_and_models(&names).map_err(bad)?;
        } else {
            let names = read_model_names(document.layout(), NameScope::ReadableRows);
            document.check_models(&names).map_err(bad)?;
        }
        if self.args.fit {
            let fitted = document.fit(&self.description);
            for change in &fitted.changes {
                writeln!(stderr, "divvy: fitted to this machine: {change}")?;
            }
            self.layout = fitted.layout;
            return Ok(());
        }
        // the demo fits any machine, also one with a single core
        let is_demo = self.opened.path.is_none() && self.opened.title == DEMO;
        if is_demo {
            self.layout = document.fit(&self.description).layout;
            return Ok(());
        }
        let warnings = document.check(&self.description).map_err(bad)?;
        if !warnings.is_empty() {
            print_warnings(&self.opened, &warnings, &mut stderr)?;
        }
        self.layout = document.layout().clone();
        Ok(())
    }
}

/// Returns the layout of the last run of the name, with `--resume`. One that cannot be used is reported, and the
/// run starts with the layout of its arguments.
#[cfg(unix)]
fn resumed_layout(
    args: &RunArgs,
    records: &RunRecords,
) -> Result<Option<ResumedLayout>, CommandError> {
    let Some(name) = args.control.name.as_ref().filter(|_| args.life.resume) else {
        return Ok(None);
    };
    match super::named_layout::NamedLayout::new(records.folder(), name.as_str()).read() {
        Ok(resumed) => Ok(resumed),
        Err(reason) => {
            writeln!(std::io::stderr(), "divvy: the last run of {name} is not resumed: {reason}")?;
            Ok(None)
        }
    }
}

#[cfg(not(unix))]
fn resumed_layout(_: &RunArgs, _: &RunRecords) -> Result<Option<ResumedLayout>, CommandError> {
    Ok(None)
}

/// Opens the layout of the last session, or the demo.
fn last_session_layout(
    args: &RunArgs,
    session: &LastSession,
    description: &Description,
) -> Result<ChosenLayout, CommandError> {
    let last = session.layout.clone().map(|title| {
        let find = || LayoutFolders::new(args.layout_dir.clone()).ok()?.find(&title);
        let path = session.place.clone().or_else(find);
        LastLayout { title, path }
    });
    let check_fit = |document: &Document| match document.check(description) {
        Err(faults) if !args.fit => Err(startup_layout::first_fault(&faults)),
        _ => Ok(()),
    };
    startup_layout::last_or_demo(last, check_fit)
}

/// Prints warnings, with their lines where the layout is the user's own text.
fn print_warnings(
    opened: &StartupLayout,
    warnings: &[Warning],
    stderr: &mut std::io::Stderr,
) -> std::io::Result<()> {
    if opened.path.is_some() {
        let text = opened
            .document
            .render_warnings(warnings, ReportStyle::for_terminal(stderr.is_terminal()));
        return writeln!(stderr, "{text}");
    }
    warnings.iter().try_for_each(|Warning(fault)| writeln!(stderr, "divvy: {}", fault.message))
}

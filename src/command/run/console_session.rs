//! One session of the console: its options, the saved layouts, and the state restored next time.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::args::{ConsoleArgs, RunArgs};
use super::last_session::LastSession;
use super::layout_folders::LayoutFolders;
use super::live_layout::{LayoutOrigin, UNNAMED};
use super::run_limits::RunLimits;
use super::run_records::{Restore, RunRecords};
use super::signals::StopSignals;
use super::startup::Startup;
use super::startup_layout::{DEMO, StartupLayout};
use crate::command::{CommandError, config};
use crate::console::state::Command;
use crate::console::{self, ConsoleOptions, Exit, GlyphSet, ThemeName};
use crate::layout::{FileCheck, Layout};
use crate::scheduler::{LayoutStore, Scheduler};

/// The console's options from the environment, the config file and the arguments; later ones win.
///
/// # Errors
/// [`CommandError::BadInput`] for an invalid config file.
pub(in crate::command) fn console_options(
    args: &ConsoleArgs,
    readonly: bool,
) -> Result<ConsoleOptions, CommandError> {
    let variable = |name| std::env::var(name).ok();
    let (no_color, colorterm) = (variable("NO_COLOR"), variable("COLORTERM"));
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable);
    let locale = locale.each_ref().map(Option::as_deref);
    let mut options = ConsoleOptions {
        theme: ThemeName::from_environment(no_color.as_deref(), colorterm.as_deref()),
        glyphs: GlyphSet::from_environment(locale, variable("TERM").as_deref()),
        reduced_motion: variable("DIVVY_REDUCED_MOTION").is_some_and(|value| !value.is_empty()),
        ..ConsoleOptions::default()
    };
    config::read(args.config.as_deref())?.apply(&mut options);
    options.theme = args.theme.unwrap_or(options.theme);
    options.glyphs = args.glyphs.unwrap_or(options.glyphs);
    options.mouse &= !args.no_mouse;
    options.readonly = readonly;
    Ok(options)
}

/// The state of a run when its console opens.
pub(super) struct ConsoleStart {
    options: ConsoleOptions,
    layout: StartupLayout,
    /// True if the demo replaces the last session's layout, which cannot be used.
    fell_back: bool,
    last_session: LastSession,
    origin: watch::Sender<LayoutOrigin>,
    limits: Arc<RunLimits>,
    state_folder: PathBuf,
}

impl ConsoleStart {
    /// Adds the greeting and the logs to the options.
    pub(super) fn new(
        restore: Restore,
        options: ConsoleOptions,
        startup: Startup<'_>,
        records: &RunRecords,
    ) -> Self {
        let fell_back = startup.fell_back();
        let notices = records.notices(restore).into_iter().map(|text| capitalized(&text));
        let greeting: Vec<String> = notices.chain(startup.notice).collect();
        let greeting = Some(greeting.join(". ")).filter(|greeting| !greeting.is_empty());
        Self {
            options: ConsoleOptions {
                greeting,
                log: Arc::new(records.log()),
                stderr: Some(records.stderr_file()),
                ..options
            },
            layout: startup.opened,
            fell_back,
            last_session: records.last_session().clone(),
            origin: records.origin(),
            limits: records.limits(),
            state_folder: records.folder().to_owned(),
        }
    }
}

/// Opens the console until the user quits or a signal arrives, then records the session.
///
/// # Errors
/// [`CommandError::Failed`] when the terminal cannot be used or the scheduler has ended by itself.
pub(super) fn open_console(
    args: &RunArgs,
    start: ConsoleStart,
    scheduler: &Arc<Scheduler>,
    signals: &StopSignals,
) -> Result<(), CommandError> {
    let ConsoleStart { options, layout, fell_back, last_session: mut session, .. } = start;
    let baseline = args.last.then(|| saved_version(&layout));
    let opened = layout.path.map(|path| (layout.title.clone(), path));
    let last = session.layout.clone().zip(session.place.clone());
    let folders = LayoutFolders::new(args.layout_dir.clone()).map_err(CommandError::Failed)?;
    let folders = folders.with_files(opened, last).with_origin(start.origin);
    let profiles = Arc::new(folders.with_limits(start.limits));
    let last_layout = session.layout.clone().filter(|name| profiles.has(name));
    let options = ConsoleOptions {
        opened: layout.opened,
        greeting: options.greeting.or_else(|| {
            last_layout.as_ref()?;
            session.greeting(&layout.title, &options.keymap.shown(Command::Layouts))
        }),
        profiles: Some(profiles.clone()),
        profile: Some(layout.title).filter(|title| title != UNNAMED),
        baseline,
        last_layout,
        screen: session.screen,
        stop: Some(signals.any()),
        ..options
    };
    let result = console::run(scheduler.clone(), options);
    let end = result.map_err(|error| CommandError::Failed(error.to_string()))?;
    // the console's worker may not have reported the last one
    profiles.set_current(end.profile.as_deref(), end.revision);
    session.screen = end.screen;
    // a demo that only replaced the last layout is not the user's choice
    let replaced = fell_back && end.profile.as_deref() == Some(DEMO);
    if !replaced {
        let path = end.profile.as_deref().and_then(|name| profiles.find(name));
        session.set_layout(end.profile, path);
    }
    if let Err(reason) = session.write(&start.state_folder) {
        tracing::warn!("the screen will not be restored at the next start: {reason}");
    }
    match end.exit {
        Exit::Ended => Err(CommandError::Failed(format!(
            "the scheduler has stopped unexpectedly; see divvy.log in {}",
            start.state_folder.display()
        ))),
        Exit::Quit | Exit::Stopped | Exit::Lost => Ok(()),
    }
}

/// Returns a restored layout as its file has it: the restored one may have unsaved changes.
fn saved_version(restored: &StartupLayout) -> Layout {
    let document = match &restored.path {
        Some(path) => Layout::read(path, FileCheck::Skipped).ok(),
        None if restored.title == DEMO => super::startup_layout::demo_document().ok(),
        None => None,
    };
    document.map_or_else(Layout::default, |document| document.layout().clone())
}

/// Returns the text with its first letter in upper case.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

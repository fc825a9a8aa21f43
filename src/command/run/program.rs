//! Starts the scheduler and the load, shows or reports the run, and stops them in order.

use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::args::{DisplayMode, RunArgs, no_console};
use super::console_session::{ConsoleStart, console_options, open_console};
#[cfg(unix)]
use super::control_host::BoundControl;
#[cfg(unix)]
use super::detach;
use super::lost_terminal::LostTerminalWriter;
use super::own_threads;
use super::record::{self, RunRecordings};
#[cfg(unix)]
use super::reload::{ReloadSources, ReloadTriggers, Reloader, follow};
use super::run_records::{Restore, RunRecords};
#[cfg(unix)]
use super::service::ServiceManager;
use super::serving::{BoundServer, RunningServer};
use super::signals::{HangUp, StopSignals};
use super::startup::Startup;
use crate::command::CommandError;
use crate::command::report::{HeadlessOptions, ReportFormat, ReportOutput, RunEnd, run_headless};
use crate::console::ConsoleOptions;
use crate::console::panic_log::limit_repeated_panics;
use crate::load::LoadFollower;
use crate::machine::{this_machine, watch_stops};
use crate::scheduler::{Control, Options, Scheduler};

/// Time for queued requests to be answered at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Time between two snapshots of the console.
const CONSOLE_INTERVAL: Duration = Duration::from_millis(500);

/// Runs divvy until the user quits, the time is over, or a signal arrives.
///
/// # Errors
/// [`CommandError::BadInput`] for a layout or a model with faults; nothing is started then.
pub fn run(args: &RunArgs) -> Result<(), CommandError> {
    #[cfg(unix)]
    if args.life.detach {
        return detach::start(args);
    }
    watch_stops();
    limit_repeated_panics();
    let machine = this_machine(args.cores)?;
    let mode = DisplayMode::of(args);
    args.check(mode)?;
    let server = BoundServer::bind(&args.serve)?;
    let mut records = RunRecords::open(args.state.folder()?, mode)?;
    let mut startup = Startup::choose(args, machine.describe(), &records, mode)?;
    #[cfg(unix)]
    args.life.check(&startup.opened)?;
    #[cfg(unix)]
    let control = BoundControl::bind(args, &startup, &records)?;
    let restore = match (args.last, startup.is_resumed) {
        (true, _) => Restore::Last,
        (false, true) => Restore::Named,
        (false, false) => Restore::No,
    };
    print_notices(&records.notices(restore), args, mode)?;
    // reports a fault in the config file before any model is loaded
    let options = match mode {
        DisplayMode::Headless if args.console.config.is_none() => ConsoleOptions::default(),
        DisplayMode::Console | DisplayMode::Headless => {
            console_options(&args.console, args.readonly)?
        }
    };
    record::check(args, &startup.layout)?;
    open_limits(&startup, &records, args)?;
    let loader = startup.load()?;
    // the demo may have replaced the layout
    open_limits(&startup, &records, args)?;
    tracing::info!(
        "starts {} on CPUs {}",
        startup.opened.title,
        startup.description.limits.allowed
    );
    let scheduler_options = Options {
        interval: match mode {
            DisplayMode::Headless => headless_options(args).snapshot_interval(),
            // a console that draws less often than that needs fewer samples
            DisplayMode::Console => Duration::from_millis(options.refresh_ms)
                .clamp(CONSOLE_INTERVAL, CONSOLE_INTERVAL * 2),
        },
        readonly: args.readonly,
        journal: records.start_journal(&startup.description, &startup.opened.title),
        conditions: records.conditions(),
        gpu: Some(startup.sensor.clone()),
        server: server.as_ref().map(BoundServer::source),
        ..Options::new(machine.clone(), Arc::new(loader))
    };
    let scheduler = Scheduler::start(&startup.layout, scheduler_options).map_err(|refusal| {
        CommandError::BadInput(format!("{}: {refusal}", startup.opened.title))
    })?;
    let scheduler = Arc::new(scheduler);
    let folder = records.folder().to_owned();
    let recordings = Arc::new(RunRecordings::start(args, &scheduler, folder)?);
    let load = LoadFollower::start(scheduler.loads())
        .map_err(|error| CommandError::Failed(format!("cannot start the load: {error}")))?;
    own_threads::follow(machine, scheduler.snapshots())?;
    let serves_alone = mode == DisplayMode::Headless && args.serve.is_serving();
    let hang_up = HangUp::at_start(serves_alone);
    let signals = StopSignals::watch(hang_up)?;
    let limits = records.limits();
    #[cfg(unix)]
    let token = server.as_ref().and_then(BoundServer::token);
    let server = server.map(|server| server.start(&scheduler, &limits, mode)).transpose()?;
    let server = Cell::new(server);
    #[cfg(unix)]
    let service = ServiceManager::of_environment();
    let end = RunStop {
        server,
        signals: signals.clone(),
        unanswered: Cell::new(0),
        #[cfg(unix)]
        service: service.clone(),
    };
    #[cfg(unix)]
    let name = control.name().to_owned();
    #[cfg(not(unix))]
    let name = "run".to_owned();
    records.start_autosave(&startup.opened, (restore, &name), scheduler.clone());
    #[cfg(unix)]
    let control = {
        let reloader = Reloader::new(
            (&startup.opened, startup.base.as_ref()),
            ReloadSources {
                control: scheduler.clone(),
                machine: startup.description.clone(),
                fits: args.fit,
                limits,
                origin: records.origin(),
                conditions: records.conditions(),
                token,
                service: service.clone(),
            },
        );
        let reloader = Arc::new(reloader);
        let triggers = ReloadTriggers {
            signals: signals.reloads(),
            origin: records.origin().subscribe(),
            snapshots: scheduler.snapshots(),
            watches: args.life.watch,
        };
        follow(reloader.clone(), triggers)?;
        if startup.is_resumed && reloader.has_new_text() {
            // the file has changed since the run before; the result is logged
            let _ = reloader.reload();
        }
        service.follow(scheduler.snapshots())?;
        control.start(&scheduler, reloader, recordings.clone(), Arc::new(records.log()))
    };
    let result = match mode {
        DisplayMode::Headless => {
            report(args, &scheduler, signals.first(), || end.stop(&load, &scheduler))
        }
        DisplayMode::Console => {
            let options = ConsoleOptions { recordings: Some(recordings.clone()), ..options };
            let start = ConsoleStart::new(restore, options, startup, &records);
            open_console(args, start, &scheduler, &signals)
        }
    };
    end.stop(&load, &scheduler);
    // until here clients see that the run drains
    #[cfg(unix)]
    drop(control);
    recordings.finish();
    records.finish(&*scheduler);
    end.result(result)
}

/// Takes the server's limits from the layout, and checks them with the flags before any model is loaded.
fn open_limits(
    startup: &Startup<'_>,
    records: &RunRecords,
    args: &RunArgs,
) -> Result<(), CommandError> {
    let (limits, opened) = (records.limits(), &startup.opened);
    limits.open(&opened.title, opened.document.server());
    if args.serve.is_serving() {
        limits.for_server(&args.serve)?;
    }
    Ok(())
}

/// The end of a run: the load, the server and the scheduler stop in this order.
struct RunStop {
    server: Cell<Option<RunningServer>>,
    signals: StopSignals,
    /// Admitted requests of clients that were not answered.
    unanswered: Cell<usize>,
    #[cfg(unix)]
    service: ServiceManager,
}

impl RunStop {
    fn stop(&self, load: &LoadFollower, scheduler: &Scheduler) {
        #[cfg(unix)]
        self.service.stopping();
        load.stop(Duration::ZERO);
        let unanswered = self.server.take().map_or(0, |server| server.drain(&self.signals));
        self.unanswered.set(self.unanswered.get() + unanswered);
        scheduler.stop(if unanswered == 0 { DRAIN_TIMEOUT } else { Duration::ZERO });
    }

    /// Returns the result of the run with that of the drain. A failure decides the exit code.
    fn result(&self, run: Result<(), CommandError>) -> Result<(), CommandError> {
        if self.unanswered.get() == 0 {
            return run;
        }
        let unanswered = CommandError::Unanswered(self.unanswered.get());
        if run.is_err() {
            // a closed stderr must not hide the failure
            let _ = writeln!(std::io::stderr(), "divvy: {unanswered}");
        }
        run.and(Err(unanswered))
    }
}

/// Prints the notices about earlier runs, and why no console opens.
fn print_notices(
    notices: &[String],
    args: &RunArgs,
    mode: DisplayMode,
) -> Result<(), CommandError> {
    let mut stderr = std::io::stderr();
    for notice in notices {
        writeln!(stderr, "divvy: {notice}")?;
    }
    if let Some(reason) =
        no_console().filter(|_| mode == DisplayMode::Headless && !args.is_headless())
    {
        writeln!(stderr, "divvy: {reason}, so divvy reports as with --headless")?;
    }
    Ok(())
}

/// Returns the options of a run without a terminal.
fn headless_options(args: &RunArgs) -> HeadlessOptions {
    let format = if args.json { ReportFormat::Json } else { ReportFormat::Text };
    HeadlessOptions { duration: args.duration, interval: args.interval, format }
}

/// Reports to standard output until the time is over or a signal arrives.
fn report(
    args: &RunArgs,
    scheduler: &Scheduler,
    stop: impl Future<Output = ()>,
    settle: impl FnOnce(),
) -> Result<(), CommandError> {
    // whether a hang-up ends the run, its signal decides
    let mut out = LostTerminalWriter(std::io::stdout());
    let mut progress = std::io::stderr();
    let output = ReportOutput { out: &mut out, progress: &mut progress };
    run_headless(scheduler, headless_options(args), output, RunEnd { stop, settle })
}

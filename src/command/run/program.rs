//! Starts the scheduler and the load, shows or reports the run, and stops them in order.

use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::args::{DisplayMode, RunArgs, no_console};
use super::console_session::{ConsoleStart, console_options, open_console};
use super::lost_terminal::LostTerminalWriter;
use super::own_threads;
use super::process_host;
use super::record::{self, RunRecordings};
use super::run_control::{ControlledRun, RunControl, RunningControl};
use super::run_records::{Restore, RunRecords};
use super::serving::{BoundServer, RunningServer};
use super::signals::{HangUp, StopSignals};
use super::startup::Startup;
use crate::command::CommandError;
use crate::command::report::{HeadlessOptions, ReportFormat, ReportOutput, RunEnd, run_headless};
use crate::console::ConsoleOptions;
use crate::console::panic_log::limit_repeated_panics;
use crate::load::LoadFollower;
use crate::machine::{this_machine, watch_stops};
use crate::process::ProcessHost;
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
    watch_stops();
    limit_repeated_panics();
    let machine = this_machine(args.cores)?;
    let mode = DisplayMode::of(args);
    args.check(mode)?;
    let server = BoundServer::bind(&args.serve)?;
    let mut records = RunRecords::open(args.state.folder()?, mode)?;
    let mut startup = Startup::choose(args, machine.describe(), &records, mode)?;
    let control = RunControl::bind(args, &startup, &records)?;
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
    let loader = startup.load()?;
    tracing::info!(
        "starts {} on CPUs {}",
        startup.opened.title,
        startup.description.limits.allowed
    );
    let processes = process_host::start(args, &records, control.name());
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
        processes: processes.clone(),
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
    let token = server.as_ref().and_then(BoundServer::token);
    let limits = records.limits();
    let server = server.map(|server| server.start(&scheduler, &limits, mode)).transpose()?;
    records.start_autosave(&startup.opened, (restore, control.name()), scheduler.clone());
    let run = ControlledRun {
        scheduler: &scheduler,
        signals: &signals,
        recordings: recordings.clone(),
        token,
    };
    let end = RunStop {
        control: control.start(&startup, &records, run)?,
        server: Cell::new(server),
        signals: signals.clone(),
        processes,
        unanswered: Cell::new(0),
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
    let unanswered = end.close();
    recordings.finish();
    records.finish(&*scheduler);
    end_result(result, unanswered)
}

/// The end of a run: the load, the server, the scheduler and the host of processes stop in this order.
struct RunStop {
    control: RunningControl,
    server: Cell<Option<RunningServer>>,
    signals: StopSignals,
    processes: Option<Arc<ProcessHost>>,
    /// Admitted requests of clients that were not answered.
    unanswered: Cell<usize>,
}

impl RunStop {
    fn stop(&self, load: &LoadFollower, scheduler: &Scheduler) {
        self.control.stopping();
        load.stop(Duration::ZERO);
        let unanswered = self.server.take().map_or(0, |server| server.drain(&self.signals));
        self.unanswered.set(self.unanswered.get() + unanswered);
        scheduler.stop(if unanswered == 0 { DRAIN_TIMEOUT } else { Duration::ZERO });
        // processes get their settings back while this process still can do it
        if let Some(processes) = &self.processes {
            processes.end();
        }
    }

    /// Closes the control socket, on which clients saw until now that the run drains. Returns the number of
    /// requests of clients that were not answered.
    fn close(self) -> usize {
        self.unanswered.get()
    }
}

/// Returns the result of the run with that of the drain. A failure decides the exit code.
fn end_result(run: Result<(), CommandError>, unanswered: usize) -> Result<(), CommandError> {
    if unanswered == 0 {
        return run;
    }
    let unanswered = CommandError::Unanswered(unanswered);
    if run.is_err() {
        // a closed stderr must not hide the failure
        let _ = writeln!(std::io::stderr(), "divvy: {unanswered}");
    }
    run.and(Err(unanswered))
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

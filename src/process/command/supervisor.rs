//! The supervisor of a command: decides when its process starts, starts again and ends.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::command_tree::CommandTree;
use super::end_tree;
use super::output::CommandOutput;
use super::records::{EarlierCommand, StartedRecord, lives};
use super::restart_pauses::RestartPauses;
use super::spawn::{self, SpawnRequest};
use super::started_command::{CommandContext, LONGEST_GRACE, Shared};
use crate::layout::{ProcessCommand, RestartPolicy};
use crate::machine::{ProcessId, child_processes};
use crate::process::ProcessEnd;
use crate::telemetry::ProcessState;

/// Time between two looks at processes whose end nobody reports, and at zombies.
const POLL: Duration = Duration::from_millis(500);

/// Time that a start under way gets at the end.
const START_PATIENCE: Duration = Duration::from_secs(2);

/// Messages to the supervisor.
#[derive(Debug)]
pub(super) enum Event {
    /// The cores for the next start have changed.
    Placed,
    /// The row has another name.
    Renamed,
    /// The process has started.
    Started(ProcessId),
    /// The process cannot be started, for this reason.
    NotStarted(String),
    /// The process has ended.
    Exited {
        /// Its exit status ("exit code 1").
        ended: String,
        /// True if it reports success.
        is_success: bool,
    },
    /// End all processes.
    End,
    /// Leave all processes running.
    Keep,
}

/// The end of a process.
#[derive(Clone, Debug)]
struct Exit {
    ended: String,
    is_success: bool,
    run: Duration,
}

#[derive(Debug)]
enum Phase {
    /// The cores are not known yet.
    New,
    /// The process is being started.
    Starting,
    /// The process runs, since that time. `is_child` is false if an earlier divvy started it: nobody reports
    /// its end then.
    Running { since: Instant, is_child: bool },
    /// The process has ended, and others that it started run.
    Background(Exit),
    /// A start is due then.
    Paused(Instant),
    /// It is not started again.
    Over,
}

/// The supervisor of a command, on its own thread.
#[derive(Debug)]
pub(super) struct Supervisor {
    command: ProcessCommand,
    context: CommandContext,
    shared: Arc<Shared>,
    phase: Phase,
    tree: CommandTree,
    /// The value of the variable that marks the processes; see [`spawn::MARK`].
    mark: String,
    pauses: RestartPauses,
    output: Option<CommandOutput>,
}

impl Supervisor {
    pub(super) fn new(
        command: &ProcessCommand,
        context: CommandContext,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            command: command.clone(),
            context,
            shared,
            phase: Phase::New,
            tree: CommandTree::default(),
            mark: String::new(),
            pauses: RestartPauses::default(),
            output: None,
        }
    }

    /// Supervises until the command is to end, or to be left running.
    pub(super) fn run(mut self, events: &Receiver<Event>, sender: &Sender<Event>) {
        self.adopt();
        loop {
            let event = match self.timeout() {
                Some(time) => events.recv_timeout(time),
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(event) => {
                    if self.handle(event, events).is_break() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The caller holds one of its senders.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            end_tree::reap_orphans();
            self.advance(sender);
        }
    }

    /// Returns the time until something may have to be done without an event.
    fn timeout(&self) -> Option<Duration> {
        match &self.phase {
            Phase::New | Phase::Over => None,
            Phase::Starting | Phase::Running { .. } | Phase::Background(_) => Some(POLL),
            Phase::Paused(due) => Some(self.context.clock.sleep_until(*due).min(POLL)),
        }
    }

    fn handle(&mut self, event: Event, events: &Receiver<Event>) -> ControlFlow<()> {
        match event {
            Event::Placed => {}
            Event::Renamed => self.context.records.rename(&self.mark, &self.shared.row()),
            Event::Started(process) => self.note_start(process),
            Event::NotStarted(reason) => self.note_failure(reason),
            Event::Exited { ended, is_success } => self.note_exit(ended, is_success),
            Event::Keep => return self.leave(),
            Event::End => return self.end(events),
        }
        ControlFlow::Continue(())
    }

    fn advance(&mut self, events: &Sender<Event>) {
        match &self.phase {
            Phase::New => {
                if !self.shared.lock().mask.is_empty() {
                    self.start(events);
                }
            }
            Phase::Paused(due) => {
                if self.context.clock.now() >= *due {
                    self.start(events);
                }
            }
            Phase::Running { is_child: false, .. } => {
                let root = self.shared.lock().root;
                if !root.is_some_and(lives) {
                    self.note_exit(
                        "an unknown exit code (an earlier run started it)".to_owned(),
                        false,
                    );
                }
            }
            Phase::Background(exit) => {
                let exit = exit.clone();
                self.find_living();
                if self.tree.members().is_empty() {
                    self.finish_run(exit);
                }
            }
            Phase::Starting | Phase::Running { .. } | Phase::Over => {}
        }
    }

    /// Adopts processes that an earlier run left.
    fn adopt(&mut self) {
        let row = self.shared.row();
        let (record, living) = match self.context.records.claim(&row, &self.command) {
            EarlierCommand::Nothing => return,
            EarlierCommand::Other(record, living) => {
                let pids: Vec<String> = living.iter().map(ToString::to_string).collect();
                tracing::warn!(
                    "{row}: an earlier run started {} with another command, and it still runs beside \
                     this one; to end it: kill {}",
                    record.args.join(" "),
                    pids.join(" ")
                );
                return;
            }
            EarlierCommand::Same(record, living) => (record, living),
        };
        self.mark.clone_from(&record.mark);
        let is_root = living.contains(&record.process);
        if is_root {
            self.tree.add_root(record.process);
        }
        self.tree.add(living.iter().copied());
        self.output = CommandOutput::adopt(&record, &living, (&self.shared.row, &self.context.log));
        let output = if self.output.is_some() {
            ""
        } else {
            "; its output is gone, because the run that read it has ended"
        };
        tracing::info!(
            "{row}: goes on with process {} that an earlier run started{output}",
            record.process
        );
        let since = self.context.clock.now();
        self.phase = if is_root {
            Phase::Running { since, is_child: false }
        } else {
            let ended = "an unknown exit code (an earlier run started it)".to_owned();
            Phase::Background(Exit { ended, is_success: true, run: Duration::ZERO })
        };
        let root = is_root.then_some(record.process);
        self.publish(ProcessState::Running, root);
    }

    fn start(&mut self, events: &Sender<Event>) {
        self.phase = Phase::Starting;
        self.mark = new_mark();
        let started = self.output_for_start().and_then(|output| {
            let request = SpawnRequest {
                command: self.command.clone(),
                cores: self.shared.lock().mask,
                mark: self.mark.clone(),
                output,
            };
            spawn::spawn(&self.shared.row(), request, events.clone())
        });
        if let Err(error) = started {
            self.note_failure(format!("divvy cannot start processes: {error}"));
        }
    }

    /// Returns the standard output and standard error of the next process.
    fn output_for_start(&mut self) -> std::io::Result<[std::process::Stdio; 2]> {
        if let Some(output) = &self.output
            && let Some(stdio) = output.stdio()?
        {
            return Ok(stdio);
        }
        // A process that is kept must not depend on a reader.
        let keeps = self.context.end == ProcessEnd::Keep;
        let file = self.context.records.output_file(&self.shared.row()).filter(|_| keeps);
        let output = CommandOutput::start(file.as_deref(), &self.shared.row, &self.context.log)?;
        let stdio = output.stdio()?.ok_or(std::io::ErrorKind::Unsupported)?;
        if let Some(earlier) = self.output.replace(output) {
            earlier.end();
        }
        Ok(stdio)
    }

    fn note_start(&mut self, process: ProcessId) {
        self.tree.add_root(process);
        let output = self.output.as_ref();
        self.context.records.put(StartedRecord {
            row: self.shared.row(),
            args: self.command.args.clone(),
            dir: self.command.dir.clone(),
            process,
            mark: self.mark.clone(),
            output: output.and_then(CommandOutput::file).map(ToOwned::to_owned),
            pipe: output.and_then(CommandOutput::pipe),
            divvy: None,
        });
        tracing::info!("{}: started process {process}", self.shared.row());
        let since = self.context.clock.now();
        self.phase = Phase::Running { since, is_child: true };
        self.publish(ProcessState::Running, Some(process));
    }

    fn note_failure(&mut self, reason: String) {
        tracing::error!("{}: {reason}", self.shared.row());
        if self.command.restart == RestartPolicy::Never {
            self.phase = Phase::Over;
        } else {
            let pause = self.pauses.after_run(Duration::ZERO);
            self.phase = Phase::Paused(self.context.clock.now() + pause);
        }
        self.publish(ProcessState::Failed { reason }, None);
    }

    fn note_exit(&mut self, ended: String, is_success: bool) {
        let Phase::Running { since, .. } = self.phase else { return };
        let run = self.context.clock.now().saturating_duration_since(since);
        let exit = Exit { ended, is_success, run };
        self.find_living();
        let left = self.tree.members().len();
        let row = self.shared.row();
        if left == 0 {
            tracing::info!("{row}: its process ended: {}", exit.ended);
        } else if !is_success && self.is_restarted(&exit) {
            // They could hold what the next process needs, as a port.
            tracing::warn!(
                "{row}: its process ended: {}; {left} that it started are ended before the next start",
                exit.ended
            );
            self.end_living(Instant::now() + LONGEST_GRACE);
        } else {
            tracing::info!(
                "{row}: its process ended: {}; {left} that it started run on",
                exit.ended
            );
            self.phase = Phase::Background(exit);
            self.publish(ProcessState::Running, None);
            return;
        }
        self.finish_run(exit);
    }

    fn is_restarted(&self, exit: &Exit) -> bool {
        match self.command.restart {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => !exit.is_success,
            RestartPolicy::Always => true,
        }
    }

    /// Decides what follows the end of all processes.
    fn finish_run(&mut self, exit: Exit) {
        self.context.records.remove(&self.mark);
        if self.is_restarted(&exit) {
            let pause = self.pauses.after_run(exit.run);
            let due = self.context.clock.now() + pause;
            self.phase = Phase::Paused(due);
            let wait_ms = pause.as_millis() as u64;
            self.publish(ProcessState::Restarting { ended: exit.ended, wait_ms }, None);
            self.shared.lock().restart_at = Some(due);
        } else {
            self.phase = Phase::Over;
            self.publish(ProcessState::Ended { ended: exit.ended }, None);
        }
    }

    fn find_living(&mut self) {
        self.tree.add(std::mem::take(&mut self.shared.lock().members));
        end_tree::find_living(&mut self.tree, &self.mark);
        self.shared.lock().living = self.tree.members().iter().copied().collect();
    }

    /// Ends all processes. Returns true if they have ended.
    fn end_living(&mut self, latest: Instant) -> bool {
        self.tree.add(std::mem::take(&mut self.shared.lock().members));
        let shared = self.shared.clone();
        let kill_at = move || shared.lock().kill_at.map_or(latest, |time| time.min(latest));
        end_tree::end_tree(&mut self.tree, &self.mark, &kill_at)
    }

    fn end(&mut self, events: &Receiver<Event>) -> ControlFlow<()> {
        if matches!(self.phase, Phase::Starting) {
            self.wait_for_start(events);
        }
        let all_ended = self.end_living(Instant::now() + LONGEST_GRACE);
        if let Some(output) = self.output.take() {
            output.end();
        }
        if all_ended {
            self.context.records.remove(&self.mark);
        } else {
            tracing::warn!(
                "{}: processes do not end: {:?}",
                self.shared.row(),
                self.tree.members()
            );
        }
        self.publish(ProcessState::Ended { ended: "SIGTERM by divvy".to_owned() }, None);
        self.shared.finish(all_ended);
        ControlFlow::Break(())
    }

    /// Waits for a process that is being started. One that starts later ends at once, because nobody
    /// receives its event.
    fn wait_for_start(&mut self, events: &Receiver<Event>) {
        let due = Instant::now() + START_PATIENCE;
        loop {
            match events.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Event::Started(process)) => return self.note_start(process),
                Ok(Event::NotStarted(_)) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Leaves the processes running.
    fn leave(&mut self) -> ControlFlow<()> {
        self.context.records.release(&self.mark);
        self.shared.finish(true);
        ControlFlow::Break(())
    }

    fn publish(&self, state: ProcessState, root: Option<ProcessId>) {
        let mut values = self.shared.lock();
        values.state = state;
        values.restart_at = None;
        values.root = root;
        values.living = self.tree.members().iter().copied().collect();
    }
}

/// Returns a mark that no other start has.
fn new_mark() -> String {
    static STARTS: AtomicU64 = AtomicU64::new(0);
    let own = child_processes::process_relation(std::process::id() as i32);
    let start = own.map_or(0, |own| own.id.start_ticks);
    format!("{}.{start}.{}", std::process::id(), STARTS.fetch_add(1, Ordering::Relaxed))
}

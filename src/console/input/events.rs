//! The threads that receive keys, snapshots and the stop signal, and send them to the event loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event;
use tokio::sync::watch;

use super::input_queue::InputEvent;
use crate::console::state::{Action, Command};
use crate::machine::request_short_slice;
use crate::scheduler::Connection;
use crate::telemetry::Snapshot;

/// An event for the loop.
pub(crate) enum ConsoleEvent {
    /// Input of the terminal.
    Input(InputEvent),
    /// An action that waits for nothing: new data, or the answer to an effect.
    Action(Action),
    /// An effect that input waits for was performed, with its answer, or was obsolete.
    Performed(Option<Box<Action>>),
    /// The stop signal.
    Stop,
    /// The stream of snapshots has ended.
    Ended,
    /// The terminal is gone.
    Lost,
}

/// Interval at which the key reader checks whether it must stop.
const LOOK: Duration = Duration::from_secs(1);

/// Handle to stop the threads.
pub(crate) struct EventThreads {
    keys: Arc<AtomicBool>,
    data: watch::Sender<bool>,
}

impl EventThreads {
    /// Stops the threads. The key reader stops within a second.
    pub(crate) fn stop(&self) {
        self.keys.store(true, Ordering::Relaxed);
        let _ = self.data.send(true);
    }
}

/// The sources of events other than the terminal.
pub(crate) struct EventSources {
    /// The snapshots.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The connection to a run in another process.
    pub connection: Option<watch::Receiver<Connection>>,
    /// The stop signal.
    pub stop: Option<watch::Receiver<bool>>,
}

/// Starts the threads that send key, snapshot and stop events to the console.
pub(crate) fn start(sender: &Sender<ConsoleEvent>, sources: EventSources) -> EventThreads {
    let keys = Arc::new(AtomicBool::new(false));
    let (data, ended) = watch::channel(false);
    let (to, flag) = (sender.clone(), keys.clone());
    spawn("console-keys", move || read_keys(&to, &flag));
    let to = sender.clone();
    spawn("console-data", move || watch_data(&to, sources, ended));
    EventThreads { keys, data }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(|| {
        // keys and snapshots must not wait while models keep every core busy
        request_short_slice();
        body();
    });
    if let Err(error) = thread {
        tracing::error!("cannot start the thread {name}: {error}");
    }
}

fn read_keys(to: &Sender<ConsoleEvent>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let event = match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let event = match event {
            Ok(event::Event::Key(key)) => InputEvent::Action(Action::Key(key)),
            Ok(event::Event::Mouse(mouse)) => InputEvent::Mouse(mouse),
            Ok(event::Event::Resize(..)) => InputEvent::Action(Action::Resized),
            Ok(event::Event::FocusLost) => InputEvent::Action(Action::FocusLost),
            Ok(event::Event::FocusGained) => continue,
            Ok(event::Event::Paste(text)) => InputEvent::Action(Action::Paste(text)),
            Err(_) => {
                let _ = to.send(ConsoleEvent::Lost);
                return;
            }
        };
        if to.send(ConsoleEvent::Input(event)).is_err() {
            return;
        }
    }
}

fn watch_data(to: &Sender<ConsoleEvent>, sources: EventSources, mut ended: watch::Receiver<bool>) {
    let EventSources { mut snapshots, connection, stop } = sources;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot watch the scheduler: {error}");
            let _ = to.send(ConsoleEvent::Ended);
            return;
        }
    };
    runtime.block_on(async {
        // send the current snapshot: it is new to a console that has just started
        snapshots.mark_changed();
        let stopped = async {
            if let Some(mut stop) = stop
                && stop.wait_for(|stop| *stop).await.is_ok()
            {
                return;
            }
            // waits forever without a stop signal, or if its sender is gone
            std::future::pending::<()>().await;
        };
        tokio::pin!(stopped);
        let mut suspensions = Suspensions::watch();
        let mut connection = ConnectionEvents::new(connection);
        loop {
            let event = tokio::select! {
                biased;
                _ = ended.changed() => return,
                () = &mut stopped => ConsoleEvent::Stop,
                () = suspensions.next() => ConsoleEvent::Action(Action::Command(Command::Suspend)),
                // before the snapshots of another process
                action = connection.next() => ConsoleEvent::Action(action),
                change = snapshots.changed() => match change {
                    Ok(()) => {
                        let snapshot = snapshots.borrow_and_update().clone();
                        ConsoleEvent::Action(Action::Snapshot(snapshot))
                    }
                    Err(_) => ConsoleEvent::Ended,
                },
            };
            let last = !matches!(event, ConsoleEvent::Action(_));
            if to.send(event).is_err() || last {
                return;
            }
        }
    });
}

/// The changes of a connection and, while it is lost, the seconds since.
struct ConnectionEvents {
    connection: Option<watch::Receiver<Connection>>,
    lost_since: Option<Instant>,
}

impl ConnectionEvents {
    fn new(mut connection: Option<watch::Receiver<Connection>>) -> Self {
        // it may have been lost before this thread started
        if let Some(connection) = &mut connection {
            connection.mark_changed();
        }
        Self { connection, lost_since: None }
    }

    /// Waits for the next event; forever without a connection. A wait that is given up loses nothing.
    async fn next(&mut self) -> Action {
        let Some(connection) = &mut self.connection else { return std::future::pending().await };
        let since = self.lost_since;
        let tick = async move {
            match since {
                Some(since) => {
                    let seconds = since.elapsed().as_secs() + 1;
                    tokio::time::sleep_until((since + Duration::from_secs(seconds)).into()).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = connection.changed() => if changed.is_err() {
                // it ends with the console
                std::future::pending::<()>().await;
            },
            () = tick => {}
        }
        let connection = connection.borrow_and_update().clone();
        self.lost_since = connection.lost_since();
        let lost_s = self.lost_since.map_or(0, |since| since.elapsed().as_secs());
        Action::Connection { connection, lost_s }
    }
}

/// Requests to suspend the process, as by `kill -TSTP`. The terminal must be restored first. The
/// suspend key sends no signal, because the terminal is in raw mode.
struct Suspensions {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Suspensions {
    #[cfg(unix)]
    fn watch() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let signal = signal(SignalKind::from_raw(libc::SIGTSTP))
            .inspect_err(|error| tracing::warn!("a stop from outside is not noticed: {error}"));
        Self { signal: signal.ok() }
    }

    #[cfg(not(unix))]
    fn watch() -> Self {
        Self {}
    }

    /// Waits for the next signal; forever if none can arrive.
    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

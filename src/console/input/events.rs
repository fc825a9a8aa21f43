//! The threads that wait for keys, for snapshots and for the stop signal, and hand them to the
//! console's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use crossterm::event::{self, MouseEvent};
use tokio::sync::watch;

use crate::console::state::{Action, Command};
use crate::machine::request_short_slice;
use crate::telemetry::Snapshot;

/// Something that the loop must take in.
pub(crate) enum ConsoleEvent {
    /// An action as it is.
    Action(Action),
    /// A mouse event, which means something only together with the last frame.
    Mouse(MouseEvent),
    /// The stop signal.
    Stop,
    /// No snapshot will come any more.
    Ended,
    /// The terminal is gone.
    Lost,
}

/// How often the reader of keys looks whether it is to end.
const LOOK: Duration = Duration::from_millis(250);

/// Ends the threads.
pub(crate) struct EventThreads {
    keys: Arc<AtomicBool>,
    data: watch::Sender<bool>,
}

impl EventThreads {
    /// Ends them; the reader of keys within a quarter of a second.
    pub(crate) fn stop(&self) {
        self.keys.store(true, Ordering::Relaxed);
        let _ = self.data.send(true);
    }
}

/// Starts the threads.
pub(crate) fn start(
    sender: &Sender<ConsoleEvent>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    stop: Option<watch::Receiver<bool>>,
) -> EventThreads {
    let keys = Arc::new(AtomicBool::new(false));
    let (data, ended) = watch::channel(false);
    let (to, flag) = (sender.clone(), keys.clone());
    spawn("console-keys", move || read_keys(&to, &flag));
    let to = sender.clone();
    spawn("console-data", move || watch_data(&to, snapshots, stop, ended));
    EventThreads { keys, data }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(|| {
        // keys and figures must not wait behind models that keep every core busy
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
            Ok(event::Event::Key(key)) => ConsoleEvent::Action(Action::Key(key)),
            Ok(event::Event::Mouse(mouse)) => ConsoleEvent::Mouse(mouse),
            Ok(event::Event::Resize(..)) => ConsoleEvent::Action(Action::Resized),
            Ok(event::Event::FocusLost) => ConsoleEvent::Action(Action::FocusLost),
            Ok(event::Event::FocusGained) => continue,
            Ok(event::Event::Paste(text)) => ConsoleEvent::Action(Action::Paste(text)),
            Err(_) => ConsoleEvent::Lost,
        };
        let lost = matches!(event, ConsoleEvent::Lost);
        if to.send(event).is_err() || lost {
            return;
        }
    }
}

fn watch_data(
    to: &Sender<ConsoleEvent>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    stop: Option<watch::Receiver<bool>>,
    mut ended: watch::Receiver<bool>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot watch the scheduler: {error}");
            let _ = to.send(ConsoleEvent::Ended);
            return;
        }
    };
    runtime.block_on(async {
        // what is there already is news to a console that has just started
        snapshots.mark_changed();
        let stopped = async {
            if let Some(mut stop) = stop
                && stop.wait_for(|stop| *stop).await.is_ok()
            {
                return;
            }
            // without a stop signal, or when its sender is gone: never
            std::future::pending::<()>().await;
        };
        tokio::pin!(stopped);
        let mut suspensions = Suspensions::watch();
        loop {
            let event = tokio::select! {
                biased;
                _ = ended.changed() => return,
                () = &mut stopped => ConsoleEvent::Stop,
                () = suspensions.next() => ConsoleEvent::Action(Action::Command(Command::Suspend)),
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

/// Asked from outside to stop, as by `kill -TSTP`: the terminal must be given back before. The key for
/// it is no signal, since the terminal is raw.
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

    /// Waits for the next one; for ever where none can come.
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

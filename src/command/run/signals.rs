//! The signals that stop the program.

use tokio::sync::watch;

use crate::command::CommandError;

/// The meaning of a hang-up (SIGHUP), decided when the run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) enum HangUp {
    /// Nothing: it was ignored when the run started, as `nohup` does.
    Ignored,
    /// The terminal is gone, and the run ends.
    Ends,
    /// The terminal is gone, and the run goes on: it serves clients.
    Outlived,
    /// There is no terminal: an operator or a service manager asks for a reload.
    Reloads,
}

impl HangUp {
    /// Returns the meaning for this process. `serves_alone`: the run serves clients and has no console. Call it
    /// before the handlers are installed.
    #[cfg(unix)]
    pub(in crate::command) fn at_start(serves_alone: bool) -> Self {
        use crate::machine::{has_controlling_terminal, ignores_hangup};
        match (ignores_hangup(), has_controlling_terminal()) {
            (true, _) => Self::Ignored,
            (false, false) => Self::Reloads,
            (false, true) if serves_alone => Self::Outlived,
            (false, true) => Self::Ends,
        }
    }

    /// Returns the meaning on a system without this signal.
    #[cfg(not(unix))]
    pub(in crate::command) fn at_start(_: bool) -> Self {
        Self::Ignored
    }
}

/// The signals so far: SIGINT, SIGTERM and, depending on [`HangUp`], SIGHUP stop the program (Ctrl-C on other
/// systems than Unix).
#[derive(Clone)]
pub(in crate::command) struct StopSignals {
    count: watch::Receiver<u32>,
    any: watch::Receiver<bool>,
    reloads: watch::Receiver<u32>,
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArrivedSignal {
    Stop,
    #[cfg(unix)]
    HangUp,
}

impl StopSignals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when no handler can be installed.
    pub(in crate::command) fn watch(hang_up: HangUp) -> Result<Self, CommandError> {
        let (count_sender, count) = watch::channel(0);
        let (any_sender, any) = watch::channel(false);
        let (reload_sender, reloads) = watch::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // the handlers are installed before this function returns, so that no early signal is lost
        let mut signals = runtime.block_on(async { SignalStream::new(hang_up) })?;
        std::thread::Builder::new().name("divvy-signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                while let Some(signal) = signals.next().await {
                    if signal == ArrivedSignal::Stop || hang_up == HangUp::Ends {
                        any_sender.send_replace(true);
                        count_sender.send_modify(|count| *count += 1);
                    } else if hang_up == HangUp::Reloads {
                        reload_sender.send_modify(|count| *count += 1);
                    } else {
                        tracing::info!("the terminal has hung up; the run goes on");
                    }
                }
            });
        })?;
        Ok(Self { count, any, reloads })
    }

    /// Returns the number of signals so far that ask for a reload.
    #[cfg(unix)]
    pub(super) fn reloads(&self) -> watch::Receiver<u32> {
        self.reloads.clone()
    }

    /// Returns a value that becomes true at the first signal.
    pub(in crate::command) fn any(&self) -> watch::Receiver<bool> {
        self.any.clone()
    }

    /// Returns a future that completes at the first signal.
    pub(super) fn first(&self) -> impl Future<Output = ()> + Send + 'static {
        self.after(0)
    }

    /// Returns a future that completes at the next signal after this call.
    pub(super) fn next(&self) -> impl Future<Output = ()> + Send + 'static {
        self.after(*self.count.borrow())
    }

    fn after(&self, seen: u32) -> impl Future<Output = ()> + Send + 'static {
        let mut count = self.count.clone();
        async move {
            // an error means that no signal can arrive any more
            if count.wait_for(|count| *count > seen).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(unix)]
struct SignalStream {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// `None` if hang-ups stay ignored.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl SignalStream {
    fn new(hang_up: HangUp) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let is_watched = hang_up != HangUp::Ignored;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: is_watched.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next signal; `None` if there can be none.
    async fn next(&mut self) -> Option<ArrivedSignal> {
        let Self { interrupt, terminate, hangup } = self;
        let hangup = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = interrupt.recv() => signal.map(|()| ArrivedSignal::Stop),
            signal = terminate.recv() => signal.map(|()| ArrivedSignal::Stop),
            signal = hangup => signal.map(|()| ArrivedSignal::HangUp),
        }
    }
}

#[cfg(not(unix))]
struct SignalStream;

#[cfg(not(unix))]
impl SignalStream {
    fn new(_: HangUp) -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next Ctrl-C; `None` without a handler: the system's default action ends the program.
    async fn next(&mut self) -> Option<ArrivedSignal> {
        tokio::signal::ctrl_c().await.ok().map(|()| ArrivedSignal::Stop)
    }
}

//! The signals that stop the program.

use tokio::sync::watch;

use crate::command::CommandError;

/// The stop signals so far: SIGINT, SIGTERM and SIGHUP (Ctrl-C on other systems than Unix).
#[derive(Clone)]
pub(super) struct StopSignals {
    count: watch::Receiver<u32>,
    any: watch::Receiver<bool>,
}

impl StopSignals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when no handler can be installed.
    pub(super) fn watch() -> Result<Self, CommandError> {
        let (count_sender, count) = watch::channel(0);
        let (any_sender, any) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // the handlers are installed before this function returns, so that no early signal is lost
        let mut signals = runtime.block_on(async { SignalStream::new() })?;
        std::thread::Builder::new().name("divvy-signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                while signals.next().await {
                    any_sender.send_replace(true);
                    count_sender.send_modify(|count| *count += 1);
                }
            });
        })?;
        Ok(Self { count, any })
    }

    /// Returns a value that becomes true at the first signal.
    pub(super) fn any(&self) -> watch::Receiver<bool> {
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
struct SignalStream([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl SignalStream {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self([interrupt, terminate, signal(SignalKind::hangup())?]))
    }

    /// Waits for the next signal; false if there can be none.
    async fn next(&mut self) -> bool {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            signal = interrupt.recv() => signal.is_some(),
            signal = terminate.recv() => signal.is_some(),
            signal = hangup.recv() => signal.is_some(),
        }
    }
}

#[cfg(not(unix))]
struct SignalStream;

#[cfg(not(unix))]
impl SignalStream {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next Ctrl-C; false without a handler: the system's default action ends the program.
    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}

//! The signals that end the program, as a value that turns true.

use tokio::sync::watch;

use crate::command::CommandError;

/// Turns true at SIGINT, SIGTERM or SIGHUP (elsewhere: at Ctrl-C).
///
/// # Errors
/// [`CommandError::Failed`] when no handler can be installed.
pub(super) fn stop() -> Result<watch::Receiver<bool>, CommandError> {
    let (sender, receiver) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Handlers are in place before this returns, so that an early signal is not lost.
    let waiting = runtime.block_on(async { first_signal() })?;
    std::thread::Builder::new().name("divvy-signals".to_owned()).spawn(move || {
        runtime.block_on(waiting);
        // Nobody waits any more when the program is ending already.
        let _ = sender.send(true);
    })?;
    Ok(receiver)
}

#[cfg(unix)]
fn first_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn first_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async move {
        // Without a handler the system's default ends the program, which is as good.
        let _ = tokio::signal::ctrl_c().await;
    })
}

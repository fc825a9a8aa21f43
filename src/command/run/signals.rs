//! The signals that stop the program.

use tokio::sync::watch;

use crate::command::CommandError;

/// Returns a value that becomes true at SIGINT, SIGTERM or SIGHUP (at Ctrl-C on other systems than
/// Unix).
///
/// # Errors
/// [`CommandError::Failed`] when no handler can be installed.
pub(super) fn watch_stop_signals() -> Result<watch::Receiver<bool>, CommandError> {
    let (sender, receiver) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // the handlers are installed before this function returns, so that no early signal is lost
    let signal = runtime.block_on(async { first_signal() })?;
    std::thread::Builder::new().name("divvy-signals".to_owned()).spawn(move || {
        runtime.block_on(signal);
        // the receiver is gone if the program is already ending
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
        // without a handler, the system's default action ends the program
        let _ = tokio::signal::ctrl_c().await;
    })
}

//! The thread that reloads a run after SIGHUP, and with `--watch` when its layout file has changed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::file_identity::{FileIdentity, FileWatch};
use super::reloader::Reloader;
use crate::command::run::live_layout::LayoutOrigin;
use crate::telemetry::Snapshot;

/// Time between two checks of the layout file.
const POLL: Duration = Duration::from_secs(1);

/// The events that the thread follows.
pub(in crate::command::run) struct ReloadTriggers {
    /// The number of signals that ask for a reload.
    pub signals: watch::Receiver<u32>,
    /// The saved layout from which the live one comes.
    pub origin: watch::Receiver<LayoutOrigin>,
    /// The snapshots; the thread ends with them.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// True if changes of the layout file are followed.
    pub watches: bool,
}

/// Starts the thread.
///
/// # Errors
/// When the system cannot start it.
pub(in crate::command::run) fn follow(
    reloader: Arc<Reloader>,
    triggers: ReloadTriggers,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut watched = WatchedFile::new(&reloader);
    std::thread::Builder::new().name("divvy-reload".to_owned()).spawn(move || {
        runtime.block_on(async {
            let ReloadTriggers { mut signals, mut origin, mut snapshots, watches } = triggers;
            let mut ticks = interval(POLL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut newest = None;
            loop {
                tokio::select! {
                    Ok(()) = signals.changed() => {
                        // the result is logged
                        let _ = reloader.reload();
                    }
                    Ok(()) = origin.changed() => reloader.note_origin(),
                    changed = snapshots.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let change = snapshots.borrow_and_update().newest_change();
                        if change != newest {
                            newest = change;
                            reloader.note_models();
                        }
                    }
                    _ = ticks.tick(), if watches => {
                        if watched.is_changed(&reloader) && reloader.has_new_text() {
                            let _ = reloader.reload();
                        }
                    }
                }
            }
        });
    })?;
    Ok(())
}

/// The layout file that is watched; another one once another layout is open.
struct WatchedFile {
    path: Option<std::path::PathBuf>,
    watch: FileWatch,
}

impl WatchedFile {
    fn new(reloader: &Reloader) -> Self {
        let path = reloader.file();
        // the first version counts as new, in case the file has changed since it was read
        Self { path, watch: FileWatch::default() }
    }

    fn is_changed(&mut self, reloader: &Reloader) -> bool {
        let path = reloader.file();
        if path != self.path {
            *self = Self::new(reloader);
        }
        let now = self.path.as_deref().and_then(FileIdentity::read);
        self.watch.is_changed(now)
    }
}

//! The thread that saves the live layout, so that a crash loses none of the user's changes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::lasting_rows::lasting;
use super::live_layout::{LayoutOrigin, LiveLayoutFiles, LiveLayoutInfo};
use super::named_layout::NamedLayout;
use super::run_limits::RunLimits;
use crate::layout::Document;
use crate::scheduler::Control;
use crate::telemetry::Conditions;

/// Time from a change until the layout is saved, so that a burst of changes is one save.
pub(super) const SAVE_DELAY: Duration = Duration::from_secs(2);

/// The name of the condition that is raised when a save fails.
const CONDITION: &str = "autosave";

/// The layout of a run at its start.
pub(super) struct AutosaveStart {
    /// The document of the layout.
    pub document: Document,
    /// The saved layout from which it comes, now and later.
    pub origin: watch::Receiver<LayoutOrigin>,
    /// The limits of the server.
    pub limits: Arc<RunLimits>,
    /// True if it was restored by `--last`.
    pub restored: bool,
    /// The files of the run's name, if it has one.
    pub named: Option<NamedLayout>,
    /// Time from a change until the layout is saved.
    pub delay: Duration,
}

/// The running thread "divvy-autosave".
pub(super) struct Autosave {
    pub(super) stop: watch::Sender<bool>,
    pub(super) thread: std::thread::JoinHandle<AutosaveWorker>,
}

/// The state of the autosave thread.
pub(super) struct AutosaveWorker {
    files: LiveLayoutFiles,
    named: Option<NamedLayout>,
    document: Document,
    origin: watch::Receiver<LayoutOrigin>,
    limits: Arc<RunLimits>,
    info: LiveLayoutInfo,
    conditions: Conditions,
}

impl Autosave {
    /// Saves the layout now, and then after each change. Returns `None` when another divvy saves its
    /// layout in the same folder.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn start(
        files: LiveLayoutFiles,
        start: AutosaveStart,
        control: Arc<dyn Control>,
        conditions: Conditions,
    ) -> io::Result<Option<Self>> {
        if !files.is_locked() {
            tracing::info!(
                "another divvy saves its layout in {}: the layout of this run is not autosaved",
                files.folder().display()
            );
            return Ok(None);
        }
        let AutosaveStart { document, origin, limits, restored, named, delay } = start;
        let mut info = LiveLayoutInfo::new(LayoutOrigin::default());
        // a restored layout may have changes that are not in its file
        info.changed = restored;
        let mut worker =
            AutosaveWorker { files, named, document, origin, limits, info, conditions };
        // read before the save: a change during the save is saved again
        let saved_change = newest_change(&*control);
        if worker.save(&*control) && restored {
            worker.files.remove_crashed();
        }
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread =
            std::thread::Builder::new().name("divvy-autosave".to_owned()).spawn(move || {
                runtime.block_on(worker.follow(&*control, saved_change, stopped, delay));
                worker
            })?;
        Ok(Some(Self { stop, thread }))
    }

    /// Saves the layout a last time and records that the run ended cleanly.
    pub(super) fn finish(self, control: &dyn Control) {
        self.stop.send_replace(true);
        // after a panic of the thread, which is already reported, the run counts as crashed
        let Ok(mut worker) = self.thread.join() else { return };
        worker.info.changed |= newest_change(control).is_some();
        worker.info.clean = true;
        if worker.save(control) && worker.info.changed {
            worker.files.remove_crashed();
        }
    }
}

impl AutosaveWorker {
    async fn follow(
        &mut self,
        control: &dyn Control,
        mut saved_change: Option<u64>,
        mut stopped: watch::Receiver<bool>,
        delay: Duration,
    ) {
        let mut snapshots = control.snapshots();
        snapshots.mark_changed();
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                changed = snapshots.changed() => if changed.is_err() { return },
                // without a console the sender is gone
                Ok(()) = self.origin.changed() => {}
            }
            snapshots.mark_unchanged();
            if newest_change(control) == saved_change && *self.origin.borrow() == self.info.origin {
                continue;
            }
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                () = tokio::time::sleep(delay) => {}
            }
            let before = std::mem::replace(&mut saved_change, newest_change(control));
            self.info.changed |= saved_change != before;
            self.save(control);
        }
    }

    /// Saves the layout; returns false and raises the condition when that fails.
    fn save(&mut self, control: &dyn Control) -> bool {
        self.info.origin.clone_from(&self.origin.borrow());
        let limits = self.limits.of_layout();
        let document = self.document.with_server(&limits).map_err(|error| error.to_string());
        // a later run must not take another process that has the number by then
        let layout = lasting(&control.layout());
        let saved = document.and_then(|document| {
            self.files.save(&document, &layout, &self.info)?;
            let named = self.named.as_mut();
            named.map_or(Ok(()), |named| named.save(&document, &layout, &self.info.origin))
        });
        match saved {
            Ok(()) => {
                self.conditions.clear(CONDITION);
                true
            }
            Err(reason) => {
                let message = format!("the live layout is not saved: {reason}");
                tracing::warn!("{message}");
                self.conditions.raise(CONDITION, message);
                false
            }
        }
    }
}

/// Returns the number of the newest change in the current snapshot.
fn newest_change(control: &dyn Control) -> Option<u64> {
    control.snapshots().borrow().newest_change()
}

//! Keeps the live layout in the state folder, so that a crash loses none of the operator's changes:
//! `live.toml` is the layout of the run that goes on or went last, `live.json` where it came from and
//! whether that run ended cleanly. After a crash the two are set aside as `crashed.*` until they are
//! loaded with `--last`, or a later run that was changed ends cleanly.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::sources::Wanted;
use crate::command::{CommandError, state_folder};
use crate::layout::{Document, Layout};
use crate::scheduler::Control;
use crate::telemetry::Conditions;

/// From a change until the layout is saved, so that a burst is one save.
const DELAY: Duration = Duration::from_secs(2);

/// The name under which it raises its condition.
const PART: &str = "autosave";

/// How a layout is called that is saved nowhere.
pub(super) const UNNAMED: &str = "unnamed";

/// Which saved layout the live one is, changed or not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// Its file, absolute, where it has one.
    from: Option<PathBuf>,
    /// How the screen calls it.
    title: String,
}

impl Origin {
    /// The layout of this name, in this file.
    pub(super) fn new(title: String, from: Option<PathBuf>) -> Self {
        // a later run may begin in another folder
        let from = from.map(|path| std::path::absolute(&path).unwrap_or(path));
        Self { from, title }
    }
}

/// What is known of a kept layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    /// Which saved layout it is.
    #[serde(flatten)]
    origin: Origin,
    /// Whether the operator changed it.
    changed: bool,
    /// Whether its run ended as it should.
    clean: bool,
}

/// The layouts that are kept in a state folder.
pub(super) struct Kept {
    folder: PathBuf,
    /// Held while this run is the one that keeps its layout there; the system gives it back when the
    /// process ends in whatever way.
    lock: Option<File>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // by word, since closing is not enough: a process that is just being started still has the file
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

impl Kept {
    /// Looks into the folder (made where it is not there); sets a layout aside that a crash has left.
    ///
    /// # Errors
    /// When the folder cannot be made or written, in a sentence.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        state_folder::make(folder)?;
        let told = |error: io::Error| format!("{}: {error}", folder.display());
        let lock = File::create(folder.join("live.lock")).map_err(told)?;
        // Another divvy that runs has it: that one keeps its layout, this one does not.
        let lock = lock.try_lock().is_ok().then_some(lock);
        let kept = Self { folder: folder.to_path_buf(), lock };
        if kept.lock.is_some() {
            kept.set_aside().map_err(told)?;
        }
        Ok(kept)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn mark(&self, name: &str) -> Option<Mark> {
        let bytes = fs::read(self.path(&format!("{name}.json"))).ok()?;
        let there = self.path(&format!("{name}.toml")).is_file();
        serde_json::from_slice(&bytes).ok().filter(|_| there)
    }

    fn set_aside(&self) -> io::Result<()> {
        let Some(live) = self.mark("live").filter(|mark| !mark.clean) else { return Ok(()) };
        // A run that only looked, after the crash that is offered, has nothing to offer itself.
        if live.changed || self.mark("crashed").is_none() {
            fs::rename(self.path("live.toml"), self.path("crashed.toml"))?;
            fs::rename(self.path("live.json"), self.path("crashed.json"))?;
        }
        Ok(())
    }

    /// What to tell the operator when a crash has left a layout.
    pub(super) fn offer(&self) -> Option<String> {
        let mark = self.mark("crashed")?;
        Some(format!(
            "the last run of {} did not end cleanly; its layout was kept: `divvy --last` loads it",
            mark.origin.title
        ))
    }

    /// What to tell besides, where `path`, which takes what is written to standard error, was written
    /// since that layout was kept.
    pub(super) fn last_words(&self, path: &Path) -> Option<String> {
        let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        let there = fs::metadata(path).is_ok_and(|found| found.len() > 0);
        (there && modified(path)? >= modified(&self.path("crashed.toml"))?)
            .then(|| format!("what native libraries wrote since then is in {}", path.display()))
    }

    /// The layout for `--last`: the one that a crash has left, else that of the last run.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] when none is kept, or the kept one has faults by now.
    pub(super) fn last(&self) -> Result<Wanted, CommandError> {
        let found = ["crashed", "live"].into_iter().find_map(|name| Some((name, self.mark(name)?)));
        let Some((name, mark)) = found else {
            return Err(CommandError::BadInput(format!(
                "--last: no layout is kept in {}",
                self.folder.display()
            )));
        };
        let document = Layout::read(&self.path(&format!("{name}.toml")))
            .map_err(|faults| CommandError::BadInput(faults.to_string()))?;
        let Origin { from, title } = mark.origin;
        Ok(Wanted { document, path: from, title })
    }

    fn save(&self, document: &Document, layout: &Layout, mark: &Mark) -> Result<(), String> {
        document.save(layout, &self.path("live.toml")).map_err(|error| error.to_string())?;
        let path = self.path("live.json");
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer(&mut file, mark)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(&path).map(drop).map_err(|error| error.error)
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    fn forget_crashed(&self) {
        for name in ["crashed.json", "crashed.toml"] {
            // it is not there, usually
            let _ = fs::remove_file(self.path(name));
        }
    }
}

/// What a run begins with, for the keeper.
pub(super) struct Begin {
    /// The document of its layout.
    pub document: Document,
    /// Which saved layout it is, then and later.
    pub origin: watch::Receiver<Origin>,
    /// Whether it is the one that [`Kept::last`] gave.
    pub restored: bool,
}

/// The thread that keeps the live layout, "divvy-autosave".
pub(super) struct Autosave {
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<Keeper>,
}

struct Keeper {
    kept: Kept,
    document: Document,
    origin: watch::Receiver<Origin>,
    mark: Mark,
    conditions: Conditions,
}

impl Autosave {
    /// Saves the layout as it is, and then some seconds after each change. `None` when another divvy
    /// keeps its layout in this folder.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub(super) fn start(
        kept: Kept,
        begin: Begin,
        control: Arc<dyn Control>,
        conditions: Conditions,
    ) -> io::Result<Option<Self>> {
        Self::start_with(kept, begin, control, conditions, DELAY)
    }

    fn start_with(
        kept: Kept,
        begin: Begin,
        control: Arc<dyn Control>,
        conditions: Conditions,
        delay: Duration,
    ) -> io::Result<Option<Self>> {
        if kept.lock.is_none() {
            tracing::info!(
                "another divvy keeps its layout in {}: this one is not autosaved",
                kept.folder.display()
            );
            return Ok(None);
        }
        let Begin { document, origin, restored } = begin;
        let mark = Mark { origin: Origin::default(), changed: restored, clean: false };
        let mut keeper = Keeper { kept, document, origin, mark, conditions };
        // asked first: a change during the save is saved again
        let known = newest(&*control);
        if keeper.save(&*control) && restored {
            keeper.kept.forget_crashed();
        }
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread =
            std::thread::Builder::new().name("divvy-autosave".to_owned()).spawn(move || {
                runtime.block_on(keeper.follow(&*control, known, stopped, delay));
                keeper
            })?;
        Ok(Some(Self { stop, thread }))
    }

    /// Saves the layout a last time and notes that the run ended as it should.
    pub(super) fn finish(self, control: &dyn Control) {
        self.stop.send_replace(true);
        // a panic of it has been told already, and leaves the mark of a crash
        let Ok(mut keeper) = self.thread.join() else { return };
        keeper.look(control);
        keeper.mark.clean = true;
        if keeper.save(control) && keeper.mark.changed {
            keeper.kept.forget_crashed();
        }
    }
}

impl Keeper {
    async fn follow(
        &mut self,
        control: &dyn Control,
        mut known: Option<u64>,
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
                // without a console nobody tells of another one
                Ok(()) = self.origin.changed() => {}
            }
            snapshots.mark_unchanged();
            let now = newest(control);
            if now == known && *self.origin.borrow() == self.mark.origin {
                continue;
            }
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                () = tokio::time::sleep(delay) => {}
            }
            let before = std::mem::replace(&mut known, newest(control));
            self.mark.changed |= known != before;
            self.save(control);
        }
    }

    /// Notes whether there was a change since the last save.
    fn look(&mut self, control: &dyn Control) {
        self.mark.changed |= newest(control).is_some();
    }

    fn save(&mut self, control: &dyn Control) -> bool {
        self.mark.origin.clone_from(&self.origin.borrow());
        match self.kept.save(&self.document, &control.layout(), &self.mark) {
            Ok(()) => {
                self.conditions.clear(PART);
                true
            }
            Err(reason) => {
                let sentence = format!("the live layout is not kept: {reason}");
                tracing::warn!("{sentence}");
                self.conditions.raise(PART, sentence);
                false
            }
        }
    }
}

/// The number of the newest change that a snapshot shows.
fn newest(control: &dyn Control) -> Option<u64> {
    control.snapshots().borrow().newest_change()
}

#[cfg(test)]
#[path = "autosave_tests.rs"]
mod tests;

//! The live layout is offered after a crash, and not after a clean end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::command::run::autosave::{Autosave, AutosaveStart};
use crate::command::run::live_layout::{LayoutOrigin, LiveLayoutFiles};
use crate::command::run::run_limits::RunLimits;
use crate::layout::{Change, CoreRequest, FileCheck, Layout, Plan, Refusal, ServerKeys, demo};
use crate::scheduler::{ChangeRequest, Control};
use crate::telemetry::{Applied, Conditions, JournalEntry, Snapshot};

/// A run whose layout the test sets.
struct ScriptedControl {
    layout: std::sync::Mutex<Layout>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl ScriptedControl {
    fn new() -> Arc<Self> {
        let layout = demo().unwrap().layout().clone().into();
        Arc::new(Self { layout, snapshots: watch::channel(Arc::default()).0 })
    }

    /// Changes the cores of the first model.
    fn set_cores(&self, cores: usize) {
        self.layout.lock().unwrap().models[0].cores = CoreRequest::Count(cores);
        let entry = JournalEntry { id: cores as u64, ..JournalEntry::default() };
        let snapshot = Snapshot { changes: vec![entry.into()], ..Snapshot::default() };
        self.snapshots.send_replace(Arc::new(snapshot));
    }
}

impl Control for ScriptedControl {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }
    fn plan(&self, _: &Change) -> Result<Plan, Refusal> {
        Err(Refusal::whole("scripted"))
    }
    fn request(&self, _: ChangeRequest) -> Result<Applied, Refusal> {
        Err(Refusal::whole("scripted"))
    }
    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        Vec::new()
    }
    fn layout(&self) -> Layout {
        self.layout.lock().unwrap().clone()
    }
}

fn start_options(restored: bool) -> AutosaveStart {
    let from = Some(PathBuf::from("/layouts/demo.toml"));
    // no sender, as in a run without a console
    let (_, origin) = watch::channel(LayoutOrigin::new("demo".to_owned(), from));
    let delay = Duration::from_millis(1);
    let limits = Arc::new(RunLimits::new(Conditions::default()));
    AutosaveStart { document: demo().unwrap(), origin, limits, restored, named: None, delay }
}

fn start(folder: &Path, control: &Arc<ScriptedControl>, restored: bool) -> Autosave {
    let files = LiveLayoutFiles::open(folder).unwrap();
    Autosave::start(files, start_options(restored), control.clone(), Conditions::default())
        .unwrap()
        .unwrap()
}

/// Stops the thread and releases the lock, as the end of the process does, without a clean end.
fn crash(autosave: Autosave) {
    autosave.stop.send_replace(true);
    drop(autosave.thread.join().unwrap());
}

fn saved_cores(folder: &Path) -> CoreRequest {
    let files = LiveLayoutFiles::without_lock(folder);
    let layout = files.last().map_err(|error| error.to_string()).unwrap();
    assert_eq!(layout.path, Some(PathBuf::from("/layouts/demo.toml")));
    layout.document.layout().models[0].cores
}

fn wait_for_save(folder: &Path, count: usize) {
    let end = Instant::now() + Duration::from_secs(30);
    while !Layout::read(&folder.join("live.toml"), FileCheck::Skipped)
        .is_ok_and(|found| found.layout().models[0].cores == CoreRequest::Count(count))
    {
        assert!(Instant::now() < end, "the layout was not saved");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn crash_offers_changed_layout_until_clean_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let control = ScriptedControl::new();
    let autosave = start(path, &control, false);
    control.set_cores(7);
    wait_for_save(path, 7);
    crash(autosave);
    let files = LiveLayoutFiles::open(path).unwrap();
    assert!(files.offer().unwrap().contains("divvy --last"));
    assert_eq!(saved_cores(path), CoreRequest::Count(7));
    drop(files);
    // restored: a clean end removes the offer
    let control = ScriptedControl::new();
    control.set_cores(7);
    let autosave = start(path, &control, true);
    autosave.finish(&*control);
    assert_eq!(LiveLayoutFiles::open(path).unwrap().offer(), None);
    assert_eq!(saved_cores(path), CoreRequest::Count(7));
}

#[test]
fn crashed_layout_keeps_its_latest_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let control = ScriptedControl::new();
    let (sender, origin) = watch::channel(LayoutOrigin::new("one".to_owned(), None));
    let options = AutosaveStart { origin, ..start_options(false) };
    let files = LiveLayoutFiles::open(path).unwrap();
    let autosave = Autosave::start(files, options, control.clone(), Conditions::default());
    let autosave = autosave.unwrap().unwrap();
    let until = |title: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        let files = LiveLayoutFiles::without_lock(path);
        while files.info("live").is_none_or(|info| info.origin.title != title) {
            assert!(Instant::now() < end, "{title} was not saved");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    // saved under another name: no row changes
    until("one");
    sender.send_replace(LayoutOrigin::new("copy".to_owned(), Some("/layouts/copy.toml".into())));
    until("copy");
    // loaded: the rows change too
    sender.send_replace(LayoutOrigin::new("two".to_owned(), Some("/layouts/two.toml".into())));
    control.set_cores(7);
    wait_for_save(path, 7);
    until("two");
    crash(autosave);
    let files = LiveLayoutFiles::open(path).unwrap();
    let offer = files.offer().unwrap();
    assert!(offer.contains("the last run of two"), "{offer}");
    let layout = files.last().map_err(|error| error.to_string()).unwrap();
    assert_eq!(layout.path, Some(PathBuf::from("/layouts/two.toml")));
    assert_eq!(layout.title, "two");
}

#[test]
fn runs_without_changes_keep_the_offer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let control = ScriptedControl::new();
    let autosave = start(path, &control, false);
    control.set_cores(7);
    wait_for_save(path, 7);
    crash(autosave);
    let unchanged = ScriptedControl::new();
    start(path, &unchanged, false).finish(&*unchanged);
    assert_eq!(saved_cores(path), CoreRequest::Count(7));
    crash(start(path, &unchanged, false));
    assert!(LiveLayoutFiles::open(path).unwrap().offer().is_some());
    assert_eq!(saved_cores(path), CoreRequest::Count(7));
    // a clean end after a change replaces the crashed layout
    let control = ScriptedControl::new();
    let autosave = start(path, &control, false);
    control.set_cores(5);
    autosave.finish(&*control);
    assert_eq!(LiveLayoutFiles::open(path).unwrap().offer(), None);
    assert_eq!(saved_cores(path), CoreRequest::Count(5));
}

#[test]
fn running_divvy_has_not_crashed() {
    let folder = tempfile::tempdir().unwrap();
    let control = ScriptedControl::new();
    let first = start(folder.path(), &control, false);
    let files = LiveLayoutFiles::open(folder.path()).unwrap();
    assert_eq!(files.offer(), None);
    first.finish(&*control);
}

#[test]
fn run_without_a_lock_does_not_save() {
    let folder = tempfile::tempdir().unwrap();
    let control = ScriptedControl::new();
    let files = LiveLayoutFiles::without_lock(folder.path());
    let autosave =
        Autosave::start(files, start_options(false), control.clone(), Conditions::default());
    assert!(autosave.unwrap().is_none());
    assert!(!folder.path().join("live.toml").exists());
}

#[test]
fn last_without_earlier_run_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let Err(error) = LiveLayoutFiles::open(folder.path()).unwrap().last() else {
        panic!("found one")
    };
    assert!(error.to_string().contains("no run has left a layout"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn runs_at_the_same_time_keep_own_layouts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let runs: Vec<_> = [5, 6]
        .map(|cores| {
            let control = ScriptedControl::new();
            control.set_cores(cores);
            (start(path, &control, false), control)
        })
        .into();
    let second = LiveLayoutFiles::open(path).unwrap();
    assert!(second.notices()[0].contains("live-3.toml"), "{:?}", second.notices());
    drop(second);
    for (autosave, control) in runs {
        control.set_cores(8);
        crash(autosave);
    }
    let files = LiveLayoutFiles::open(path).unwrap();
    assert!(files.notices().is_empty(), "{:?}", files.notices());
    assert!(files.offer().unwrap().contains("2 runs"), "{:?}", files.offer());
    files.remove_crashed();
    assert!(files.offer().unwrap().contains("the last run of demo"), "{:?}", files.offer());
    files.remove_crashed();
    assert_eq!(files.offer(), None);
}

#[test]
fn run_that_removed_its_models_ends_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let control = ScriptedControl::new();
    let autosave = start(folder.path(), &control, false);
    control.set_cores(7);
    control.layout.lock().unwrap().models.clear();
    autosave.finish(&*control);
    let files = LiveLayoutFiles::open(folder.path()).unwrap();
    assert_eq!(files.offer(), None);
    assert!(files.last().is_ok(), "the layout before the removal");
}

#[test]
fn live_layout_has_the_limits_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let control = ScriptedControl::new();
    let options = start_options(false);
    let limits = ServerKeys { max_connections: Some(9), ..ServerKeys::default() };
    options.limits.switch("another", &limits);
    let files = LiveLayoutFiles::open(folder.path()).unwrap();
    let autosave = Autosave::start(files, options, control.clone(), Conditions::default());
    autosave.unwrap().unwrap().finish(&*control);
    let last = LiveLayoutFiles::without_lock(folder.path()).last();
    let last = last.map_err(|error| error.to_string()).unwrap();
    assert_eq!(last.document.server(), &limits);
}

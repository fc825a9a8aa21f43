//! The live layout outlives a crash, and a clean end leaves nothing to offer.

use std::time::Instant;

use super::*;
use crate::layout::{Change, CoreRequest, Plan, Refusal, demo};
use crate::telemetry::{Applied, Author, Entry, Snapshot};

/// A run whose layout is what the test says.
struct Scripted {
    layout: std::sync::Mutex<Layout>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl Scripted {
    fn new() -> Arc<Self> {
        let layout = demo().unwrap().layout().clone().into();
        Arc::new(Self { layout, snapshots: watch::channel(Arc::default()).0 })
    }

    /// The first model gets this many cores.
    fn change(&self, cores: usize) {
        self.layout.lock().unwrap().models[0].cores = CoreRequest::Count(cores);
        let entry = Entry {
            id: cores as u64,
            at_unix_ms: 0,
            uptime_us: 0,
            author: Author::Console,
            change: Change { edits: Vec::new() },
            summary: String::new(),
            warnings: Vec::new(),
            models: Vec::new(),
            force_us: 0,
            undone: false,
            undoes: None,
            redoes: None,
            verdicts: Vec::new(),
        };
        let snapshot = Snapshot { changes: vec![entry], ..Snapshot::default() };
        self.snapshots.send_replace(Arc::new(snapshot));
    }
}

impl Control for Scripted {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }
    fn plan(&self, _: &Change) -> Result<Plan, Refusal> {
        Err(Refusal::whole("scripted"))
    }
    fn apply(&self, _: Change, _: Author) -> Result<Applied, Refusal> {
        Err(Refusal::whole("scripted"))
    }
    fn undo(&self, _: Author) -> Result<Applied, Refusal> {
        Err(Refusal::whole("scripted"))
    }
    fn redo(&self, _: Author) -> Result<Applied, Refusal> {
        Err(Refusal::whole("scripted"))
    }
    fn journal(&self) -> Vec<Entry> {
        Vec::new()
    }
    fn layout(&self) -> Layout {
        self.layout.lock().unwrap().clone()
    }
}

fn begin(restored: bool) -> Begin {
    let from = Some(PathBuf::from("/layouts/demo.toml"));
    // the sender goes: nobody tells of another layout, as without a console
    let (_, origin) = watch::channel(Origin::new("demo".to_owned(), from));
    Begin { document: demo().unwrap(), origin, restored }
}

fn start(folder: &Path, control: &Arc<Scripted>, restored: bool) -> Autosave {
    let kept = Kept::open(folder).unwrap();
    let delay = Duration::from_millis(1);
    Autosave::start_with(kept, begin(restored), control.clone(), Conditions::default(), delay)
        .unwrap()
        .unwrap()
}

/// Ends the thread and lets the lock go, as the end of the process does, without a clean mark.
fn crash(autosave: Autosave) {
    autosave.stop.send_replace(true);
    drop(autosave.thread.join().unwrap());
}

fn cores(folder: &Path) -> CoreRequest {
    let kept = Kept { folder: folder.to_path_buf(), lock: None };
    let wanted = kept.last().map_err(|error| error.to_string()).unwrap();
    assert_eq!(wanted.path, Some(PathBuf::from("/layouts/demo.toml")));
    wanted.document.layout().models[0].cores
}

fn until_kept(folder: &Path, count: usize) {
    let end = Instant::now() + Duration::from_secs(30);
    while !Layout::read(&folder.join("live.toml"))
        .is_ok_and(|found| found.layout().models[0].cores == CoreRequest::Count(count))
    {
        assert!(Instant::now() < end, "the layout was not kept");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_crash_leaves_the_changed_layout_and_a_clean_end_does_not_offer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let control = Scripted::new();
    let autosave = start(path, &control, false);
    control.change(7);
    until_kept(path, 7);
    crash(autosave);
    let kept = Kept::open(path).unwrap();
    assert!(kept.offer().unwrap().contains("divvy --last"));
    assert_eq!(cores(path), CoreRequest::Count(7));
    drop(kept);
    // taken: it is this run's layout now, and a clean end takes the offer away
    let control = Scripted::new();
    control.change(7);
    let autosave = start(path, &control, true);
    autosave.finish(&*control);
    assert_eq!(Kept::open(path).unwrap().offer(), None);
    assert_eq!(cores(path), CoreRequest::Count(7));
}

#[test]
fn a_crash_leaves_the_layout_under_the_name_and_the_file_that_it_had_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let control = Scripted::new();
    let (sender, origin) = watch::channel(Origin::new("one".to_owned(), None));
    let begin = Begin { document: demo().unwrap(), origin, restored: false };
    let (kept, delay) = (Kept::open(path).unwrap(), Duration::from_millis(1));
    let autosave = Autosave::start_with(kept, begin, control.clone(), Conditions::default(), delay);
    let autosave = autosave.unwrap().unwrap();
    let until = |title: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        let look = Kept { folder: path.to_path_buf(), lock: None };
        while look.mark("live").is_none_or(|mark| mark.origin.title != title) {
            assert!(Instant::now() < end, "{title} was not kept");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    // saved under another name: no row changes
    until("one");
    sender.send_replace(Origin::new("copy".to_owned(), Some("/layouts/copy.toml".into())));
    until("copy");
    // loaded: the rows change too
    sender.send_replace(Origin::new("two".to_owned(), Some("/layouts/two.toml".into())));
    control.change(7);
    until_kept(path, 7);
    until("two");
    crash(autosave);
    let kept = Kept::open(path).unwrap();
    let offer = kept.offer().unwrap();
    assert!(offer.contains("the last run of two"), "{offer}");
    let wanted = kept.last().map_err(|error| error.to_string()).unwrap();
    assert_eq!(wanted.path, Some(PathBuf::from("/layouts/two.toml")));
    assert_eq!(wanted.title, "two");
}

#[test]
fn the_offer_outlives_runs_that_changed_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let control = Scripted::new();
    let autosave = start(path, &control, false);
    control.change(7);
    until_kept(path, 7);
    crash(autosave);
    let looking = Scripted::new();
    start(path, &looking, false).finish(&*looking);
    assert_eq!(cores(path), CoreRequest::Count(7));
    crash(start(path, &looking, false));
    assert!(Kept::open(path).unwrap().offer().is_some());
    assert_eq!(cores(path), CoreRequest::Count(7));
    // work of its own, ended well, is what the operator wants from then on
    let control = Scripted::new();
    let autosave = start(path, &control, false);
    control.change(5);
    autosave.finish(&*control);
    assert_eq!(Kept::open(path).unwrap().offer(), None);
    assert_eq!(cores(path), CoreRequest::Count(5));
}

#[test]
fn two_at_once_do_not_write_over_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let control = Scripted::new();
    let first = start(folder.path(), &control, false);
    let kept = Kept::open(folder.path()).unwrap();
    // the run that goes on is no crash
    assert_eq!(kept.offer(), None);
    let second =
        Autosave::start(kept, begin(false), control.clone(), Conditions::default()).unwrap();
    assert!(second.is_none());
    first.finish(&*control);
}

#[test]
fn without_a_kept_layout_last_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let Err(error) = Kept::open(folder.path()).unwrap().last() else { panic!("found one") };
    assert!(error.to_string().contains("no layout is kept"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

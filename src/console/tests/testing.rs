//! A test scheduler without pools: holds a desired state, applies changes and records requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::watch;

use super::fixtures;
use super::remote_ends::{self, Connect, RemoteEnds};
use crate::console::input::input_queue::{InputEvent, InputQueue};
use crate::console::input::pointer;
use crate::console::known_layouts::KnownLayouts;
use crate::console::state::{Action, ConsoleState, Effect, HitMap, Target, update};
use crate::console::worker::{self, WorkerContext};
use crate::console::{ConsoleOptions, view};
use crate::layout::{Change, DesiredState, Layout, Plan, Refusal};
use crate::machine::Description;
use crate::scheduler::{
    ChangeOperation, ChangeRequest, Control, CurrentLayout, LayoutRevision, LayoutStore,
    LayoutStoreError, Profile, RequestRecordings, SaveCondition, SaveReceipt, SavedLayout,
};
use crate::telemetry::{
    Applied, ChangeStages, ChangeStatus, JournalEntry, LogLines, Snapshot, StateVersion,
};

struct Inner {
    desired: DesiredState,
    /// The states before each change, with its number.
    before: Vec<(u64, DesiredState)>,
    undone: Vec<(u64, DesiredState)>,
    entries: u64,
    changes: Vec<Change>,
}

pub(super) struct FakeControl {
    machine: Description,
    inner: Mutex<Inner>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// True if a request for the layout panics.
    pub panics: bool,
    /// The time that a request takes.
    pub delay: Duration,
    /// True if states have versions, which tell a remote control that a snapshot is newer.
    pub has_versions: bool,
}

impl FakeControl {
    pub(super) fn new(layout: &Layout, machine: Description) -> Self {
        let desired = DesiredState::resolve(layout, &machine).unwrap();
        let first = Arc::new(fixtures::snapshot(&desired, &machine));
        let (before, undone, changes) = Default::default();
        let inner = Inner { desired, before, undone, entries: 0, changes };
        Self {
            machine,
            inner: Mutex::new(inner),
            snapshots: watch::channel(first).0,
            panics: false,
            delay: Duration::ZERO,
            has_versions: false,
        }
    }

    /// Returns the applied changes.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.inner.lock().unwrap().changes.clone()
    }

    /// Returns the number of changes that undo can revert.
    pub(super) fn undoable(&self) -> usize {
        self.inner.lock().unwrap().before.len()
    }

    pub(super) fn desired(&self) -> DesiredState {
        self.inner.lock().unwrap().desired.clone()
    }

    fn go(&self, inner: &mut Inner, plan: Plan, of: Option<u64>) -> Applied {
        inner.desired = plan.after.clone();
        let mut snapshot = fixtures::snapshot(&inner.desired, &self.machine);
        inner.entries += 1;
        let version = StateVersion(if self.has_versions { inner.entries } else { 0 });
        snapshot.state_version = version;
        self.snapshots.send_replace(Arc::new(snapshot));
        Applied {
            id: inner.entries,
            of,
            plan,
            force_us: 41,
            differences: Vec::new(),
            stages: ChangeStages::default(),
            version,
            status: ChangeStatus::InForce,
        }
    }
}

impl Control for FakeControl {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    fn plan(&self, change: &Change) -> Result<Plan, Refusal> {
        self.inner.lock().unwrap().desired.plan(change, &self.machine)
    }

    fn request(&self, request: ChangeRequest) -> Result<Applied, Refusal> {
        std::thread::sleep(self.delay);
        let mut inner = self.inner.lock().unwrap();
        let now = inner.desired.clone();
        let (plan, of) = match request.operation {
            ChangeOperation::Apply(change) => {
                let plan = now.plan(&change, &self.machine)?;
                let before = (inner.entries + 1, now);
                inner.before.push(before);
                inner.undone.clear();
                inner.changes.push(change);
                (plan, None)
            }
            ChangeOperation::UndoChange(id)
                if let Some((newest, _)) = inner.before.last()
                    && *newest != id =>
            {
                let text = format!("a later change touched this row, so change {id} stays");
                return Err(Refusal::whole(text).naming_change(*newest));
            }
            ChangeOperation::Undo | ChangeOperation::UndoChange(_) => {
                let nothing = || Refusal::whole("nothing to undo");
                let (of, before) = inner.before.pop().ok_or_else(nothing)?;
                let back = now.undo(&before, &now, &self.machine)?;
                let plan = now.plan_to(back, &self.machine);
                inner.undone.push((of, now));
                (plan, Some(of))
            }
            ChangeOperation::Redo => {
                let nothing = || Refusal::whole("nothing to redo");
                let (of, after) = inner.undone.pop().ok_or_else(nothing)?;
                let again = now.undo(&after, &now, &self.machine)?;
                let plan = now.plan_to(again, &self.machine);
                inner.before.push((of, now));
                (plan, Some(of))
            }
        };
        Ok(self.go(&mut inner, plan, of))
    }

    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        Vec::new()
    }

    fn layout(&self) -> Layout {
        assert!(!self.panics, "a planted panic");
        self.desired().layout()
    }
}

/// Saved layouts in memory.
#[derive(Default)]
pub(super) struct FakeLayoutStore {
    saved: Mutex<Vec<(String, Layout)>>,
    told: Mutex<Vec<Option<String>>>,
}

fn revision(layout: &Layout) -> LayoutRevision {
    LayoutRevision::of(&format!("{layout:?}"))
}

impl FakeLayoutStore {
    /// The layouts reported as live, in order.
    pub(super) fn told(&self) -> Vec<Option<String>> {
        self.told.lock().unwrap().clone()
    }

    fn at(saved: &[(String, Layout)], name: &str) -> Result<usize, LayoutStoreError> {
        let place = saved.iter().position(|(other, _)| other == name);
        let (name, place_name) = (name.to_owned(), "/layouts".to_owned());
        place.ok_or(LayoutStoreError::Missing { name, place: place_name })
    }

    /// Returns all saved layouts by name.
    pub(super) fn all(&self) -> Vec<(String, Layout)> {
        self.saved.lock().unwrap().clone()
    }

    /// Returns a saved layout.
    pub(super) fn load(&self, name: &str) -> Result<Layout, LayoutStoreError> {
        self.read(name).map(|saved| saved.layout)
    }

    /// Saves a layout as another program does.
    pub(super) fn put(&self, name: &str, layout: &Layout) {
        self.save(name, layout, &SaveCondition::Always).unwrap();
    }
}

impl LayoutStore for FakeLayoutStore {
    fn list(&self) -> Result<Vec<Profile>, LayoutStoreError> {
        let saved = self.saved.lock().unwrap();
        Ok(saved
            .iter()
            .map(|(name, layout)| Profile {
                name: name.clone(),
                place: format!("/layouts/{name}.toml"),
                description: layout.description.clone(),
                read_only: name == "demo",
            })
            .collect())
    }

    fn read(&self, name: &str) -> Result<SavedLayout, LayoutStoreError> {
        let saved = self.saved.lock().unwrap();
        let layout = saved[Self::at(&saved, name)?].1.clone();
        Ok(SavedLayout { revision: revision(&layout), read_only: name == "demo", layout })
    }

    fn save(
        &self,
        name: &str,
        layout: &Layout,
        condition: &SaveCondition,
    ) -> Result<SaveReceipt, LayoutStoreError> {
        match (condition, self.read(name)) {
            (SaveCondition::Unchanged(known), Ok(saved)) if saved.revision != *known => {
                return Err(LayoutStoreError::Changed(name.to_owned()));
            }
            (SaveCondition::New, Ok(_)) => {
                return Err(LayoutStoreError::NameTaken(name.to_owned()));
            }
            _ => {}
        }
        let mut saved = self.saved.lock().unwrap();
        saved.retain(|(other, _)| other != name);
        saved.push((name.to_owned(), layout.clone()));
        Ok(SaveReceipt { place: format!("/layouts/{name}.toml"), revision: revision(layout) })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LayoutStoreError> {
        let mut saved = self.saved.lock().unwrap();
        let at = Self::at(&saved, from)?;
        if Self::at(&saved, to).is_ok() {
            return Err(LayoutStoreError::NameTaken(to.to_owned()));
        }
        to.clone_into(&mut saved[at].0);
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), LayoutStoreError> {
        let mut saved = self.saved.lock().unwrap();
        let at = Self::at(&saved, name)?;
        saved.remove(at);
        Ok(())
    }

    fn set_current(&self, name: Option<&str>, _: Option<LayoutRevision>) {
        self.told.lock().unwrap().push(name.map(str::to_owned));
    }

    fn current(&self) -> Option<CurrentLayout> {
        let name = self.told().pop()?;
        Some(CurrentLayout { name, revision: None })
    }
}

/// A console without a terminal. Performs effects at once.
pub(super) struct TestConsole {
    pub control: Arc<FakeControl>,
    pub profiles: Arc<FakeLayoutStore>,
    remote: Option<RemoteEnds>,
    known: KnownLayouts,
    pub log: LogLines,
    pub state: ConsoleState,
    pub hits: HitMap,
    pub frame: Buffer,
    /// Effects that the event loop itself would perform.
    pub left: Vec<Effect>,
}

impl TestConsole {
    pub(super) fn new(width: u16, height: u16) -> Self {
        Self::with(&fixtures::layout(), fixtures::machine(8, 4), width, height)
    }

    pub(super) fn with(layout: &Layout, machine: Description, width: u16, height: u16) -> Self {
        let mut control = FakeControl::new(layout, machine.clone());
        control.has_versions = remote_ends::connect().is_some();
        let (control, profiles) = (Arc::new(control), Arc::<FakeLayoutStore>::default());
        let connect = |connect: Connect| connect(control.clone(), profiles.clone(), machine);
        let remote = remote_ends::connect().map(connect);
        let opened = SavedLayout {
            layout: control.layout(),
            revision: revision(&control.layout()),
            read_only: false,
        };
        let options = ConsoleOptions {
            profile: Some("balanced".into()),
            opened: Some(opened.clone()),
            zone: jiff::tz::TimeZone::UTC,
            ..ConsoleOptions::default()
        };
        let mut console = Self {
            state: ConsoleState::new(&options),
            control,
            profiles,
            remote,
            known: KnownLayouts::default(),
            log: LogLines::default(),
            hits: HitMap::default(),
            frame: Buffer::empty(Rect::new(0, 0, width, height)),
            left: Vec::new(),
        };
        console.known.insert("balanced", opened.clone());
        console.act(Action::Baseline(opened.layout));
        console.refresh();
        console
    }

    /// Shows a snapshot that the fake control did not make.
    pub(super) fn show(&mut self, snapshot: Snapshot) {
        if let Some(remote) = &self.remote {
            remote.wait_for(self.control.version());
        }
        self.act(Action::Snapshot(Arc::new(snapshot)));
    }

    /// Applies the newest snapshot.
    pub(super) fn refresh(&mut self) {
        let snapshot = match &self.remote {
            Some(remote) => remote.wait_for(self.control.version()),
            None => self.control.snapshots().borrow().clone(),
        };
        self.act(Action::Snapshot(snapshot));
    }

    pub(super) fn act(&mut self, action: Action) {
        let mut actions = vec![action];
        while let Some(action) = actions.pop() {
            for effect in update(&mut self.state, action) {
                match worker::perform(&self.context(), effect.clone()) {
                    Some(answer) => actions.insert(0, answer),
                    None if matches!(effect, Effect::SetCurrentLayout(_)) => {}
                    None => self.left.push(effect),
                }
            }
        }
        self.draw();
    }

    /// Handles input that arrives together: an effect is performed only when no further input can be
    /// handled before.
    pub(super) fn burst(&mut self, events: impl IntoIterator<Item = InputEvent>) {
        let (mut inputs, mut effects) = (InputQueue::default(), VecDeque::new());
        events.into_iter().for_each(|event| inputs.push(event));
        let now = Instant::now();
        loop {
            let action = if let Some(input) = inputs.next(&self.state, now) {
                self.draw();
                match input {
                    InputEvent::Action(action) => Some(action),
                    InputEvent::Mouse(event) => pointer::interpret(event, &self.hits, &self.state),
                }
            } else if let Some(effect) = effects.pop_front() {
                let effect: Effect = effect;
                if effect.delays_input() {
                    inputs.note_answer();
                }
                worker::perform(&self.context(), effect)
            } else {
                break;
            };
            for effect in action.into_iter().flat_map(|action| update(&mut self.state, action)) {
                if effect.delays_input() {
                    inputs.note_request();
                }
                effects.push_back(effect);
            }
        }
        self.draw();
    }

    /// Presses keys that arrive together; `\r` is enter.
    pub(super) fn burst_keys(&mut self, letters: &str) {
        let code = |letter| if letter == '\r' { KeyCode::Enter } else { KeyCode::Char(letter) };
        let press = |letter| Action::Key(KeyEvent::new(code(letter), KeyModifiers::NONE));
        self.burst(letters.chars().map(|letter| InputEvent::Action(press(letter))));
    }

    /// Performs one effect, for tests with a late answer.
    pub(super) fn perform(&self, effect: &Effect) -> Action {
        worker::perform(&self.context(), effect.clone()).unwrap()
    }

    fn context(&self) -> WorkerContext {
        let (control, profiles): (Arc<dyn Control>, Arc<dyn LayoutStore>) = match &self.remote {
            Some(remote) => (remote.control.clone(), remote.profiles.clone()),
            None => (self.control.clone(), self.profiles.clone()),
        };
        WorkerContext {
            control,
            profiles: Some(profiles),
            known: self.known.clone(),
            log: Arc::new(self.log.clone()),
            recordings: Some(Arc::new(FakeRecordings)),
            attached: None,
        }
    }

    pub(super) fn draw(&mut self) {
        self.frame.reset();
        self.hits = view::draw(&self.state, &mut self.frame);
        self.state.note_frame(&self.hits);
    }

    pub(super) fn key(&mut self, code: KeyCode) {
        self.act(Action::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    pub(super) fn control_key(&mut self, letter: char) {
        self.act(Action::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)));
    }

    pub(super) fn keys(&mut self, letters: &str) {
        for letter in letters.chars() {
            self.key(KeyCode::Char(letter));
        }
    }

    pub(super) fn mouse(&mut self, kind: MouseEventKind, at: (u16, u16)) {
        self.mouse_with(kind, at, KeyModifiers::NONE);
    }

    pub(super) fn mouse_with(
        &mut self,
        kind: MouseEventKind,
        at: (u16, u16),
        modifiers: KeyModifiers,
    ) {
        let event = MouseEvent { kind, column: at.0, row: at.1, modifiers };
        if let Some(action) = pointer::interpret(event, &self.hits, &self.state) {
            self.act(action);
        }
    }

    pub(super) fn down(&mut self, at: (u16, u16)) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), at);
    }

    pub(super) fn drag(&mut self, at: (u16, u16)) {
        self.mouse(MouseEventKind::Drag(MouseButton::Left), at);
    }

    pub(super) fn up(&mut self, at: (u16, u16)) {
        self.mouse(MouseEventKind::Up(MouseButton::Left), at);
    }

    /// Returns the position of a target on the screen.
    pub(super) fn place(&self, target: &Target) -> (u16, u16) {
        let rect = self.hits.find(target).unwrap_or_else(|| panic!("{target:?} is not drawn"));
        (rect.x, rect.y)
    }

    /// Returns the frame's characters.
    pub(super) fn text(&self) -> String {
        crate::console::picture::dump::text(&self.frame)
    }

    pub(super) fn message(&self) -> &str {
        self.state.message.as_ref().map_or("", |message| &message.text)
    }
}

/// Recordings that only say what they would do.
struct FakeRecordings;

impl RequestRecordings for FakeRecordings {
    fn toggle(&self, model: &str) -> Result<String, String> {
        Ok(format!("recording requests of {model} in a.npz"))
    }
}

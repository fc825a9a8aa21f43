//! A scheduler that holds a layout and no models: it plans with the real arithmetic, and checks each result.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use divvy::Control;
use divvy::layout::{Change, DesiredState, Document, Layout, Plan, Refusal, RefusalKind, demo};
use divvy::machine::{Description, Machine, SimulatedMachine};
use divvy::scheduler::{ChangeOperation, ChangeRequest};
use divvy::telemetry::{Applied, ChangeStages, ChangeStatus, JournalEntry, Snapshot, StateVersion};
use tokio::sync::watch;

/// Changes that can be undone, and entries of the journal.
const DEPTH: usize = 8;

/// The scheduler of the host.
pub(crate) struct FakeControl {
    machine: Description,
    start: DesiredState,
    state: Mutex<FakeState>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

struct FakeState {
    desired: DesiredState,
    version: u64,
    before: VecDeque<(u64, DesiredState)>,
    undone: Vec<(u64, DesiredState)>,
    journal: VecDeque<Arc<JournalEntry>>,
}

impl FakeState {
    fn new(desired: DesiredState, version: u64) -> Self {
        Self {
            desired,
            version,
            before: VecDeque::new(),
            undone: Vec::new(),
            journal: VecDeque::new(),
        }
    }

    fn apply(&mut self, plan: Plan, of: Option<u64>, request: &ChangeRequest) -> Applied {
        self.version += 1;
        self.desired = plan.after.clone();
        let change = match &request.operation {
            ChangeOperation::Apply(change) => change.clone(),
            _ => Change::default(),
        };
        let entry = JournalEntry {
            id: self.version,
            author: request.author.clone(),
            change,
            summary: plan.summary.clone(),
            undoes: of,
            ..JournalEntry::default()
        };
        self.journal.push_back(Arc::new(entry));
        if self.journal.len() > DEPTH {
            self.journal.pop_front();
        }
        Applied {
            id: self.version,
            of,
            plan,
            force_us: 41,
            differences: Vec::new(),
            stages: ChangeStages::default(),
            version: StateVersion(self.version),
            status: ChangeStatus::InForce,
        }
    }
}

impl FakeControl {
    pub(crate) fn new() -> Self {
        let machine = SimulatedMachine::uniform(8).describe();
        let start = DesiredState::resolve(demo().unwrap().layout(), &machine).unwrap();
        let state = FakeState::new(start.clone(), 0).into();
        Self { machine, start, state, snapshots: watch::channel(Arc::default()).0 }
    }

    pub(crate) fn machine(&self) -> &Description {
        &self.machine
    }

    /// Returns to the first layout, so that no case makes later ones slow.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        *state = FakeState::new(self.start.clone(), state.version);
        // streams find out then that their readers have gone
        self.snapshots.send_replace(Arc::default());
    }

    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }

    /// Checks that a state can be saved, and opened again.
    fn check(&self, desired: &DesiredState) {
        let layout = desired.layout();
        let document = Document::from_layout(layout.clone()).expect("it can be saved");
        assert_eq!(*document.layout(), layout);
        DesiredState::resolve(&layout, &self.machine).expect("it can be opened");
        let text = serde_json::to_string(&layout).unwrap();
        assert_eq!(serde_json::from_str::<Layout>(&text).expect("it can be read"), layout);
    }
}

impl Control for FakeControl {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    fn version(&self) -> StateVersion {
        StateVersion(self.state().version)
    }

    fn plan(&self, change: &Change) -> Result<Plan, Refusal> {
        let plan = self.state().desired.plan(change, &self.machine)?;
        self.check(&plan.after);
        Ok(plan)
    }

    fn request(&self, request: ChangeRequest) -> Result<Applied, Refusal> {
        let mut state = self.state();
        if request.expected.is_some_and(|expected| expected.0 != state.version) {
            return Err(Refusal::of_kind(RefusalKind::StateChanged, "the state has changed"));
        }
        let now = state.desired.clone();
        let back = |to: &DesiredState| -> Result<Plan, Refusal> {
            Ok(now.plan_to(now.undo(to, &now, &self.machine)?, &self.machine))
        };
        let (plan, of) = match &request.operation {
            ChangeOperation::Apply(change) => {
                let plan = now.plan(change, &self.machine)?;
                self.check(&plan.after);
                let id = state.version + 1;
                state.before.push_back((id, now));
                if state.before.len() > DEPTH {
                    state.before.pop_front();
                }
                state.undone.clear();
                (plan, None)
            }
            ChangeOperation::Undo | ChangeOperation::UndoChange(_) => {
                let nothing = || Refusal::whole("there is no change to undo");
                let (of, before) = state.before.back().cloned().ok_or_else(nothing)?;
                let plan = back(&before)?;
                state.before.pop_back();
                state.undone.push((of, now));
                (plan, Some(of))
            }
            ChangeOperation::Redo => {
                let nothing = || Refusal::whole("there is nothing to redo");
                let (of, after) = state.undone.last().cloned().ok_or_else(nothing)?;
                let plan = back(&after)?;
                state.undone.pop();
                state.before.push_back((of, now));
                (plan, Some(of))
            }
        };
        Ok(state.apply(plan, of, &request))
    }

    fn journal(&self) -> Vec<Arc<JournalEntry>> {
        self.state().journal.iter().cloned().collect()
    }

    fn layout(&self) -> Layout {
        self.state().desired.layout()
    }
}

//! A workload without a pool is observed like a model.

use std::sync::Arc;
use std::time::Duration;

use crate::layout::{Budget, CoreRequest, DesiredState, Layout, ModelSource};
use crate::machine::{Clock, CoreId, Machine, SimulatedClock, SimulatedMachine, ThreadTimes};
use crate::process::ProcessSample;
use crate::scheduler::fake_workload::FakeWorkload;
use crate::scheduler::messages::SchedulerState;
use crate::scheduler::observer::ObservedMachine;
use crate::scheduler::observer::assemble::Assembler;
use crate::scheduler::workload::Workload;
use crate::telemetry::{
    Conditions, CoreTime, ModelState, ModelView, ProcessState, ProcessUse, ProcessView,
    ServerSource, ServerView, Snapshot,
};

/// An observer of one row `w` that is no model.
struct TestObserver {
    assembler: Assembler,
    state: SchedulerState,
    observed: ObservedMachine,
    machine: Arc<SimulatedMachine>,
    clock: Arc<SimulatedClock>,
    workload: Arc<FakeWorkload>,
}

impl TestObserver {
    fn start() -> Self {
        let machine = Arc::new(SimulatedMachine::uniform(2));
        let workload = FakeWorkload::new(&machine);
        Self::with_workload(machine, workload)
    }

    fn with_workload(machine: Arc<SimulatedMachine>, workload: Arc<FakeWorkload>) -> Self {
        let mut budget = Budget::new("w", ModelSource::File("/none".into()));
        budget.cores = CoreRequest::List("1".parse().unwrap());
        let layout = Layout { description: String::new(), models: vec![budget] };
        let mut state = SchedulerState {
            desired: Arc::new(DesiredState::resolve(&layout, &machine.describe()).unwrap()),
            description: Arc::new(machine.describe()),
            ..SchedulerState::default()
        };
        workload.pin("1".parse().unwrap());
        state.slots.insert("w".to_owned(), workload.slot(&layout.models[0]));
        let clock = Arc::new(SimulatedClock::new(0));
        let observed = ObservedMachine {
            machine: machine.clone(),
            clock: clock.clone(),
            gpu: None,
            server: None,
            processes: None,
            conditions: Conditions::default(),
        };
        let mut test =
            Self { assembler: Assembler::default(), state, observed, machine, clock, workload };
        test.sample();
        test
    }

    /// Takes a sample.
    fn sample(&mut self) {
        self.assembler.sample(&self.state, &self.observed, self.clock.now());
    }

    fn snapshot(&mut self) -> Snapshot {
        let now = self.clock.now();
        self.assembler.assemble(&self.state, &self.observed, now)
    }

    fn view(&mut self) -> ModelView {
        self.snapshot().models.remove(0)
    }
}

#[test]
fn row_shows_its_threads() {
    let mut test = TestObserver::start();
    let second = Duration::from_secs(1);
    let thread = test.workload.settings().threads[0];
    let ran = ThreadTimes { cpu_ns: 500_000_000, wait_ns: Some(0), last_core: Some(CoreId(1)) };
    test.machine.set_thread_times(thread, ran);
    test.clock.advance(second);
    test.sample();
    let view = test.view();
    let shown = &view.actual.threads[0];
    assert_eq!((shown.id, shown.last_core), (thread, Some(CoreId(1))));
    assert_eq!((view.cpu, view.actual.cores), (0.5, "1".parse().unwrap()));
}

#[test]
fn row_runs_without_instances() {
    let view = TestObserver::start().view();
    assert_eq!((view.state, view.actual.difference), (ModelState::Running, None));
    assert!(view.engine.is_none() && view.counts.submitted == 0);
}

#[test]
fn moved_thread_is_found() {
    let test = TestObserver::start();
    assert!(test.observed.check(&test.state).is_none());
    let thread = test.workload.settings().threads[0];
    test.machine.set_affinity(thread, &"0".parse().unwrap()).unwrap();
    assert!(test.observed.check(&test.state).is_some());
}

#[test]
fn reused_number_is_forgotten() {
    let mut test = TestObserver::start();
    test.machine.reuse_thread(test.workload.settings().threads[0]);
    test.sample();
    assert!(test.workload.threads().is_empty());
}

#[test]
fn snapshot_shows_the_server() {
    struct OneListener;
    impl ServerSource for OneListener {
        fn latest(&self) -> Arc<ServerView> {
            Arc::new(ServerView { connections: 3, ..ServerView::default() })
        }
    }
    let mut test = TestObserver::start();
    assert!(test.snapshot().server.is_none());
    test.observed.server = Some(Arc::new(OneListener));
    test.sample();
    assert_eq!(test.snapshot().server.map(|server| server.connections), Some(3));
}

/// An observer of a row of processes with this state, which used core 1.
fn observe_processes(state: ProcessState) -> TestObserver {
    let used = ProcessUse {
        cpu: 1.5,
        cpu_total_us: 4_000_000,
        wait: Some(0.5),
        by_core: [(CoreId(1), CoreTime { cpu: 0.75, wait: 0.25 })].into(),
        ..ProcessUse::default()
    };
    let view = ProcessView { state, process_count: 2, ..ProcessView::default() };
    let sample = ProcessSample { view: Arc::new(view), used: Arc::new(used) };
    let machine = Arc::new(SimulatedMachine::uniform(2));
    let workload = FakeWorkload::of_processes(&machine, sample);
    TestObserver::with_workload(machine, workload)
}

#[test]
fn process_row_shows_its_sample() {
    let mut test = observe_processes(ProcessState::Running);
    test.clock.advance(Duration::from_secs(1));
    test.sample();
    let snapshot = test.snapshot();
    let view = &snapshot.models[0];
    assert_eq!((view.cpu, view.wait, view.cpu_total_us), (1.5, Some(0.25), 4_000_000));
    assert_eq!(view.process.as_ref().map(|process| process.process_count), Some(2));
    let used = &snapshot.cores[1].by_model;
    assert_eq!((used[0].model, used[0].share), (0, 0.75));
    assert_eq!(snapshot.served_models().count(), 0);
}

#[test]
fn process_row_shows_its_state() {
    assert_eq!(observe_processes(ProcessState::Absent).view().state, ModelState::Absent);
    let done = ProcessState::Ended { ended: "exit code 0".to_owned() };
    assert_eq!(observe_processes(done).view().state, ModelState::Absent);
    let ended = ProcessState::Ended { ended: "exit code 1".to_owned() };
    let state = observe_processes(ended).view().state;
    assert!(matches!(state, ModelState::Failed { reason } if reason.contains("exit code 1")));
}

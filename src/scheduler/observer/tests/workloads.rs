//! A workload without a pool is observed like a model.

use std::sync::Arc;
use std::time::Duration;

use crate::layout::{Budget, CoreRequest, DesiredState, Layout, ModelSource};
use crate::machine::{Clock, CoreId, Machine, SimulatedClock, SimulatedMachine, ThreadTimes};
use crate::scheduler::fake_workload::FakeWorkload;
use crate::scheduler::messages::SchedulerState;
use crate::scheduler::observer::ObservedMachine;
use crate::scheduler::observer::assemble::Assembler;
use crate::scheduler::workload::Workload;
use crate::telemetry::{Conditions, ModelState, ModelView, ServerSource, ServerView, Snapshot};

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

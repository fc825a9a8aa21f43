//! A workload without a pool is placed, moved, lent to, repaired and drained like a model.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::engine::EngineError;
use crate::layout::{Budget, Bytes, Change, CoreRequest, DesiredState, Edit, Layout, ModelSource};
use crate::machine::{CpuSet, Machine, SimulatedMachine, SystemClock};
use crate::scheduler::fake_workload::FakeWorkload;
use crate::scheduler::lending::LoanRequest;
use crate::scheduler::loading::{LoadRequest, LoadedModel, Loader};
use crate::scheduler::owner::lend;
use crate::scheduler::owner::machine_changes;
use crate::scheduler::owner::models::LiveModels;
use crate::scheduler::owner::stage_timer::StageTimer;
use crate::scheduler::slot::Slot;

const PATIENCE: Duration = Duration::from_secs(20);

struct NoLoader;

impl Loader for NoLoader {
    fn load(&self, _: &LoadRequest) -> Result<LoadedModel, EngineError> {
        Err(EngineError::Unavailable { reason: "not a model".to_owned() })
    }
}

/// The live models of an owner, with one row `w` that is no model.
struct TestRow {
    models: LiveModels,
    machine: Arc<SimulatedMachine>,
    workload: Arc<FakeWorkload>,
}

impl TestRow {
    /// The row, on cores 0 and 1 of four.
    fn start() -> Self {
        let machine = Arc::new(SimulatedMachine::uniform(4));
        let workload = FakeWorkload::new(&machine);
        Self::with_workload(machine, workload, &[row("0-1")])
    }

    /// The first of these rows with a workload.
    fn with_workload(
        machine: Arc<SimulatedMachine>,
        workload: Arc<FakeWorkload>,
        rows: &[Budget],
    ) -> Self {
        let layout = Layout { description: String::new(), models: rows.to_vec() };
        let description = machine.describe();
        let desired = DesiredState::resolve(&layout, &description).unwrap();
        let (owner, _) = mpsc::channel();
        let mut models =
            LiveModels::new(desired, description, machine.clone(), Arc::new(NoLoader), owner);
        // The slots of rows that are loaded count from 1.
        let slot = Slot { generation: 1000, ..workload.slot(&layout.models[0]) };
        models.slots.insert("w".to_owned(), slot);
        let mut test = Self { models, machine, workload };
        assert_eq!(test.reconcile(&DesiredState::default()), [""; 0]);
        test
    }

    /// Brings the models from a state to the desired one. Returns the differences.
    fn reconcile(&mut self, before: &DesiredState) -> Vec<String> {
        let after = self.models.desired.clone();
        let mut timer = StageTimer::new(Instant::now());
        self.models.reconcile(before, &after, &mut timer).differences
    }

    fn apply(&mut self, edit: Edit) {
        let plan = self.models.desired.plan(&Change::from(edit), &self.models.description);
        let before = self.models.replace_desired(Arc::new(plan.unwrap().after));
        assert_eq!(self.reconcile(&before), [""; 0]);
    }

    /// Returns the mask of its thread in the kernel.
    fn mask(&self) -> CpuSet {
        self.machine.affinity(self.workload.settings().threads[0]).unwrap()
    }

    fn check_machine(&mut self) {
        let found = self.machine.describe();
        assert!(machine_changes::follow(&mut self.models, found).is_none());
    }
}

/// The row `w` on these cores.
fn row(cores: &str) -> Budget {
    let mut budget = Budget::new("w", ModelSource::File("/none".into()));
    budget.cores = CoreRequest::List(set(cores));
    budget
}

fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

#[test]
fn change_moves_threads() {
    let mut test = TestRow::start();
    assert_eq!(test.mask(), set("0-1"));
    let cores = CoreRequest::List(set("2"));
    test.apply(Edit::SetCores { model: "w".to_owned(), cores });
    assert_eq!(test.mask(), set("2"));
}

#[test]
fn change_sets_the_memory_budget() {
    let mut test = TestRow::start();
    test.apply(Edit::SetMemory { model: "w".to_owned(), memory: Some(Bytes(1 << 20)) });
    assert_eq!(test.workload.settings().memory, Some(1 << 20));
}

#[test]
fn loan_moves_threads() {
    let mut test = TestRow::start();
    let (cores, borrower) = (set("3"), "w".to_owned());
    let request = LoanRequest { cores, lender: None, borrower, duration: None };
    let loan = lend::lend(&mut test.models, &request, &SystemClock).unwrap();
    assert_eq!(test.mask(), set("0-1,3"));
    lend::reclaim(&mut test.models, loan.id).unwrap();
    assert_eq!(test.mask(), set("0-1"));
}

#[test]
fn lenders_builders_leave_lent_cores() {
    let machine = Arc::new(SimulatedMachine::uniform(4));
    let lender = FakeWorkload::with_builders(&machine);
    let rows =
        [Budget { reserve: true, ..row("0-1") }, Budget { name: "b".to_owned(), ..row("2") }];
    let mut test = TestRow::with_workload(machine, lender, &rows);
    let builders = |test: &TestRow| test.workload.settings().builders;
    assert_eq!(builders(&test), Some(set("0-3")));
    let (cores, lender, borrower) = (set("1"), Some("w".to_owned()), "b".to_owned());
    let request = LoanRequest { cores, lender, borrower, duration: None };
    let loan = lend::lend(&mut test.models, &request, &SystemClock).unwrap();
    assert_eq!(builders(&test), Some(set("0,2-3")));
    test.check_machine();
    assert_eq!(builders(&test), Some(set("0,2-3")), "also after a check of the machine");
    lend::reclaim(&mut test.models, loan.id).unwrap();
    assert_eq!(builders(&test), Some(set("0-3")));
}

#[test]
fn moved_threads_are_restored() {
    let mut test = TestRow::start();
    test.machine.set_affinity(test.workload.settings().threads[0], &set("3")).unwrap();
    test.check_machine();
    assert!(test.models.slots.get("w").unwrap().difference.is_some(), "reported first");
    test.check_machine();
    assert_eq!(test.mask(), set("0-1"));
}

#[test]
fn removed_row_is_drained() {
    let mut test = TestRow::start();
    test.apply(Edit::Remove { model: "w".to_owned() });
    test.models.draining.start();
    let start = Instant::now();
    while !test.workload.is_drained.load(Ordering::SeqCst) {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

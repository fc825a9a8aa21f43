//! Moves of a model to a GPU and back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use divvy::layout::{Budget, Edit, GpuId};
use divvy::scheduler::Control;
use divvy::telemetry::gpu::GpuSource;
use divvy::telemetry::{Author, GpuDevice, GpuView, JournalEntry, MigDevice, ModelState};

use super::test_scheduler::*;

const MIG_UUID: &str = "MIG-3f2a0b1c-0123-4567-89ab-cdef01234567";

struct FakeGpus(Arc<GpuView>);

impl GpuSource for FakeGpus {
    fn latest(&self) -> Arc<GpuView> {
        self.0.clone()
    }
}

/// Two GPUs, or one with a MIG device.
fn gpus(is_mig_enabled: bool) -> FakeGpus {
    let gpu = |index| GpuDevice { index, name: "L4".to_owned(), ..GpuDevice::default() };
    let part = MigDevice { uuid: MIG_UUID.to_owned(), ..MigDevice::default() };
    let cut = GpuDevice { mig_enabled: Some(true), mig: vec![part], ..gpu(0) };
    let devices = if is_mig_enabled { vec![cut] } else { vec![gpu(0), gpu(1)] };
    FakeGpus(Arc::new(GpuView { devices, ..GpuView::default() }))
}

fn start(models: Vec<Budget>, is_mig_enabled: bool) -> TestScheduler {
    let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
    let test = TestScheduler::start_with(4, models, &names, |options| {
        options.gpu = Some(Arc::new(gpus(is_mig_enabled)));
    });
    test.until("m", |view| view.state == ModelState::Running && warm(view));
    test
}

fn onto(gpu: Option<GpuId>) -> Edit {
    Edit::SetGpu { model: "m".to_owned(), gpu, gpu_memory: None }
}

/// Returns the newest entry after `after` that divvy itself has written.
fn own_entry(test: &TestScheduler, after: u64) -> Arc<JournalEntry> {
    let newest = || {
        let entries = test.scheduler.journal();
        entries.into_iter().rfind(|entry| entry.author == Author::Scheduler && entry.id > after)
    };
    test.wait("the journal", || newest().is_some());
    newest().unwrap()
}

#[test]
fn failed_gpu_build_keeps_old_instances() {
    let test = start(vec![row("m", "0-1")], false);
    let script = test.scripts.of("m");
    script.build_ns.store(200_000_000, Ordering::SeqCst);
    let applied = test.apply(onto(Some(GpuId::Index(1))));
    assert!(applied.plan.rows[0].rebuild);
    assert_eq!(applied.plan.summary, "m moves to GPU 1");
    test.until("m", |view| matches!(view.state, ModelState::Warming { total: 2, .. }));
    test.until("m", |view| view.state == ModelState::Running && warm(view));

    script.build_fails.store(true, Ordering::SeqCst);
    let applied = test.apply(onto(Some(GpuId::Index(0))));
    let entry = own_entry(&test, applied.id);
    assert_eq!(entry.summary, "m moves to GPU 1");
    let is_reported =
        entry.warnings.iter().any(|line| line.starts_with("instances on CUDA device 0"));
    assert!(is_reported, "{:?}", entry.warnings);
    let view = test.until("m", |view| view.row.budget.gpu == Some(GpuId::Index(1)));
    assert_eq!(view.actual.active, 2, "the old instances keep serving");

    let applied = test.apply(onto(None));
    assert_eq!(own_entry(&test, applied.id).summary, "m moves to GPU 1");
    script.build_fails.store(false, Ordering::SeqCst);
    test.apply(onto(None));
    test.until("m", |view| view.row.budget.gpu.is_none() && view.state == ModelState::Running);
}

#[test]
fn unknown_gpu_error_lists_known_gpus() {
    let test = start(vec![row("m", "0-1")], false);
    let reason = test.refused(onto(Some(GpuId::Index(9))));
    assert!(reason.starts_with("m: there is no GPU 9: this machine has 0 (L4"), "{reason}");
}

#[test]
fn invisible_mig_device_rolls_back() {
    let test = start(vec![row("m", "0-1")], true);
    let applied = test.apply(onto(Some(MIG_UUID.parse().unwrap())));
    let entry = own_entry(&test, applied.id);
    let is_reported =
        entry.warnings.iter().any(|line| line.contains("start divvy with CUDA_VISIBLE"));
    assert!(is_reported, "{:?}", entry.warnings);
    test.until("m", |view| view.row.budget.gpu.is_none() && view.actual.active == 2);
}

#[test]
fn row_with_unusable_gpu_fails_alone() {
    let lost = Budget { gpu: Some(GpuId::Index(9)), ..row("lost", "0") };
    let test = start(vec![row("m", "0-1"), lost], false);
    let view = test.until("lost", |view| matches!(view.state, ModelState::Failed { .. }));
    let ModelState::Failed { reason } = view.state else { unreachable!() };
    assert!(reason.starts_with("there is no GPU 9"), "{reason}");
    let answers = Arc::new(Answers::default());
    test.submit("m", 100, &answers);
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 100, "other models keep serving");
    test.apply(Edit::SetGpu { model: "lost".to_owned(), gpu: None, gpu_memory: None });
    test.until("lost", |view| view.state == ModelState::Running);
}

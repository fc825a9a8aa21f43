//! Snapshots under sustained changes.

use std::sync::Arc;
use std::time::Duration;

use divvy::scheduler::Control;
use divvy::telemetry::gpu::GpuSource;
use divvy::telemetry::{GpuView, Snapshot};

use super::test_scheduler::*;

/// A sensor that makes each snapshot take 30 ms.
struct SlowSensor;

impl GpuSource for SlowSensor {
    fn latest(&self) -> Arc<GpuView> {
        std::thread::sleep(Duration::from_millis(30));
        Arc::default()
    }
}

#[test]
fn slow_observer_skips_to_the_newest_state() {
    let test = TestScheduler::start_with(2, vec![row("a", "0-1")], &["a".to_owned()], |options| {
        options.gpu = Some(Arc::new(SlowSensor));
        options.machine_check = Duration::from_mins(1);
        options.interval = Duration::from_mins(1);
    });
    for round in 0..60 {
        test.apply(concurrency("a", 1 + round % 2));
        std::thread::sleep(Duration::from_millis(10));
    }
    let snapshot = || -> Arc<Snapshot> { test.scheduler.snapshots().borrow().clone() };
    let before = snapshot().sequence;
    let last = || snapshot().newest_change();
    test.wait("the last change", || last() == Some(60));
    // One that was being assembled, and one of a state that waited.
    assert!(snapshot().sequence - before <= 3, "{before} to {}", snapshot().sequence);
}

//! A scheduler in simulated time: hours pass in milliseconds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use divvy::layout::{LoadSpec, QueuePolicy};
use divvy::load::LoadFollower;
use divvy::machine::{Clock, SimulatedClock};
use divvy::scheduler::Control;
use divvy::telemetry::VerdictStatus;

use super::test_scheduler::*;

struct SimulatedTime {
    test: TestScheduler,
    clock: Arc<SimulatedClock>,
}

impl SimulatedTime {
    fn start(models: Vec<divvy::layout::Budget>) -> Self {
        let clock = Arc::new(SimulatedClock::new(1_000));
        let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
        let test = TestScheduler::start_with(4, models, &names, |options| {
            options.clock = clock.clone();
            options.interval = Duration::from_mins(1);
        });
        Self { test, clock }
    }

    /// Advances the clock until `done` holds.
    fn pass(&self, step: Duration, done: impl Fn() -> bool) {
        self.test.wait("simulated time", || {
            self.clock.advance(step);
            done()
        });
    }
}

#[test]
fn verdict_closes_in_simulated_time() {
    let time = SimulatedTime::start(vec![row("a", "0-1")]);
    let id = time.test.apply(concurrency("a", 1)).id;
    let status = || time.test.scheduler.journal()[id as usize - 1].verdicts[0].status;
    assert_eq!(status(), VerdictStatus::Open);
    time.pass(Duration::from_mins(1), || status() == VerdictStatus::NotEnough);
}

#[test]
fn snapshots_follow_simulated_time() {
    let time = SimulatedTime::start(vec![row("a", "0-1")]);
    let hour = Duration::from_hours(1);
    time.pass(hour, || time.test.snapshot().uptime_us >= 3 * 3_600_000_000);
    let snapshot = time.test.snapshot();
    assert_eq!(snapshot.at_unix_ms, 1_000 + snapshot.uptime_us / 1_000);
    assert!(snapshot.at_unix_ms <= time.clock.unix_ms());
}

#[test]
fn queue_timeout_follows_simulated_time() {
    let mut budget = row("a", "0");
    budget.queue = QueuePolicy { timeout: Some(Duration::from_hours(2)), ..budget.queue };
    let time = SimulatedTime::start(vec![budget]);
    let minute = Duration::from_mins(1);
    time.pass(minute, || {
        time.test.snapshot().model("a").is_some_and(|view| view.actual.active == 1)
    });
    time.test.scripts.of("a").run_blocked.store(true, Ordering::SeqCst);
    let answers = Arc::new(Answers::default());
    time.test.submit("a", 2, &answers);
    time.pass(minute, || answers.timed_out.load(Ordering::SeqCst) == 1);
    time.test.scripts.of("a").run_blocked.store(false, Ordering::SeqCst);
    time.test.wait("the other answer", || answers.all());
}

#[test]
fn load_arrives_in_simulated_time() {
    let mut budget = row("a", "0");
    budget.load = Some(LoadSpec::Constant { rate: 1.0 / 3600.0 });
    let time = SimulatedTime::start(vec![budget]);
    let load = LoadFollower::start_with(time.test.scheduler.loads(), time.clock.clone()).unwrap();
    time.pass(Duration::from_mins(10), || {
        time.test.snapshot().model("a").is_some_and(|view| view.counts.completed >= 24)
    });
    assert_eq!(load.stop(PATIENCE), 0);
}

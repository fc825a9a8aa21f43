//! Statistics and metrics of a server, over scripted models.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs, dead_code)]

#[path = "scheduler/test_scheduler.rs"]
mod test_scheduler;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use divvy::server::{ServerOptions, ServerState};

use test_scheduler::*;

/// The CPU time of a request.
const BURN: Duration = Duration::from_millis(1);

fn start(models: &[&str]) -> (TestScheduler, Arc<ServerState>) {
    let rows = models.iter().map(|name| row(name, "0-1")).collect();
    let test = TestScheduler::start(2, rows);
    let state = ServerState::new(&test.scheduler, ServerOptions::default());
    (test, state)
}

fn run(test: &TestScheduler, model: &str, requests: usize) {
    let answers = Arc::new(Answers::default());
    test.submit(model, requests, &answers);
    test.wait("answers", || answers.all());
}

#[test]
fn statistics_count_each_request_once() {
    let (test, state) = start(&["a", "b"]);
    let empty = &state.statistics(Some("a"))[0];
    assert_eq!((empty.inference_count, empty.last_inference), (0, 0));
    assert!(empty.batch_stats.is_empty());
    let script = test.scripts.of("a");
    script.burn_ns.store(BURN.as_nanos() as u64, Ordering::SeqCst);
    run(&test, "a", 20);
    script.fail_every.store(1, Ordering::SeqCst);
    run(&test, "a", 1);
    let all = state.statistics(None);
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let statistics = &all[0];
    assert_eq!((statistics.inference_count, statistics.execution_count), (20, 20));
    let stages = statistics.inference_stats;
    assert_eq!([stages.success.count, stages.queue.count, stages.compute_infer.count], [20; 3]);
    assert_eq!(stages.fail.count, 1);
    assert!(stages.fail.ns > 0);
    assert_eq!(stages.success.ns, stages.queue.ns + stages.compute_infer.ns);
    assert!(stages.compute_infer.ns >= 20 * BURN.as_nanos() as u64, "{stages:?}");
    assert_eq!(statistics.batch_stats[0].compute_infer, stages.compute_infer);
    let since = SystemTime::UNIX_EPOCH + Duration::from_millis(statistics.last_inference);
    assert!(SystemTime::now().duration_since(since).unwrap() < PATIENCE);
    assert_eq!(all[1].inference_count, 0);
    assert!(state.statistics(Some("c")).is_empty());
}

#[test]
fn statistics_outlive_an_instance() {
    let (test, state) = start(&["a"]);
    run(&test, "a", 5);
    test.apply(threads("a", 2));
    test.until("a", |view| warm(view) && view.actual.threads_per_instance == 2);
    run(&test, "a", 5);
    assert_eq!(state.statistics(Some("a"))[0].inference_count, 10);
}

#[test]
fn statistics_have_the_json_of_the_protocol() {
    let (test, state) = start(&["a"]);
    run(&test, "a", 1);
    let json = serde_json::to_value(state.statistics(Some("a"))).unwrap();
    for path in [
        "/0/inference_stats/success/count",
        "/0/inference_stats/compute_infer/ns",
        "/0/batch_stats/0/batch_size",
        "/0/batch_stats/0/compute_output/count",
    ] {
        assert!(json.pointer(path).is_some_and(serde_json::Value::is_u64), "{path}: {json}");
    }
    assert_eq!(json.pointer("/0/batch_stats/0/batch_size").unwrap(), 1);
}

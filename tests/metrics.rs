//! Statistics and metrics of a server, over scripted models.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs, dead_code)]

#[path = "scheduler/test_scheduler.rs"]
mod test_scheduler;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use divvy::layout::Change;
use divvy::machine::ThreadTimes;
use divvy::scheduler::Control;
use divvy::server::{Access, CountedRequest, ErrorKind, ServerOptions, ServerState};
use divvy::telemetry::Author;
use http_body_util::BodyExt;
use tower::ServiceExt;

use test_scheduler::*;

/// The document that lists the metrics.
const DOCUMENT: &str = include_str!("../docs/metrics.md");

/// The dashboard over the metrics.
const DASHBOARD: &str = include_str!("../assets/grafana.json");

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

/// Gets a path from the routes of a server: the status, the headers and the body.
fn get(state: &Arc<ServerState>, path: &str, token: Option<&str>) -> (u16, HeaderMap, String) {
    let mut request = Request::builder().uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = divvy::server::router_of(state).oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
    })
}

fn scrape(state: &Arc<ServerState>) -> String {
    let (status, headers, text) = get(state, "/metrics", None);
    assert_eq!(status, 200, "{text}");
    let media_type = headers["content-type"].to_str().unwrap();
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
    text
}

/// Returns the value of a sample by its name and labels.
fn value<T: std::str::FromStr>(text: &str, sample: &str) -> T {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    let parsed = line.and_then(|line| line.parse().ok());
    parsed.unwrap_or_else(|| panic!("no {sample} in {text}"))
}

/// Returns the families of an exposition: their names, as the document has them, and types.
fn families(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families = types.map(|line| {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        (format!("{name}{suffix}"), kind.to_owned())
    });
    families.collect()
}

#[test]
fn statistics_are_served_per_model() {
    let (test, state) = start(&["a", "b"]);
    run(&test, "a", 3);
    let read = |path: &str| -> serde_json::Value {
        let (status, _, body) = get(&state, path, None);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    };
    let all = read("/v2/models/stats");
    assert_eq!(all["model_stats"].as_array().map(Vec::len), Some(2));
    for path in ["/v2/models/a/stats", "/v2/models/a/versions/1/stats"] {
        let one = read(path);
        assert_eq!(one["model_stats"].as_array().map(Vec::len), Some(1));
        assert_eq!(one["model_stats"][0], all["model_stats"][0]);
        assert_eq!(one["model_stats"][0]["inference_count"], 3);
    }
    for path in ["/v2/models/c/stats", "/v2/models/a/versions/2/stats"] {
        let (status, _, body) = get(&state, path, None);
        assert_eq!(status, 404, "{path}");
        assert!(body.contains("\"error\""), "{body}");
    }
}

#[test]
fn metrics_count_requests_of_the_pool() {
    let (test, state) = start(&["a", "b"]);
    let script = test.scripts.of("a");
    script.burn_ns.store(BURN.as_nanos() as u64, Ordering::SeqCst);
    run(&test, "a", 20);
    script.fail_every.store(1, Ordering::SeqCst);
    run(&test, "a", 1);
    let text = scrape(&state);
    let a = |name: &str, more: &str| -> u64 {
        value(&text, &format!("{name}{{{more}model=\"a\",version=\"1\"}}"))
    };
    let result = |result: &str| -> u64 {
        let labels = format!("model=\"a\",version=\"1\",result=\"{result}\"");
        value(&text, &format!("divvy_requests_total{{{labels}}}"))
    };
    assert_eq!((result("completed"), result("failed"), result("rejected")), (20, 1, 0));
    for time in ["queue", "compute", "duration"] {
        let name = format!("divvy_request_{time}_seconds");
        assert_eq!(a(&format!("{name}_count"), ""), 20);
        assert_eq!(a(&format!("{name}_bucket"), "le=\"+Inf\","), 20);
    }
    let sum = |time: &str| -> f64 {
        value(&text, &format!("divvy_request_{time}_seconds_sum{{model=\"a\",version=\"1\"}}"))
    };
    assert!(sum("compute") >= 20.0 * BURN.as_secs_f64());
    assert!((sum("duration") - sum("queue") - sum("compute")).abs() < 1e-9);
    assert_eq!(a("divvy_request_compute_seconds_bucket", "le=\"0.000012\","), 0);
    assert_eq!((a("divvy_requests_queued", ""), a("divvy_requests_executing", "")), (0, 0));
    assert_eq!((a("divvy_model_cores", ""), a("divvy_model_weight", "")), (2, 1));
    assert_eq!(a("divvy_model_ready", ""), 1);
    let concurrency = test.snapshot().model("a").unwrap().row.concurrency;
    assert_eq!(a("divvy_model_concurrency", ""), concurrency as u64);
    assert_eq!(text.matches("# EOF\n").count(), 1);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn metrics_count_changes_by_author_and_outcome() {
    let (test, state) = start(&["a"]);
    let count = |text: &str, author: &str, outcome: &str| -> u64 {
        let labels = format!("author=\"{author}\",outcome=\"{outcome}\"");
        value(text, &format!("divvy_changes_total{{{labels}}}"))
    };
    assert_eq!(count(&scrape(&state), "api", "in_force"), 0);
    test.apply(concurrency("a", 1));
    test.refused(concurrency("b", 1));
    let person = test.scheduler.apply(Change::from(concurrency("a", 2)), Author::Console);
    assert!(person.is_ok());
    test.wait("the counts are published", || {
        let text = scrape(&state);
        let verdict = |result: &str| -> u64 {
            value(&text, &format!("divvy_verdicts_total{{result=\"{result}\"}}"))
        };
        count(&text, "api", "refused") == 1
            && count(&text, "api", "in_force") == 1
            && count(&text, "console", "in_force") == 1
            && verdict("superseded") + verdict("not_enough") == 1
    });
    assert_eq!(count(&scrape(&state), "remote", "in_force"), 0);
}

#[test]
fn metrics_add_up_cpu_time() {
    let (test, state) = start(&["a"]);
    let total = || -> f64 {
        value(&scrape(&state), "divvy_model_cpu_seconds_total{model=\"a\",version=\"1\"}")
    };
    let thread = test.snapshot().model("a").unwrap().actual.threads[0].id;
    let ran = |seconds: u64| {
        let times = ThreadTimes { cpu_ns: seconds * 1_000_000_000, ..ThreadTimes::default() };
        test.machine.set_thread_times(thread, times);
        // two snapshots, because the first may have begun before
        test.until("a", |_| true);
        test.until("a", |_| true);
        total()
    };
    let first = ran(1);
    assert!((ran(3) - first - 2.0).abs() < 1e-3);
    assert!((ran(4) - first - 3.0).abs() < 1e-3);
}

#[test]
fn metrics_show_memory_by_part() {
    let (test, state) = start(&["a"]);
    test.scripts.of("a").weights.store(3 << 20, Ordering::SeqCst);
    test.scripts.of("a").arena.store(2 << 20, Ordering::SeqCst);
    let part = |text: &str, part: &str| -> u64 {
        let labels = format!("model=\"a\",version=\"1\",part=\"{part}\"");
        value(text, &format!("divvy_model_memory_bytes{{{labels}}}"))
    };
    test.wait("the memory is sampled", || {
        let text = scrape(&state);
        part(&text, "weights") == 3 << 20 && part(&text, "arena") == 2 << 20
    });
}

#[test]
fn metrics_count_outcomes_of_clients() {
    let (_test, state) = start(&["a"]);
    for outcome in [None, None, Some(ErrorKind::QueueFull)] {
        CountedRequest::begin(&state, "a", None).end(outcome);
    }
    CountedRequest::begin(&state, "c", None).end(Some(ErrorKind::NoSuchModel));
    let text = scrape(&state);
    let count = |model: &str, version: &str, outcome: &str| -> u64 {
        let labels = format!("model=\"{model}\",version=\"{version}\",outcome=\"{outcome}\"");
        value(&text, &format!("divvy_client_requests_total{{{labels}}}"))
    };
    assert_eq!((count("a", "1", "answered"), count("a", "1", "queue_full")), (2, 1));
    assert_eq!((count("", "", "answered"), count("", "", "no_such_model")), (0, 1));
    for kind in ErrorKind::ALL {
        let expected = u64::from(kind == ErrorKind::QueueFull);
        assert_eq!(count("a", "1", kind.name()), expected, "{kind}");
    }
}

#[test]
fn metrics_show_the_limits_of_the_server() {
    let (_test, state) = start(&["a"]);
    let held = state.in_flight.reserve(1000).unwrap();
    let text = scrape(&state);
    assert_eq!(value::<u64>(&text, "divvy_in_flight_bytes"), 1000);
    assert_eq!(value::<u64>(&text, "divvy_in_flight_limit_bytes"), state.limits().in_flight);
    assert_eq!(value::<u64>(&text, "divvy_connections_limit"), state.limits().connections as u64);
    drop(held);
    assert_eq!(value::<u64>(&scrape(&state), "divvy_in_flight_bytes"), 0);
}

#[test]
fn metrics_escape_names_of_models() {
    let (_test, state) = start(&["a\"b\\c"]);
    assert_eq!(
        value::<u64>(&scrape(&state), r#"divvy_model_weight{model="a\"b\\c",version="1"}"#),
        1
    );
}

#[test]
fn metrics_need_the_token() {
    let test = TestScheduler::start(2, vec![row("a", "0-1")]);
    let access = Access::with_token("0123456789abcdef");
    let state =
        ServerState::new(&test.scheduler, ServerOptions { access, ..ServerOptions::default() });
    assert_eq!(get(&state, "/metrics", None).0, 401);
    assert_eq!(get(&state, "/metrics", Some("0123456789abcdef")).0, 200);
}

#[test]
fn document_lists_the_metrics() {
    let (_test, state) = start(&["a"]);
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `divvy_"));
    let documented: BTreeMap<String, String> = rows
        .map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let name = format!("divvy_{}", cells.next().unwrap().trim_end_matches('`'));
            (name, cells.next().unwrap().to_owned())
        })
        .collect();
    assert_eq!(documented, families(&scrape(&state)));
}

#[test]
fn dashboard_uses_exported_samples() {
    let (_test, state) = start(&["a"]);
    let text = scrape(&state);
    let samples: Vec<&str> =
        text.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut used = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let words = expression.split(|c: char| !c.is_alphanumeric() && c != '_');
            let names: Vec<&str> = words.filter(|word| word.starts_with("divvy_")).collect();
            assert!(!names.is_empty(), "{expression}");
            for name in names {
                assert!(samples.contains(&name), "{name} of {}", panel["title"]);
            }
            used += 1;
        }
    }
    assert!(used > 0);
}

//! Tests of the reader: pages as known programs write them, and servers that do not behave.

pub(in crate::process) mod pages;
pub(in crate::process) mod server;

use std::time::{Duration, Instant};

use super::MetricsReader;
use crate::telemetry::ReportedRequests;
use server::{PageServer, answer};

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the reader's figures meet a condition, and returns them.
fn wait_for(
    reader: &MetricsReader,
    condition: impl Fn(&ReportedRequests) -> bool,
) -> ReportedRequests {
    let started = Instant::now();
    loop {
        let latest = reader.latest();
        if condition(&latest) {
            return latest;
        }
        assert!(started.elapsed() < PATIENCE, "still {latest:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the figures after pages that a function writes, each from its number.
fn figures(page: impl Fn(u64) -> String + Send + 'static) -> ReportedRequests {
    let server = PageServer::start(move |number| answer(&page(number)));
    let reader = MetricsReader::start(&server.url("/metrics"), Some(95.0)).unwrap();
    wait_for(&reader, |latest| latest.span_us > 0 || latest.fault.is_some())
}

/// Returns the fault that these answers cause.
fn fault(answer: impl Fn(u64) -> Vec<u8> + Send + 'static) -> String {
    let server = PageServer::start(answer);
    let reader = MetricsReader::start(&server.url("/metrics"), None).unwrap();
    wait_for(&reader, |latest| latest.fault.is_some()).fault.unwrap()
}

fn text_fault(body: &'static str) -> String {
    fault(move |_| answer(body))
}

#[test]
fn triton_counters_give_mean() {
    let it = figures(pages::triton_counters);
    assert_eq!(it.source, "Triton");
    assert_eq!((it.mean_us, it.p99_us), (Some(2500.0), None));
    assert!(it.per_s > Some(0.0) && it.failed_per_s > Some(0.0), "{it:?}");
    assert!(it.resolution.contains("--metrics-config summary_latencies=true"), "{it:?}");
}

#[test]
fn triton_summaries_give_percentiles() {
    let it = figures(pages::triton_summaries);
    assert_eq!(it.source, "Triton, summary");
    assert_eq!((it.p50_us, it.p99_us, it.slo_us), (Some(900.0), Some(4200.0), Some(3000.0)));
    assert_eq!(it.mean_us, Some(1000.0));
    assert!(it.resolution.ends_with("the slowest of 2 series"), "{it:?}");
}

#[test]
fn vllm_histogram_gives_percentiles() {
    let it = figures(pages::vllm);
    assert_eq!((it.source.as_str(), it.mean_us), ("vLLM, histogram", Some(600_000.0)));
    assert_eq!((it.p50_us, it.p99_us), (Some(650_000.0), Some(797_000.0)));
    assert_eq!(it.resolution, "p99 between 500 and 800 ms, p95 between 500 and 800 ms");
}

#[test]
fn vllm_without_requests_is_no_fault() {
    let it = figures(|_| pages::VLLM_IDLE.to_owned());
    assert_eq!((it.source.as_str(), it.fault, it.p99_us), ("vLLM", None, None));
}

#[test]
fn ray_serve_prefers_http_requests() {
    let it = figures(pages::ray_serve);
    assert_eq!((it.source.as_str(), it.mean_us), ("Ray Serve, HTTP, histogram", Some(40_000.0)));
    assert_eq!(it.failed_per_s, Some(0.0));
}

#[test]
fn torchserve_counters_give_mean() {
    let it = figures(pages::torchserve);
    assert_eq!((it.source.as_str(), it.mean_us), ("TorchServe", Some(96_790.0)));
    assert!(it.failed_per_s.is_some(), "{it:?}");
}

#[test]
fn kserve_histogram_gives_percentiles() {
    let it = figures(pages::kserve);
    assert_eq!((it.source.as_str(), it.p50_us), ("KServe, histogram", Some(7500.0)));
}

#[test]
fn unknown_page_lists_its_histograms() {
    let text = text_fault(pages::CUSTOM);
    assert!(text.contains("after # in the row's `metrics`: inference_ms, queue_seconds"), "{text}");
    assert!(text.starts_with("http://127.0.0.1:"), "{text}");
}

#[test]
fn fragment_names_the_histogram() {
    let server = PageServer::start(|_| answer(pages::CUSTOM));
    let url = |name: &str| format!("{}#{name}", server.url("/metrics"));
    let reader = MetricsReader::start(&url("inference_ms"), None).unwrap();
    let it = wait_for(&reader, |latest| latest.span_us > 0);
    assert_eq!(it.source, "inference_ms, histogram");
    let reader = MetricsReader::start(&url("infer_ms"), None).unwrap();
    let text = wait_for(&reader, |latest| latest.fault.is_some()).fault.unwrap();
    assert!(text.contains("no metric \"infer_ms\"") && text.contains("inference_ms"), "{text}");
}

#[test]
fn html_page_is_a_fault() {
    let text = text_fault("<!doctype html>\n<html>\n<body>Hello</body>\n");
    assert!(text.contains("begins with \"<!doctype html>"), "{text}");
    let text = text_fault("{\"status\": \"ok\"}");
    assert!(text.contains("no page in Prometheus' text format"), "{text}");
    let text = text_fault("");
    assert!(text.contains("no histogram and no summary"), "{text}");
}

#[test]
fn missing_page_names_its_status() {
    let text = fault(|_| b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
    assert!(text.contains("\"404 Not Found\"; correct the path"), "{text}");
}

#[test]
fn other_protocols_are_a_fault() {
    let text = fault(|_| b"-ERR unknown command 'GET'\r\n".to_vec());
    assert!(text.contains("does not speak HTTP"), "{text}");
    let text = fault(|_| b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec());
    assert!(text.contains("does not speak HTTP"), "{text}");
    let text = fault(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n".to_vec()
    });
    assert!(text.contains("does not speak HTTP"), "{text}");
}

#[test]
fn refused_connection_is_a_fault() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let reader = MetricsReader::start(&format!("http://127.0.0.1:{port}/"), None).unwrap();
    let text = wait_for(&reader, |latest| latest.fault.is_some()).fault.unwrap();
    assert!(text.contains("connection refused"), "{text}");
}

#[test]
fn huge_page_is_a_fault() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let text = fault(move |_| {
        let mut whole = head.clone();
        whole.resize(9 << 20, b'\n');
        whole
    });
    assert!(text.contains("larger than 8 MiB"), "{text}");
    let text = fault(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec());
    assert!(text.contains("larger than 8 MiB"), "{text}");
}

#[test]
fn cut_page_is_a_fault() {
    let text = fault(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nup 1\n".to_vec());
    assert!(text.contains("ended in the middle"), "{text}");
}

#[test]
fn silent_server_times_out() {
    let server = PageServer::silent();
    let reader = MetricsReader::start(&server.url("/"), None).unwrap();
    let text = wait_for(&reader, |latest| latest.fault.is_some()).fault.unwrap();
    assert!(text.contains("no whole answer within 5 s"), "{text}");
}

#[test]
fn chunked_page_is_read() {
    let page = |number| {
        let body = pages::kserve(number);
        let (first, second) = body.split_at(body.len() / 3);
        let mut whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in [first, second] {
            whole.extend(format!("{:x};name=value\r\n{part}\r\n", part.len()).into_bytes());
        }
        whole.extend(b"0\r\n\r\n");
        whole
    };
    let server = PageServer::start(page);
    let reader = MetricsReader::start(&server.url("/metrics"), None).unwrap();
    let it = wait_for(&reader, |latest| latest.span_us > 0 || latest.fault.is_some());
    assert_eq!(it.p50_us, Some(7500.0), "{it:?}");
}

#[test]
fn page_that_returns_ends_the_fault() {
    let server = PageServer::start(|number| match number {
        0 => b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => answer(&pages::kserve(number)),
    });
    let reader = MetricsReader::start(&server.url("/metrics"), None).unwrap();
    wait_for(&reader, |latest| latest.fault.is_some());
    let it = wait_for(&reader, |latest| latest.span_us > 0);
    assert_eq!((it.source.as_str(), it.fault), ("KServe, histogram", None));
}

#[test]
fn drop_ends_the_thread() {
    let server = PageServer::start(|number| answer(&pages::kserve(number)));
    let reader = MetricsReader::start(&server.url("/metrics"), None).unwrap();
    wait_for(&reader, |latest| latest.span_us > 0);
    let shared = std::sync::Arc::downgrade(&reader.shared);
    drop(reader);
    let started = Instant::now();
    // the thread holds the only other reference
    while shared.strong_count() > 0 {
        assert!(started.elapsed() < PATIENCE, "the thread still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn bad_url_starts_no_reader() {
    let error = MetricsReader::start("https://localhost/metrics", None).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("plain HTTP only"), "{error}");
}

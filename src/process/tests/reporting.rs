//! Tests of what programs and the hardware report.

use std::time::Instant;

use super::support::{Program, host, options, row, wait_for};
use crate::layout::ProcessSource;
use crate::process::metrics::tests::pages;
use crate::process::metrics::tests::server::{PageServer, answer};
use crate::process::{ProcessAccess, ProcessOptions};

/// Returns the source of a program with a metrics page.
fn with_page(program: &Program, url: String) -> ProcessSource {
    ProcessSource { metrics: Some(url), ..program.source() }
}

#[test]
fn row_has_the_requests_of_its_page() {
    let server = PageServer::start(|number| answer(&pages::kserve(number)));
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &with_page(&program, server.url("/metrics")), 1);
    row.set_percentile(Some(90.0));
    let requests = || row.sample().view.requests.clone().unwrap();
    wait_for("the latency of its target", || requests().slo_us.is_some());
    assert_eq!(requests().source, "KServe, histogram");
    row.set_source(&program.source());
    wait_for("a row without a page", || row.sample().view.requests.is_none());
}

#[test]
fn row_names_the_fault_of_its_url() {
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &with_page(&program, "https://localhost/".to_owned()), 1);
    let fault = row.sample().view.requests.clone().unwrap().fault.unwrap();
    assert!(fault.contains("plain HTTP only"), "{fault}");
}

#[test]
fn record_has_cells_of_use_with_requests() {
    let start = Instant::now();
    let server = PageServer::start(|number| answer(&pages::kserve(number)));
    let mut program = Program::start();
    program
        .run("threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()");
    let host = host(options());
    let row = row(&host, &with_page(&program, server.url("/metrics")), 1);
    let cells = || row.use_record().cells(start, Instant::now());
    wait_for("cells with requests", || {
        cells().iter().filter(|cell| cell.cpu > 0.0 && cell.requests.is_some()).count() >= 2
    });
    let requests = cells().iter().filter_map(|cell| cell.requests).next_back().unwrap();
    assert!(requests.count > 0.0, "{requests:?}");
}

#[test]
fn bandwidth_without_figures_says_why() {
    let program = Program::start();
    let access = ProcessAccess::Observe;
    let host = host(ProcessOptions { access, ..options() });
    let row = row(&host, &program.source(), 1);
    let missing = row.sample().view.bandwidth.missing.clone().unwrap();
    assert!(missing.contains("--readonly"), "{missing}");
}

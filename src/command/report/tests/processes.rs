//! Reports of rows of processes.

use std::sync::Arc;
use std::time::Duration;

use super::{model, snapshot};
use crate::command::report::{
    Progress, ReportSpan, failed_models, header_line, interval_line, summary,
};
use crate::engine::EngineMemory;
use crate::layout::{Budget, ProcessSelector, ProcessSource, Slo};
use crate::machine::CpuSet;
use crate::telemetry::{
    ModelState, ModelView, ProcessState, ProcessView, ReportedRequests, RequestCounts, Snapshot,
    Window,
};

fn process(name: &str, state: ProcessState) -> ModelView {
    let source = ProcessSource::new(ProcessSelector::Exe(name.to_owned()));
    let mut view = model(name, "0-1", 0);
    view.row.budget = Budget::new(name, source);
    view.process = Some(Arc::new(ProcessView {
        state,
        process_count: 3,
        thread_count: 64,
        rss_bytes: 900 << 20,
        ..ProcessView::default()
    }));
    view.counts = RequestCounts::default();
    view.run = Window::default();
    (view.memory, view.load) = (EngineMemory::default(), None);
    view.engine_title = String::new();
    view
}

/// A model, processes with metrics, a row that waits and a command that is started again.
fn rows() -> Snapshot {
    let mut triton = process("triton", ProcessState::Running);
    triton.row.budget.slo = Some(Slo { percentile: 99.0, bound: Duration::from_millis(20) });
    let requests = ReportedRequests {
        per_s: Some(812.4),
        p50_us: Some(4_100.0),
        p99_us: Some(21_000.0),
        slo_us: Some(21_000.0),
        ..ReportedRequests::default()
    };
    let view = triton.process.as_mut().map(Arc::make_mut).unwrap();
    view.requests = Some(requests);
    let mut redis = process("redis", ProcessState::Absent);
    redis.row.cores = CpuSet::EMPTY;
    (redis.cpu, redis.wait, redis.state) = (0.0, None, ModelState::Absent);
    let view = redis.process.as_mut().map(Arc::make_mut).unwrap();
    (view.process_count, view.thread_count, view.rss_bytes) = (0, 0, 0);
    let again = ProcessState::Restarting { ended: "exit code 1".to_owned(), wait_ms: 2_000 };
    let mut service = process("service", again);
    service.state = ModelState::Failed { reason: "ended with exit code 1".to_owned() };
    snapshot(vec![model("detector", "0-3", 6_100), triton, redis, service])
}

#[test]
fn columns_of_models_are_blank() {
    let (rows, span) = (rows(), ReportSpan::between(None, &rows()));
    insta::assert_snapshot!(header_line(&rows, &span) + &interval_line(&rows, &span));
    insta::assert_snapshot!("summary_of_processes", summary(&rows));
}

#[test]
fn only_a_command_that_stays_ended_has_failed() {
    assert_eq!(failed_models(&rows()), None);
    let mut ended = rows();
    let view = ended.models[3].process.as_mut().map(Arc::make_mut).unwrap();
    view.state = ProcessState::Ended { ended: "exit code 0".to_owned() };
    assert_eq!(failed_models(&ended), None);
    let view = ended.models[3].process.as_mut().map(Arc::make_mut).unwrap();
    view.state = ProcessState::Ended { ended: "exit code 1".to_owned() };
    let failed = failed_models(&ended).unwrap();
    assert_eq!(failed, "1 of 4 rows failed: service: ended with exit code 1");
    let lines = Progress::default().lines(&ended);
    assert_eq!(lines[0], "service failed: ended with exit code 1");
    assert!(lines[1].starts_with("3 of 4 rows ready"), "{lines:?}");
}

//! Alerts: messages that say what is wrong, and why.

use super::model_view::{ModelState, ModelView};
use super::name_list::name_list;
use super::server_alerts::{refuses_full_queue, server_alerts};
use super::snapshot::{Alert, Snapshot};
use super::text;
use super::window::Window;
use crate::layout::{Slo, number, print_duration, short_name};

/// A model is starved if it waits for a CPU for more than this share of its runnable time.
const STARVED: f64 = 0.25;

/// A model is starved only if at least this many of its threads wait on average: one that hardly
/// runs also hardly waits.
const MIN_WAITING_THREADS: f64 = 0.1;

/// A model that uses less than this many cores is idle: its threads wake now and then, and may wait each time.
const MIN_USE: f64 = 0.02;

/// At least this many threads wait on average only where work is held up, however little the model uses.
const CERTAIN_WAITING_THREADS: f64 = 0.5;

/// Minimum number of requests in the last minute for judging an SLO.
const MIN_REQUESTS: u64 = 20;

/// Minimum length of the window for judging an SLO: the first requests find empty caches.
const MIN_SPAN_US: u64 = 10_000_000;

/// A window of this length covers the last minute, which consists of 55 to 60 s.
const MINUTE_US: u64 = 55_000_000;

/// An alert of one kind is grouped if it concerns more models than this.
const MAX_SEPARATE: usize = 3;

/// The title of alerts about full queues.
const FULL_QUEUES: &str = "have a full queue";

/// Returns a model's problem of one kind, as its message and severity.
type Check = fn(&ModelView) -> Option<(String, f64)>;

/// A problem of one model.
struct Finding<'a> {
    model: &'a str,
    /// The message without the model's name.
    text: String,
    /// Orders findings of one kind; the highest is the worst.
    severity: f64,
}

/// Returns the alerts of a snapshot. If one kind of alert concerns many models, they share one
/// message that names the worst.
pub fn alerts(snapshot: &Snapshot) -> Vec<Alert> {
    let mut alerts = failures(&snapshot.models);
    alerts.extend(server_alerts(snapshot));
    let kinds: [(&str, Check); 7] = [
        ("are paused and lose requests", paused),
        ("miss their latency target", missed),
        (FULL_QUEUES, full),
        ("wait for a CPU", starved),
        ("differ from their row", differs),
        ("are served without a trial", untried),
        ("have a metrics page without figures", unreported),
    ];
    for (kind, check) in kinds {
        let findings = snapshot.models.iter().filter_map(|model| {
            let (text, severity) = check(model)?;
            // an alert about its clients says it
            if kind == FULL_QUEUES && refuses_full_queue(snapshot, &model.row.budget.name) {
                return None;
            }
            Some(Finding { model: &model.row.budget.name, text, severity })
        });
        alerts.extend(grouped(kind, findings.collect()));
    }
    if let Some(quota) = snapshot.ledger.quota
        && snapshot.ledger.threads as f64 > quota
    {
        let threads = snapshot.ledger.threads;
        alerts.push(Alert {
            model: None,
            text: format!(
                "{threads} threads share a CPU quota of {}: the container will be throttled",
                number(quota)
            ),
        });
    }
    alerts
}

/// Returns one alert per finding, or one for all if there are many.
fn grouped(kind: &str, findings: Vec<Finding<'_>>) -> Vec<Alert> {
    let worst = findings.iter().max_by(|a, b| a.severity.total_cmp(&b.severity));
    if let Some(worst) = worst.filter(|_| findings.len() > MAX_SEPARATE) {
        let Finding { model, text, .. } = worst;
        let name = short_name(model);
        let text = format!("{} models {kind}; the worst: {name} {text}", findings.len());
        return vec![Alert { model: Some((*model).to_owned()), text }];
    }
    let alert = |finding: Finding<'_>| Alert {
        model: Some(finding.model.to_owned()),
        text: format!("{} {}", short_name(finding.model), finding.text),
    };
    findings.into_iter().map(alert).collect()
}

/// Returns the alerts about failed models: one per reason if several share it.
fn failures(models: &[ModelView]) -> Vec<Alert> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for model in models {
        let ModelState::Failed { reason } = &model.state else { continue };
        let name = model.row.budget.name.as_str();
        match by_reason.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((reason, vec![name])),
        }
    }
    let alert = |(reason, names): (&str, Vec<&str>)| Alert {
        model: names.first().map(|name| (*name).to_owned()),
        text: format!("{} failed: {reason}", name_list(&names)),
    };
    by_reason.into_iter().map(alert).collect()
}

fn missed(model: &ModelView) -> Option<(String, f64)> {
    let slo = model.row.budget.slo?;
    let text = missed_target(slo, &model.minute, starved(model).is_some())?;
    let excess = model.minute.slo_us? as f64 / slo.bound.as_micros().max(1) as f64;
    Some((text, excess))
}

/// Returns the message about a window that misses its target.
fn missed_target(slo: Slo, window: &Window, starved: bool) -> Option<String> {
    let latency_us = window.slo_us?;
    let judged = window.total.count >= MIN_REQUESTS && window.span_us >= MIN_SPAN_US;
    if !judged || u128::from(latency_us) <= slo.bound.as_micros() {
        return None;
    }
    let cause = if starved {
        ", and it waits for a CPU"
    } else if window.queue.count == 0 && window.compute.count == 0 {
        // a program that reports its own requests divides no latency
        ""
    } else if window.queue.p99_us > window.compute.p99_us {
        ", its slowest requests mostly waited in the queue"
    } else {
        ", its slowest requests mostly computed"
    };
    let span = match window.span_us {
        MINUTE_US.. => "minute".to_owned(),
        shorter => format!("{} s", shorter / 1_000_000),
    };
    Some(format!(
        "misses its target: p{} is {:.1} ms against {} over the last {span}{cause}",
        number(slo.percentile),
        latency_us as f64 / 1e3,
        print_duration(slo.bound),
    ))
}

fn paused(model: &ModelView) -> Option<(String, f64)> {
    let lost = model.second.lost_per_s;
    (model.state == ModelState::Paused && lost > 0.0)
        .then(|| (format!("is {}", text::paused(model)), lost))
}

fn full(model: &ModelView) -> Option<(String, f64)> {
    if paused(model).is_some() {
        return None;
    }
    let limit = model.row.budget.queue.limit as u64;
    let waits = model.counts.queued + model.counts.blocked;
    (model.counts.queued >= limit || model.counts.blocked > 0).then(|| {
        let arrives =
            model.offered_per_s.map_or_else(String::new, |rate| format!("{rate:.0}/s arrive, "));
        let text = format!(
            "has a full queue ({waits} wait, limit {limit}): {arrives}{:.0}/s complete",
            model.second.completed_per_s,
        );
        (text, waits as f64)
    })
}

fn starved(model: &ModelView) -> Option<(String, f64)> {
    let wait = model.wait.filter(|wait| *wait > STARVED && *wait < 1.0)?;
    // `wait` is a share of (CPU + wait); solve for the number of waiting threads.
    let waiting = model.cpu * wait / (1.0 - wait);
    let is_idle = model.cpu < MIN_USE && waiting < CERTAIN_WAITING_THREADS;
    if waiting < MIN_WAITING_THREADS || is_idle {
        return None;
    }
    let (threads, cores) = match &model.process {
        Some(process) => (process.runnable.ceil() as usize, model.actual.cores.len()),
        None => (model.actual.active * model.actual.threads_per_instance, model.row.cores.len()),
    };
    let text = format!(
        "waits for a CPU {:.0} % of the time that it could run: {threads} thread{} on {cores} core{}",
        wait * 100.0,
        if threads == 1 { "" } else { "s" },
        if cores == 1 { "" } else { "s" },
    );
    Some((text, wait))
}

fn differs(model: &ModelView) -> Option<(String, f64)> {
    let difference = model.actual.difference.as_ref()?;
    Some((format!("differs from its row: {difference}"), 0.0))
}

fn untried(model: &ModelView) -> Option<(String, f64)> {
    let reason = model.untried.as_ref()?;
    Some((format!("is not tried until a request of a caller succeeds: {reason}"), 0.0))
}

/// Returns the fault of a program's metrics page. A program that does not run has none.
fn unreported(model: &ModelView) -> Option<(String, f64)> {
    let process = model.process.as_ref().filter(|_| model.state == ModelState::Running)?;
    let fault = process.requests.as_ref()?.fault.as_ref()?;
    Some((format!("has no figures of its requests: {fault}"), 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a model of a recording under another name.
    fn model(name: &str, queued: u64) -> ModelView {
        let recording = include_str!("../../tests/recordings/version-1.ndjson");
        let snapshot: Snapshot = serde_json::from_str(recording).unwrap();
        let mut view = snapshot.models[0].clone();
        view.row.budget.name = name.to_owned();
        view.counts.queued = queued;
        view.wait = None;
        view
    }

    fn texts(models: Vec<ModelView>) -> Vec<String> {
        let snapshot = Snapshot { models, ..Snapshot::default() };
        alerts(&snapshot).into_iter().map(|alert| alert.text).collect()
    }

    #[test]
    fn many_full_queues_give_one_alert() {
        let limit = model("m", 0).row.budget.queue.limit as u64;
        let models = (0..38).map(|index| model(&format!("m{index}"), limit + index)).collect();
        let texts = texts(models);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].starts_with("38 models have a full queue; the worst: m37 "), "{texts:?}");
    }

    #[test]
    fn idle_row_is_not_starved() {
        let starved = |cpu: f64, wait: f64| {
            let view = ModelView { cpu, wait: Some(wait), ..model("m", 0) };
            super::starved(&view).is_some()
        };
        assert!(!starved(0.004, 0.97), "it wakes now and then");
        assert!(starved(0.1, 0.6) && starved(0.01, 0.99), "it has work");
    }

    #[test]
    fn paused_model_reports_its_losses() {
        let mut paused = model("m", 3);
        paused.state = ModelState::Paused;
        paused.row.budget.paused = true;
        paused.row.budget.queue.timeout = Some(std::time::Duration::from_millis(500));
        paused.offered_per_s = Some(40.2);
        paused.second.lost_per_s = 39.7;
        let text = "m is paused: 40/s arrive, 40/s time out after 500ms";
        assert_eq!(texts(vec![paused.clone()]), [text]);
        paused.second.lost_per_s = 0.0;
        assert!(texts(vec![paused.clone()]).is_empty(), "nothing is lost yet");
        assert_eq!(super::text::paused(&paused), "paused: 40/s arrive, 3 wait in its queue");
    }

    #[test]
    fn models_that_fail_alike_share_an_alert() {
        let failed = |name: &str, reason: &str| ModelView {
            state: ModelState::Failed { reason: reason.to_owned() },
            ..model(name, 0)
        };
        let models = vec![failed("a", "no file"), failed("b", "bad"), failed("c", "no file")];
        assert_eq!(texts(models), ["a, c failed: no file", "b failed: bad"]);
    }

    #[test]
    fn untried_model_has_an_alert() {
        let untried = ModelView { untried: Some("no guess runs".to_owned()), ..model("m", 0) };
        let text = "m is not tried until a request of a caller succeeds: no guess runs";
        assert_eq!(texts(vec![untried]), [text]);
    }

    /// Returns a row of processes that report these requests, with a target of 20 ms.
    fn process(requests: crate::telemetry::ReportedRequests) -> ModelView {
        let mut view = model("triton", 0);
        view.state = ModelState::Running;
        view.minute = Window::of_reported(&requests);
        let slo = Slo { percentile: 99.0, bound: std::time::Duration::from_millis(20) };
        view.row.budget.slo = Some(slo);
        let process = crate::telemetry::ProcessView {
            requests: Some(requests),
            ..crate::telemetry::ProcessView::default()
        };
        view.process = Some(std::sync::Arc::new(process));
        view
    }

    #[test]
    fn process_that_misses_its_target_has_an_alert() {
        let reported = crate::telemetry::ReportedRequests {
            per_s: Some(50.0),
            p50_us: Some(15_000.0),
            slo_us: Some(23_500.0),
            span_us: 10_000_000,
            ..crate::telemetry::ReportedRequests::default()
        };
        let text = "triton misses its target: p99 is 23.5 ms against 20ms over the last 10 s";
        assert_eq!(texts(vec![process(reported.clone())]), [text]);
        let good = crate::telemetry::ReportedRequests { slo_us: Some(19_000.0), ..reported };
        assert!(texts(vec![process(good)]).is_empty());
    }

    #[test]
    fn faulty_metrics_page_has_an_alert() {
        let requests = crate::telemetry::ReportedRequests {
            fault: Some("http://127.0.0.1:1/: connection refused".to_owned()),
            ..crate::telemetry::ReportedRequests::default()
        };
        let mut row = process(requests);
        let text = "triton has no figures of its requests: http://127.0.0.1:1/: connection refused";
        assert_eq!(texts(vec![row.clone()]), [text]);
        row.state = ModelState::Absent;
        assert!(texts(vec![row]).is_empty());
    }

    #[test]
    fn missed_slo_alert_names_its_window() {
        let slo = Slo { percentile: 99.0, bound: std::time::Duration::from_millis(20) };
        let message = |seconds: u64| {
            let mut window = Window { slo_us: Some(69_600), ..Window::default() };
            window.total.count = 1000;
            window.compute.count = 1000;
            window.span_us = seconds * 1_000_000;
            missed_target(slo, &window, false)
        };
        assert_eq!(message(4), None);
        for (seconds, span) in [(12, "over the last 12 s, "), (58, "over the last minute, ")] {
            let text = message(seconds).unwrap();
            assert!(text.contains(span), "{text}");
        }
    }
}

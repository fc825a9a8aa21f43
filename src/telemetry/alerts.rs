//! Alerts: messages that say what is wrong and why.

use super::snapshot::{Alert, ModelState, ModelView, Snapshot, Window};
use crate::layout::{Slo, print_duration};

/// Share of a model's runnable time spent waiting for a CPU from which on it counts as starved.
const STARVED: f64 = 0.25;

/// Runnable threads waiting, on average over the interval, below which nobody is starved: a model
/// that hardly runs also hardly waits.
const WAITING: f64 = 0.1;

/// Requests in the last minute below which an SLO is not judged.
const ENOUGH: u64 = 20;

/// Time since the start, or since the model came, below which an SLO is not judged: first requests find
/// caches empty.
const SETTLED_US: u64 = 10_000_000;

/// Alerts of one kind above which they are shown as one.
const SINGLE_ALERTS: usize = 5;

/// A window that long is a minute: its blocks take turns.
const MINUTE_US: u64 = 55_000_000;

/// What the operator should know of this snapshot.
pub fn alerts(snapshot: &Snapshot) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let full_queues = full_queues(&snapshot.models);
    alerts.extend(full_queues.clone());
    for model in &snapshot.models {
        let name = &model.row.budget.name;
        let full = full(model).filter(|_| full_queues.is_none());
        let sentences = [failed(model), missed(model), full, starved(model), differs(model)];
        alerts.extend(
            sentences
                .into_iter()
                .flatten()
                .map(|text| Alert { model: Some(name.clone()), text: format!("{name} {text}") }),
        );
    }
    if let Some(quota) = snapshot.ledger.quota
        && snapshot.ledger.threads as f64 > quota
    {
        let threads = snapshot.ledger.threads;
        alerts.push(Alert {
            model: None,
            text: format!(
                "{threads} threads share a CPU quota of {quota:.1}: the container will be throttled"
            ),
        });
    }
    alerts
}

fn failed(model: &ModelView) -> Option<String> {
    match &model.state {
        ModelState::Failed { reason } => Some(format!("failed: {reason}")),
        _ => None,
    }
}

fn missed(model: &ModelView) -> Option<String> {
    over(model.row.budget.slo?, &model.minute, starved(model).is_some())
}

/// What a window says of a target that it misses.
fn over(slo: Slo, window: &Window, starved: bool) -> Option<String> {
    let is = window.slo_us?;
    let judged = window.total.count >= ENOUGH && window.span_us >= SETTLED_US;
    if !judged || u128::from(is) <= slo.bound.as_micros() {
        return None;
    }
    let cause = if starved {
        "and it waits for a CPU"
    } else if window.queue.p99_us > window.compute.p99_us {
        "most of the slowest in the queue"
    } else {
        "most of the slowest computing"
    };
    let span = match window.span_us {
        MINUTE_US.. => "minute".to_owned(),
        shorter => format!("{} s", shorter / 1_000_000),
    };
    Some(format!(
        "misses its target: p{} is {:.1} ms against {} over the last {span}, {cause}",
        slo.percentile,
        is as f64 / 1e3,
        print_duration(slo.bound),
    ))
}

/// Returns one alert for all full queues if there are more than [`SINGLE_ALERTS`].
fn full_queues(models: &[ModelView]) -> Option<Alert> {
    let waiting = |model: &ModelView| model.counts.queued + model.counts.blocked;
    let full: Vec<&ModelView> = models.iter().filter(|model| full(model).is_some()).collect();
    let worst = full.iter().max_by_key(|model| waiting(model))?;
    (full.len() > SINGLE_ALERTS).then(|| Alert {
        model: None,
        text: format!(
            "queue full: {} models, worst {} ({} requests waiting, limit {})",
            full.len(),
            worst.row.budget.name,
            waiting(worst),
            worst.row.budget.queue.limit,
        ),
    })
}

fn full(model: &ModelView) -> Option<String> {
    let limit = model.row.budget.queue.limit as u64;
    let waits = model.counts.queued + model.counts.blocked;
    (model.counts.queued >= limit || model.counts.blocked > 0).then(|| {
        let arrives =
            model.offered_per_s.map_or_else(String::new, |rate| format!("{rate:.0}/s arrive, "));
        format!(
            "has a full queue ({waits} wait, limit {limit}): {arrives}{:.0}/s are completed",
            model.second.completed_per_s,
        )
    })
}

fn starved(model: &ModelView) -> Option<String> {
    let wait = model.wait.filter(|wait| *wait > STARVED && *wait < 1.0)?;
    // `wait` is a share of (CPU + wait): from it and the CPU time, the waiting itself.
    let waiting = model.cpu * wait / (1.0 - wait);
    if waiting < WAITING {
        return None;
    }
    let threads = model.actual.active * model.actual.threads_per_instance;
    let cores = model.row.cores.len();
    Some(format!(
        "waits for a CPU {:.0} % of the time that it could run: {threads} thread{} on {cores} core{}",
        wait * 100.0,
        if threads == 1 { "" } else { "s" },
        if cores == 1 { "" } else { "s" },
    ))
}

fn differs(model: &ModelView) -> Option<String> {
    model.actual.difference.as_ref().map(|difference| format!("is not as desired: {difference}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_judged_after_some_seconds_and_the_sentence_says_over_which() {
        let slo = Slo { percentile: 99.0, bound: std::time::Duration::from_millis(20) };
        let told = |seconds: u64| {
            let mut window = Window { slo_us: Some(69_600), ..Window::default() };
            window.total.count = 1000;
            window.span_us = seconds * 1_000_000;
            over(slo, &window, false)
        };
        assert_eq!(told(4), None);
        for (seconds, words) in [(12, "over the last 12 s, "), (58, "over the last minute, ")] {
            let text = told(seconds).unwrap();
            assert!(text.contains(words), "{text}");
        }
    }
}

//! Text for metrics, verdicts and changes, shared by the console, the report and `divvy journal`.

use super::author::Author;
use super::change_status::ChangeStatus;
use super::journal::{Comparison, JournalEntry, Metric, SampleKind, Verdict, VerdictStatus};
use super::model_view::ModelView;
use crate::layout::{Overflow, number, print_duration, short_name};

/// The direction of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// No clear difference, or no verdict: still measured, cut short, or too few requests.
    Unclear,
    /// A clear change for the better.
    Better,
    /// A clear change for the worse.
    Worse,
}

/// Formats a latency in milliseconds without the unit: "0.85", "14.2", "2310"; past 100 s in
/// seconds. At most six columns.
pub fn millis(us: u64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        0..10_000 => format!("{ms:.2}"),
        10_000..1_000_000 => format!("{ms:.1}"),
        1_000_000..100_000_000 => format!("{ms:.0}"),
        _ => format!("{:.0}s", ms / 1e3),
    }
}

/// Formats a rate per second in at most six columns.
pub fn rate(per_s: f64) -> String {
    if per_s < 999.95 {
        format!("{per_s:.1}")
    } else if per_s < 99_999.5 {
        format!("{per_s:.0}")
    } else if per_s < 99_999_500.0 {
        format!("{:.0}k", per_s / 1e3)
    } else {
        format!("{:.0}M", per_s / 1e6)
    }
}

/// Returns the name of an author.
pub fn author(author: &Author) -> &str {
    match author {
        Author::Console => "console",
        Author::Api => "API",
        Author::File => "file",
        Author::Advice => "advice",
        Author::Scheduler => "divvy",
        Author::Remote(name) => name.as_str(),
        Author::Tuner => "tuner",
        Author::Autopilot => "autopilot",
    }
}

/// Returns the name of a metric.
pub fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::P50 => "p50",
        Metric::P99 => "p99",
        Metric::Throughput => "done",
        Metric::Goodput => "within SLO",
        Metric::Mean => "mean",
        Metric::Cpu => "CPU time",
        Metric::Wait => "waiting",
    }
}

/// Formats a metric before and after: "p99 21.0 -> 14.2 ms". `arrow` separates the two values.
pub fn before_after(comparison: &Comparison, arrow: &str) -> String {
    let (before, after, unit) = match comparison.metric {
        Metric::P50 | Metric::P99 | Metric::Mean => {
            (millis(comparison.before as u64), millis(comparison.after as u64), "ms")
        }
        Metric::Throughput | Metric::Goodput => {
            (rate(comparison.before), rate(comparison.after), "/s")
        }
        Metric::Cpu | Metric::Wait => {
            (format!("{:.2}", comparison.before), format!("{:.2}", comparison.after), "cores")
        }
    };
    format!("{} {before} {arrow} {after} {unit}", metric(comparison.metric))
}

/// Formats the relative change as " (-32%)"; empty if the metric was 0 before the change.
pub fn percentage(comparison: &Comparison) -> String {
    if comparison.before > 0.0 {
        format!(" ({:+.0}%)", comparison.change * 100.0)
    } else {
        String::new()
    }
}

/// Formats the relative change and its interval; empty if the metric was 0 before the change.
fn percentage_with_interval(comparison: &Comparison) -> String {
    let Comparison { before, change, low, high, .. } = comparison;
    if *before > 0.0 {
        let [change, low, high] = [change, low, high].map(|part| part * 100.0);
        format!(" ({change:+.0} %, between {low:+.0} % and {high:+.0} %)")
    } else {
        String::new()
    }
}

/// Returns true if the metric changed for the better.
pub fn better(comparison: &Comparison) -> bool {
    match comparison.metric {
        Metric::P50 | Metric::P99 | Metric::Mean | Metric::Wait => {
            comparison.after < comparison.before
        }
        Metric::Throughput | Metric::Goodput | Metric::Cpu => comparison.after > comparison.before,
    }
}

/// Returns a verdict as one short clause with the most important clear difference, for a line about
/// several models.
pub fn verdict_clause(verdict: &Verdict, arrow: &str) -> (String, Meaning) {
    let model = short_name(&verdict.model);
    if verdict.status != VerdictStatus::Done {
        return (undecided(verdict), Meaning::Unclear);
    }
    let clear = || verdict.comparisons.iter().filter(|comparison| comparison.clear);
    // Most changes are made for the tail.
    let shown =
        clear().find(|comparison| comparison.metric == Metric::P99).or_else(|| clear().next());
    let Some(shown) = shown else {
        return (format!("{model}: no clear difference"), Meaning::Unclear);
    };
    let meaning = if better(shown) { Meaning::Better } else { Meaning::Worse };
    (format!("{model} {}{}", before_after(shown, arrow), percentage(shown)), meaning)
}

/// Returns a verdict in full: clear differences with their intervals, the other metrics, and the
/// numbers of requests.
pub fn verdict_text(verdict: &Verdict) -> String {
    if verdict.status != VerdictStatus::Done {
        return undecided(verdict);
    }
    let clear =
        verdict.comparisons.iter().filter(|comparison| comparison.clear).map(|shown| {
            format!("{}{}", before_after(shown, "->"), percentage_with_interval(shown))
        });
    let mut parts: Vec<String> = clear.collect();
    let unclear: Vec<&str> = verdict
        .comparisons
        .iter()
        .filter(|comparison| !comparison.clear)
        .map(|comparison| metric(comparison.metric))
        .collect();
    if parts.is_empty() {
        parts.push("no clear difference".to_owned());
    } else if !unclear.is_empty() {
        parts.push(format!("no clear difference in {}", unclear.join(", ")));
    }
    format!(
        "{}: {}; {} and {} {}",
        short_name(&verdict.model),
        parts.join("; "),
        verdict.samples_before,
        verdict.samples_after,
        sample_noun(verdict.counted),
    )
}

/// Returns the reason why there is no verdict, or none yet.
fn undecided(verdict: &Verdict) -> String {
    let model = short_name(&verdict.model);
    match verdict.status {
        VerdictStatus::Open => format!("{model} is being measured"),
        VerdictStatus::Superseded => format!("{model}: cut short by a later change"),
        VerdictStatus::NotEnough | VerdictStatus::Done => format!(
            "{model}: not enough {} to compare ({} before, {} after)",
            sample_noun(verdict.counted),
            verdict.samples_before,
            verdict.samples_after
        ),
    }
}

/// Returns the noun for the samples of a verdict.
pub fn sample_noun(kind: SampleKind) -> &'static str {
    match kind {
        SampleKind::Requests => "requests",
        SampleKind::Seconds => "seconds",
    }
}

/// Formats a duration with its unit: "850 us", "14.2 ms", "2.3 s".
pub fn duration(us: u64) -> String {
    match us {
        0..1000 => format!("{us} us"),
        1000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// Formats the status of a change, which took `us` microseconds to come into force: "in force in
/// 134 us", "building 59 of 300", "rolled back: no memory".
pub fn status(status: &ChangeStatus, us: u64) -> String {
    match status {
        ChangeStatus::InForce => format!("in force in {}", duration(us)),
        ChangeStatus::Building { ready, total } => format!("building {ready} of {total}"),
        ChangeStatus::RolledBack { reason } => format!("rolled back: {reason}"),
        ChangeStatus::Failed { reason } => format!("failed: {reason}"),
        ChangeStatus::Replaced => "replaced before it was in force".to_owned(),
        ChangeStatus::Unfinished => "not in force when the run ended".to_owned(),
    }
}

/// Formats the status of an entry.
pub fn entry_status(entry: &JournalEntry) -> String {
    status(&entry.status, entry.built_us.unwrap_or(entry.force_us))
}

/// Returns the reason why a model is paused and what happens to its requests: "paused: 40/s arrive,
/// 40/s time out after 500ms".
pub fn paused(model: &ModelView) -> String {
    let budget = &model.row.budget;
    let queue = budget.queue;
    let why = if budget.paused { "paused" } else { "paused without a core" };
    let arrive = model.offered_per_s.filter(|rate| *rate > 0.0);
    let arrive = arrive.map_or_else(String::new, |rate| format!("{}/s arrive, ", brief(rate)));
    let waiting = model.counts.queued + model.counts.blocked;
    let lost = model.second.lost_per_s;
    let fate = match (queue.timeout, queue.overflow) {
        _ if lost <= 0.0 && waiting == 0 => "requests wait in its queue".to_owned(),
        _ if lost <= 0.0 => format!("{waiting} wait in its queue"),
        (_, Overflow::Reject) if model.counts.queued >= queue.limit as u64 => {
            format!("{}/s are rejected: its queue is full", brief(lost))
        }
        (Some(timeout), _) => {
            format!("{}/s time out after {}", brief(lost), print_duration(timeout))
        }
        (None, _) => format!("{}/s are lost", brief(lost)),
    };
    format!("{why}: {arrive}{fate}")
}

/// Formats a rate for a sentence: "40", "2.5".
fn brief(per_s: f64) -> String {
    if per_s < 9.95 { number((per_s * 10.0).round() / 10.0) } else { format!("{per_s:.0}") }
}

/// Returns counts of refused requests: "20 queue full, 3 timed out".
pub fn refused_list(counts: &[(String, u64)]) -> String {
    let count = |(reason, count): &(String, u64)| format!("{count} {reason}");
    counts.iter().map(count).collect::<Vec<_>>().join(", ")
}

/// Returns a change in one line without its time: author, summary, status, and whether it was undone.
pub fn headline(entry: &JournalEntry) -> String {
    let step = match (entry.undoes, entry.redoes) {
        (Some(id), _) => format!("undo of #{id}: "),
        (None, Some(id)) => format!("redo of #{id}: "),
        (None, None) => String::new(),
    };
    let undone = if is_undone(entry) { " (undone)" } else { "" };
    format!(
        "#{} {}: {step}{}, {}{undone}",
        entry.id,
        author(&entry.author),
        entry.summary,
        entry_status(entry)
    )
}

/// Returns true if an undo reversed a change. A rollback is not called an undo.
pub fn is_undone(entry: &JournalEntry) -> bool {
    entry.undone && !entry.status.is_failure()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(metric: Metric, before: f64, after: f64, clear: bool) -> Comparison {
        let change = after / before - 1.0;
        let (low, high) = (change - 0.08, change + 0.1);
        Comparison { metric, before, after, change, low, high, clear }
    }

    fn verdict(status: VerdictStatus, comparisons: Vec<Comparison>) -> Verdict {
        Verdict {
            model: "detector".to_owned(),
            status,
            samples_before: 812,
            samples_after: 790,
            counted: SampleKind::default(),
            comparisons,
        }
    }

    #[test]
    fn clear_difference_has_its_interval() {
        let metrics = vec![
            comparison(Metric::P50, 6100.0, 6000.0, false),
            comparison(Metric::P99, 21_000.0, 14_200.0, true),
        ];
        let verdict = verdict(VerdictStatus::Done, metrics);
        assert_eq!(
            verdict_text(&verdict),
            "detector: p99 21.0 -> 14.2 ms (-32 %, between -40 % and -22 %); no clear difference \
             in p50; 812 and 790 requests"
        );
        let (text, meaning) = verdict_clause(&verdict, "->");
        assert_eq!(text, "detector p99 21.0 -> 14.2 ms (-32%)");
        assert_eq!(meaning, Meaning::Better);
    }

    #[test]
    fn change_from_zero_has_no_percentage() {
        let change = Comparison { change: 0.0, ..comparison(Metric::Goodput, 1.0, 2.3, true) };
        let from_zero = Comparison { before: 0.0, ..change };
        let verdict = verdict(VerdictStatus::Done, vec![from_zero]);
        assert_eq!(
            verdict_text(&verdict),
            "detector: within SLO 0.0 -> 2.3 /s; 812 and 790 requests"
        );
        let (text, meaning) = verdict_clause(&verdict, "->");
        assert_eq!(text, "detector within SLO 0.0 -> 2.3 /s");
        assert_eq!(meaning, Meaning::Better);
    }

    #[test]
    fn direction_depends_on_the_metric() {
        let more = comparison(Metric::Throughput, 100.0, 150.0, true);
        assert_eq!(
            verdict_clause(&verdict(VerdictStatus::Done, vec![more]), "->").1,
            Meaning::Better
        );
        let slower = comparison(Metric::P50, 100.0, 150.0, true);
        assert_eq!(
            verdict_clause(&verdict(VerdictStatus::Done, vec![slower]), "->").1,
            Meaning::Worse
        );
    }

    #[test]
    fn undecided_verdicts_claim_nothing() {
        let same =
            verdict(VerdictStatus::Done, vec![comparison(Metric::Goodput, 100.0, 101.0, false)]);
        assert_eq!(verdict_text(&same), "detector: no clear difference; 812 and 790 requests");
        assert_eq!(verdict_clause(&same, "->").1, Meaning::Unclear);
        for (status, text) in [
            (VerdictStatus::Open, "is being measured"),
            (VerdictStatus::NotEnough, "not enough requests to compare (812 before, 790 after)"),
            (VerdictStatus::Superseded, "cut short"),
        ] {
            let verdict = verdict(status, Vec::new());
            assert!(verdict_text(&verdict).contains(text), "{}", verdict_text(&verdict));
            assert_eq!(verdict_clause(&verdict, "->"), (verdict_text(&verdict), Meaning::Unclear));
        }
    }
}

//! Changes and verdicts in words: one place for the sentences that the console, the report and
//! `divvy journal` show.

use super::journal::{Author, Comparison, JournalEntry, Metric, Verdict, VerdictStatus};

/// How a sentence about a verdict is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing can be said: still measured, cut short, too few requests, or no clear difference.
    Unclear,
    /// A clear change for the better.
    Better,
    /// A clear change for the worse.
    Worse,
}

/// A latency in milliseconds, without its unit: "0.85", "14.2", "2310"; past 100 s in seconds.
/// At most six columns.
pub fn millis(us: u64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        0..10_000 => format!("{ms:.2}"),
        10_000..1_000_000 => format!("{ms:.1}"),
        1_000_000..100_000_000 => format!("{ms:.0}"),
        _ => format!("{:.0}s", ms / 1e3),
    }
}

/// A rate per second, at most six columns.
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

/// Who asked for a change.
pub fn author(author: Author) -> &'static str {
    match author {
        Author::Console => "console",
        Author::Api => "API",
        Author::File => "file",
        Author::Advice => "advice",
        Author::Scheduler => "divvy",
    }
}

/// The word for a figure.
pub fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::P50 => "p50",
        Metric::P99 => "p99",
        Metric::Throughput => "done",
        Metric::Goodput => "within SLO",
    }
}

/// A figure before and after: "p99 21.0 -> 14.2 ms". `arrow` stands between the two.
pub fn figures(comparison: &Comparison, arrow: &str) -> String {
    let (before, after, unit) = match comparison.metric {
        Metric::P50 | Metric::P99 => {
            (millis(comparison.before as u64), millis(comparison.after as u64), "ms")
        }
        Metric::Throughput | Metric::Goodput => {
            (rate(comparison.before), rate(comparison.after), "/s")
        }
    };
    format!("{} {before} {arrow} {after} {unit}", metric(comparison.metric))
}

/// Whether a change of this sign is one for the better.
pub fn better(comparison: &Comparison) -> bool {
    match comparison.metric {
        Metric::P50 | Metric::P99 => comparison.change < 0.0,
        Metric::Throughput | Metric::Goodput => comparison.change > 0.0,
    }
}

/// A verdict in one clause, for a line that tells of several models: the clearest figure only.
pub fn clause(verdict: &Verdict, arrow: &str) -> (String, Meaning) {
    let model = &verdict.model;
    if verdict.status != VerdictStatus::Done {
        return (undecided(verdict), Meaning::Unclear);
    }
    let clear = || verdict.comparisons.iter().filter(|comparison| comparison.clear);
    // the tail is what most changes are made for
    let told =
        clear().find(|comparison| comparison.metric == Metric::P99).or_else(|| clear().next());
    let Some(told) = told else {
        return (format!("{model}: no clear difference"), Meaning::Unclear);
    };
    let meaning = if better(told) { Meaning::Better } else { Meaning::Worse };
    (format!("{model} {} ({:+.0}%)", figures(told, arrow), told.change * 100.0), meaning)
}

/// A verdict in full: every figure that differs clearly with its interval, those that do not, and
/// the sample counts.
pub fn sentence(verdict: &Verdict) -> String {
    if verdict.status != VerdictStatus::Done {
        return undecided(verdict);
    }
    let clear = verdict.comparisons.iter().filter(|comparison| comparison.clear).map(|told| {
        format!(
            "{} ({:+.0} %, between {:+.0} % and {:+.0} %)",
            figures(told, "->"),
            told.change * 100.0,
            told.low * 100.0,
            told.high * 100.0
        )
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
        "{}: {}; {} and {} requests",
        verdict.model,
        parts.join("; "),
        verdict.samples_before,
        verdict.samples_after
    )
}

/// Why there is no verdict, or none yet.
fn undecided(verdict: &Verdict) -> String {
    let model = &verdict.model;
    match verdict.status {
        VerdictStatus::Open => format!("{model} is being measured"),
        VerdictStatus::Superseded => format!("{model}: overtaken by a later change"),
        VerdictStatus::NotEnough | VerdictStatus::Done => format!(
            "{model}: not enough requests to tell ({} before, {} after)",
            verdict.samples_before, verdict.samples_after
        ),
    }
}

/// A change in one line, without its time: author, what, how fast, and whether it still stands.
pub fn headline(entry: &JournalEntry) -> String {
    let step = match (entry.undoes, entry.redoes) {
        (Some(id), _) => format!("undo of #{id}: "),
        (None, Some(id)) => format!("redo of #{id}: "),
        (None, None) => String::new(),
    };
    let undone = if entry.undone { " (undone)" } else { "" };
    format!(
        "#{} {}: {step}{}, in force in {} us{undone}",
        entry.id,
        author(entry.author),
        entry.summary,
        entry.force_us
    )
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
            comparisons,
        }
    }

    #[test]
    fn a_clear_difference_is_told_with_its_interval_and_the_sample_counts() {
        let figures = vec![
            comparison(Metric::P50, 6100.0, 6000.0, false),
            comparison(Metric::P99, 21_000.0, 14_200.0, true),
        ];
        let verdict = verdict(VerdictStatus::Done, figures);
        assert_eq!(
            sentence(&verdict),
            "detector: p99 21.0 -> 14.2 ms (-32 %, between -40 % and -22 %); no clear difference \
             in p50; 812 and 790 requests"
        );
        let (text, meaning) = clause(&verdict, "->");
        assert_eq!(text, "detector p99 21.0 -> 14.2 ms (-32%)");
        assert_eq!(meaning, Meaning::Better);
    }

    #[test]
    fn more_throughput_is_better_and_more_latency_is_worse() {
        let more = comparison(Metric::Throughput, 100.0, 150.0, true);
        assert_eq!(clause(&verdict(VerdictStatus::Done, vec![more]), "->").1, Meaning::Better);
        let slower = comparison(Metric::P50, 100.0, 150.0, true);
        assert_eq!(clause(&verdict(VerdictStatus::Done, vec![slower]), "->").1, Meaning::Worse);
    }

    #[test]
    fn without_a_clear_difference_nothing_is_claimed() {
        let same =
            verdict(VerdictStatus::Done, vec![comparison(Metric::Goodput, 100.0, 101.0, false)]);
        assert_eq!(sentence(&same), "detector: no clear difference; 812 and 790 requests");
        assert_eq!(clause(&same, "->").1, Meaning::Unclear);
        for (status, words) in [
            (VerdictStatus::Open, "is being measured"),
            (VerdictStatus::NotEnough, "not enough requests to tell (812 before, 790 after)"),
            (VerdictStatus::Superseded, "overtaken"),
        ] {
            let verdict = verdict(status, Vec::new());
            assert!(sentence(&verdict).contains(words), "{}", sentence(&verdict));
            assert_eq!(clause(&verdict, "->"), (sentence(&verdict), Meaning::Unclear));
        }
    }
}

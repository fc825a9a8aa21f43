//! Rates, means and percentiles from the totals of the last pages.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::families::Family;
use super::series::{Counters, Totals};
use crate::layout::number;
use crate::telemetry::ReportedRequests;

/// The shortest span that is reported, once there are pages of it.
const SHORTEST: Duration = Duration::from_secs(10);

/// The longest span, which few requests make necessary.
const LONGEST: Duration = Duration::from_mins(1);

/// Requests that make a span long enough.
const ENOUGH: f64 = 200.0;

/// The totals of the last pages.
#[derive(Default)]
pub(super) struct History {
    points: VecDeque<Point>,
}

struct Point {
    at: Instant,
    totals: Totals,
}

/// The pages at both ends of a span.
struct Span<'a> {
    old: &'a Point,
    new: &'a Point,
}

/// An estimate from a histogram: the requests of a bucket are assumed to be spread evenly in it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Estimate {
    us: f64,
    from_us: f64,
    /// `None` above the highest bound.
    to_us: Option<f64>,
}

impl History {
    /// Adds the totals of a page.
    pub(super) fn add(&mut self, at: Instant, totals: Totals) {
        if self.points.back().is_some_and(|last| last.totals.family != totals.family) {
            self.points.clear();
        }
        self.points.push_back(Point { at, totals });
        while self.points.front().is_some_and(|first| at - first.at > LONGEST) {
            self.points.pop_front();
        }
    }

    /// Returns the figures of the last 10 to 60 s: the shortest span with enough requests.
    pub(super) fn requests(&self, family: &Family, percentile: Option<f64>) -> ReportedRequests {
        let mut reported =
            ReportedRequests { source: family.program.clone(), ..ReportedRequests::default() };
        if let Some(span) = self.span() {
            span.fill(&mut reported, family, percentile);
        }
        reported
    }

    fn span(&self) -> Option<Span<'_>> {
        let new = self.points.back()?;
        let spans = || {
            let older = self.points.iter().rev().skip(1);
            older.map(|old| Span { old, new }).filter(|span| span.length() > Duration::ZERO)
        };
        let is_enough = |span: &Span<'_>| span.length() >= SHORTEST && span.requests() >= ENOUGH;
        spans().find(is_enough).or_else(|| spans().next_back())
    }
}

impl Span<'_> {
    fn length(&self) -> Duration {
        self.new.at - self.old.at
    }

    /// Returns the growth of a counter; `None` if the page does not have it.
    fn grown(&self, counter: impl Fn(&Counters) -> Option<f64>) -> Option<f64> {
        let old = counter(&self.old.totals.counters).unwrap_or(0.0);
        Some((counter(&self.new.totals.counters)? - old).max(0.0))
    }

    fn requests(&self) -> f64 {
        let counted = self.grown(|counters| counters.requests);
        counted.or_else(|| self.grown(|counters| counters.count)).unwrap_or(0.0)
    }

    fn mean(&self) -> Option<f64> {
        let part = |sum: Option<f64>, count: Option<f64>| {
            sum.zip(count).filter(|(_, count)| *count > 0.0).map(|(sum, count)| sum / count)
        };
        let of_all = part(self.grown(|it| it.sum), self.grown(|it| it.count));
        let requests = Some(self.requests());
        of_all.or_else(|| part(self.grown(|it| it.time), requests))
    }

    fn fill(&self, reported: &mut ReportedRequests, family: &Family, percentile: Option<f64>) {
        let seconds = self.length().as_secs_f64();
        let counters = &self.new.totals.counters;
        let is_counted = counters.requests.is_some() || counters.count.is_some();
        reported.span_us = self.length().as_micros() as u64;
        reported.per_s = is_counted.then(|| self.requests() / seconds);
        reported.failed_per_s = self.grown(|it| it.failed).map(|failed| failed / seconds);
        reported.mean_us = self.mean().map(|mean| mean * family.unit_us);
        let totals = &self.new.totals;
        let quantile = percentile.map(|percentile| percentile / 100.0);
        if !totals.buckets.is_empty() {
            self.fill_from_histogram(reported, family, quantile);
        } else if !totals.quantiles.is_empty() {
            self.fill_from_summary(reported, family, quantile);
        } else if totals.counters.time.or(totals.counters.sum).is_some() {
            reported.resolution = format!("no percentiles: {}", family.hint);
        }
    }

    fn fill_from_histogram(
        &self,
        reported: &mut ReportedRequests,
        family: &Family,
        quantile: Option<f64>,
    ) {
        reported.source.push_str(", histogram");
        let estimate = |q: f64| self.estimate(q, family.unit_us);
        reported.p50_us = estimate(0.5).map(|it| it.us);
        reported.p99_us = estimate(0.99).map(|it| it.us);
        reported.slo_us = quantile.and_then(estimate).map(|it| it.us);
        let mut shown = vec![0.99];
        shown.extend(quantile.filter(|q| (q - 0.99).abs() > 1e-9));
        let texts = shown.into_iter().filter_map(|q| Some(estimate(q)?.text(q)));
        reported.resolution = texts.collect::<Vec<_>>().join(", ");
    }

    fn fill_from_summary(
        &self,
        reported: &mut ReportedRequests,
        family: &Family,
        quantile: Option<f64>,
    ) {
        let totals = &self.new.totals;
        reported.source.push_str(", summary");
        let given = |q: f64| {
            let found = totals.quantiles.iter().find(|it| (it.q - q).abs() < 1e-9)?;
            Some(found.value * family.unit_us)
        };
        reported.p50_us = given(0.5);
        reported.p99_us = given(0.99);
        reported.slo_us = quantile.and_then(given);
        let mut texts = vec!["percentiles and their time span are the program's own".to_owned()];
        if totals.summaries > 1 {
            texts.push(format!("the slowest of {} series", totals.summaries));
        }
        if let Some(q) = quantile.filter(|q| given(*q).is_none()) {
            texts.push(format!("it has no p{}", number(q * 100.0)));
        }
        reported.resolution = texts.join("; ");
    }

    /// Returns the estimate of a quantile of the span's requests; `None` without requests.
    fn estimate(&self, q: f64, unit_us: f64) -> Option<Estimate> {
        let old = |bound: f64| {
            let before =
                self.old.totals.buckets.iter().find(|it| it.bound.total_cmp(&bound).is_eq());
            before.map_or(0.0, |before| before.count)
        };
        let buckets = &self.new.totals.buckets;
        let counts = buckets.iter().scan(0.0_f64, |most, bucket| {
            // a bucket holds those below it too; a restart between two lines may leave fewer
            *most = most.max(bucket.count - old(bucket.bound));
            Some((bucket.bound, *most))
        });
        let counts: Vec<_> = counts.collect();
        let all = counts.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let rank = q * all;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in counts {
            if count >= rank && count > below {
                if bound.is_infinite() {
                    break;
                }
                let share = ((rank - below) / (count - below)).clamp(0.0, 1.0);
                return Some(Estimate {
                    us: (bound - lower).mul_add(share, lower) * unit_us,
                    from_us: lower * unit_us,
                    to_us: Some(bound * unit_us),
                });
            }
            if bound.is_finite() {
                (lower, below) = (bound, count);
            }
        }
        Some(Estimate { us: lower * unit_us, from_us: lower * unit_us, to_us: None })
    }
}

impl Estimate {
    /// Returns the range of a quantile: "p99 between 10 and 25 ms".
    fn text(self, q: f64) -> String {
        let (percentile, from) = (number(q * 100.0), number(self.from_us / 1e3));
        match self.to_us {
            Some(to) => format!("p{percentile} between {from} and {} ms", number(to / 1e3)),
            None => format!("p{percentile} above {from} ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::metrics::families::Families;
    use crate::process::metrics::series::SeriesSums;

    /// Feeds pages, each with its time in seconds, and returns the figures after the last.
    fn read(pages: &[(u64, String)], named: Option<&str>, percentile: f64) -> ReportedRequests {
        let families = Families::new(named);
        let (mut sums, mut history) = (SeriesSums::default(), History::default());
        let start = Instant::now();
        let mut family = 0;
        for (second, page) in pages {
            let totals = sums.add(&families, page.as_bytes()).unwrap();
            family = totals.family;
            history.add(start + Duration::from_secs(*second), totals);
        }
        history.requests(&families.list[family], Some(percentile))
    }

    /// Returns a histogram in seconds whose buckets up to 0.01, 0.025 and infinity hold these numbers.
    fn histogram(labels: &str, counts: [u64; 3], sum: f64) -> String {
        let [first, second, all] = counts;
        format!(
            "x_seconds_bucket{{{labels}le=\"0.01\"}} {first}\n\
             x_seconds_bucket{{{labels}le=\"0.025\"}} {second}\n\
             x_seconds_bucket{{{labels}le=\"+Inf\"}} {all}\n\
             x_seconds_sum{{{labels}}} {sum}\nx_seconds_count{{{labels}}} {all}\n"
        )
    }

    fn named(pages: &[(u64, String)]) -> ReportedRequests {
        read(pages, Some("x_seconds"), 95.0)
    }

    #[test]
    fn histogram_gives_rate_mean_percentiles() {
        let pages =
            [(0, histogram("", [7, 7, 7], 1.0)), (20, histogram("", [907, 1007, 1007], 13.0))];
        let it = named(&pages);
        assert_eq!((it.per_s, it.span_us), (Some(50.0), 20_000_000));
        assert_eq!(it.mean_us, Some(12_000.0));
        assert_eq!(it.p50_us.map(f64::round), Some(5556.0));
        assert_eq!(it.p99_us.map(f64::round), Some(23_500.0));
        assert_eq!(it.slo_us.map(f64::round), Some(17_500.0));
        assert_eq!(it.source, "x_seconds, histogram");
        assert_eq!(it.resolution, "p99 between 10 and 25 ms, p95 between 10 and 25 ms");
    }

    #[test]
    fn highest_bucket_has_no_upper_end() {
        let pages = [(0, histogram("", [0, 0, 0], 0.0)), (1, histogram("", [0, 0, 9], 9.0))];
        let it = named(&pages);
        assert_eq!(it.p50_us, Some(25_000.0));
        assert_eq!(it.resolution, "p99 above 25 ms, p95 above 25 ms");
    }

    #[test]
    fn restart_counts_from_zero() {
        let pages = [
            (0, histogram("", [500, 900, 1000], 30.0)),
            (10, histogram("", [600, 1000, 1100], 33.0)),
            (20, histogram("", [50, 90, 100], 3.0)),
        ];
        let it = named(&pages);
        assert_eq!(it.per_s, Some(10.0));
        assert_eq!(it.mean_us, Some(30_000.0));
    }

    #[test]
    fn later_series_counts_from_zero() {
        let first = histogram("v=\"1\",", [10, 10, 10], 1.0);
        let both = |more: String| histogram("v=\"1\",", [10, 10, 10], 1.0) + &more;
        let pages = [(0, first), (10, both(histogram("v=\"2\",", [0, 40, 40], 0.8)))];
        let it = named(&pages);
        assert_eq!((it.per_s, it.mean_us), (Some(4.0), Some(20_000.0)));
        assert_eq!(it.p50_us, Some(17_500.0));
    }

    #[test]
    fn only_shared_bounds_count() {
        let other = |count: u64| {
            format!(
                "x_seconds_bucket{{v=\"2\",le=\"0.02\"}} {count}\n\
                 x_seconds_bucket{{v=\"2\",le=\"0.025\"}} {count}\n\
                 x_seconds_bucket{{v=\"2\",le=\"+Inf\"}} {count}\n"
            )
        };
        let pages = [
            (0, histogram("v=\"1\",", [0, 0, 0], 0.0) + &other(0)),
            (9, histogram("v=\"1\",", [5, 5, 5], 0.0) + &other(5)),
        ];
        assert_eq!(named(&pages).p50_us, Some(12_500.0));
    }

    #[test]
    fn few_requests_lengthen_the_span() {
        let page = |second: u64, per_s: u64| {
            let count = second * per_s;
            (second, histogram("", [count, count, count], 0.0))
        };
        let pages = |per_s| (0..=100).map(|second| page(second, per_s)).collect::<Vec<_>>();
        assert_eq!(named(&pages(100)).span_us, 10_000_000);
        assert_eq!(named(&pages(10)).span_us, 20_000_000);
        assert_eq!(named(&pages(1)).span_us, 60_000_000);
    }

    #[test]
    fn idle_program_has_a_rate_of_zero() {
        let pages = [(0, histogram("", [5, 5, 5], 1.0)), (10, histogram("", [5, 5, 5], 1.0))];
        let it = named(&pages);
        assert_eq!((it.per_s, it.mean_us, it.p99_us), (Some(0.0), None, None));
    }

    #[test]
    fn summary_without_quantiles_gives_mean() {
        let page = |count: u64| format!("x_seconds_count {count}\nx_seconds_sum {}\n", count * 2);
        let it = named(&[(0, page(1)), (10, page(6))]);
        assert_eq!((it.mean_us, it.p50_us), (Some(2e6), None));
        assert_eq!(it.resolution, "no percentiles: the program reports no distribution");
    }

    #[test]
    fn one_page_gives_no_figures() {
        let it = named(&[(0, histogram("", [5, 5, 5], 1.0))]);
        assert_eq!((it.per_s, it.span_us, it.fault), (None, 0, None));
    }
}

//! The sums over all series of a family, page after page.
//!
//! A counter that falls has started again from zero, as Prometheus' `rate` assumes. A series that appears
//! later has counted from zero too; those of the first page count from their value there.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::exposition::{Line, Sample};
use super::families::{Families, Role};
use super::fault::PageFault;

/// Histograms and summaries that a fault lists.
const MOST_LISTED: usize = 12;

/// Characters of a page that a fault shows.
const MOST_SHOWN: usize = 40;

/// Pages for which a series that has gone is remembered: one that returns has gone on counting.
const REMEMBERED_PAGES: u64 = 600;

/// The sums of all families.
#[derive(Default)]
pub(super) struct SeriesSums {
    pages: u64,
    last: HashMap<u64, LastValue>,
    families: Vec<FamilySums>,
}

struct LastValue {
    value: f64,
    page: u64,
}

/// The sums of one family. A bucket or quantile is keyed by the bits of its bound, which sort as the
/// numbers do: none is negative.
#[derive(Clone, Default)]
struct FamilySums {
    counters: Counters,
    buckets: BTreeMap<u64, BucketSum>,
    quantiles: BTreeMap<u64, f64>,
    /// Series of the newest page that have a quantile of each kind.
    summaries: usize,
    presence: Presence,
}

#[derive(Clone, Default)]
struct BucketSum {
    count: f64,
    /// Series of the newest page that have this bound.
    series: usize,
}

/// The presence of a family on the newest page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Presence {
    #[default]
    Absent,
    /// Only its type, as before the first request.
    Announced,
    Present,
}

/// Counts and times since the first page; `None` for what the page does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) requests: Option<f64>,
    pub(super) failed: Option<f64>,
    /// In the family's unit.
    pub(super) time: Option<f64>,
    /// In the family's unit.
    pub(super) sum: Option<f64>,
    pub(super) count: Option<f64>,
}

/// The totals of one family after a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// The place in the list of families.
    pub(super) family: usize,
    pub(super) counters: Counters,
    /// Requests up to each bound that all series share, in ascending order.
    pub(super) buckets: Vec<Bucket>,
    /// The largest of each quantile, in ascending order of `q`.
    pub(super) quantiles: Vec<Quantile>,
    /// The number of summaries among which each is the largest.
    pub(super) summaries: usize,
}

/// Requests up to a bound since the first page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    /// In the family's unit; infinite for the last.
    pub(super) bound: f64,
    pub(super) count: f64,
}

/// A quantile as the program reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantile {
    /// Between 0 and 1.
    pub(super) q: f64,
    /// In the family's unit.
    pub(super) value: f64,
}

impl SeriesSums {
    /// Adds a page.
    ///
    /// # Errors
    /// The reason why it has no family that divvy reads.
    pub(super) fn add(&mut self, families: &Families, page: &[u8]) -> Result<Totals, PageFault> {
        self.pages += 1;
        self.families.resize_with(families.list.len(), FamilySums::default);
        for family in &mut self.families {
            family.begin_page();
        }
        let (mut valid, mut invalid) = (0_usize, 0_usize);
        let mut found = Vec::new();
        for line in page.split(|byte| *byte == b'\n') {
            match Line::parse(line) {
                Line::Ignored => {}
                Line::Invalid => invalid += 1,
                Line::Type { family, kind } => {
                    valid += 1;
                    if matches!(kind, "histogram" | "summary") && found.len() < MOST_LISTED {
                        found.push(family.to_owned());
                    }
                    if let Some(meaning) = families.meaning(family)
                        && let Some(family) = self.families.get_mut(meaning.family)
                    {
                        family.presence = family.presence.max(Presence::Announced);
                    }
                }
                Line::Sample(sample) => {
                    valid += 1;
                    self.add_sample(families, &sample);
                }
            }
        }
        let oldest = self.pages.saturating_sub(REMEMBERED_PAGES);
        self.last.retain(|_, last| last.page >= oldest);
        if invalid > valid {
            return Err(PageFault::NotMetrics(beginning(page)));
        }
        self.totals().ok_or_else(|| match &families.named {
            Some(name) => PageFault::NoSuchFamily { name: name.clone(), found },
            None => PageFault::NoKnownFamily(found),
        })
    }

    fn add_sample(&mut self, families: &Families, sample: &Sample<'_>) {
        let Some(meaning) = families.meaning(sample.name) else { return };
        if let (Role::Latency, Some(q)) = (meaning.role, sample.labels.get("quantile")) {
            if let Some(family) = self.families.get_mut(meaning.family) {
                family.add_quantile(q, sample.value);
            }
            return;
        }
        if !sample.value.is_finite() || sample.value < 0.0 {
            return;
        }
        let grown = self.grown(sample);
        let Some(family) = self.families.get_mut(meaning.family) else { return };
        family.presence = Presence::Present;
        let counters = &mut family.counters;
        let counter = match meaning.role {
            Role::Bucket => {
                if let Some(bound) = sample.labels.get("le") {
                    family.add_bucket(bound, grown);
                }
                return;
            }
            Role::Requests => &mut counters.requests,
            Role::Failed => &mut counters.failed,
            Role::Time | Role::Latency => &mut counters.time,
            Role::Sum => &mut counters.sum,
            Role::Count => &mut counters.count,
        };
        *counter = Some(counter.unwrap_or(0.0) + grown);
    }

    /// Returns the growth of a series since the page before.
    fn grown(&mut self, sample: &Sample<'_>) -> f64 {
        let mut hasher = DefaultHasher::new();
        sample.name.hash(&mut hasher);
        for label in sample.labels.iter() {
            (label.name, label.value).hash(&mut hasher);
        }
        let now = LastValue { value: sample.value, page: self.pages };
        match self.last.insert(hasher.finish(), now) {
            Some(last) if last.value <= sample.value => sample.value - last.value,
            None if self.pages == 1 => 0.0,
            _ => sample.value,
        }
    }

    /// Returns the totals of the preferred family on the newest page.
    fn totals(&self) -> Option<Totals> {
        let with = |presence| self.families.iter().position(|it| it.presence == presence);
        let family = with(Presence::Present).or_else(|| with(Presence::Announced))?;
        let sums = self.families.get(family)?;
        let series = sums.buckets.values().map(|bucket| bucket.series).max().unwrap_or(0);
        let shared = sums.buckets.iter().filter(|(_, it)| it.series == series && series > 0);
        Some(Totals {
            family,
            counters: sums.counters,
            buckets: shared
                .map(|(bits, it)| Bucket { bound: f64::from_bits(*bits), count: it.count })
                .collect(),
            quantiles: sums
                .quantiles
                .iter()
                .map(|(bits, value)| Quantile { q: f64::from_bits(*bits), value: *value })
                .collect(),
            summaries: sums.summaries,
        })
    }
}

impl FamilySums {
    fn begin_page(&mut self) {
        self.presence = Presence::Absent;
        self.quantiles.clear();
        self.summaries = 0;
        for bucket in self.buckets.values_mut() {
            bucket.series = 0;
        }
    }

    fn add_bucket(&mut self, bound: &str, grown: f64) {
        let Some(bound) = bound.parse::<f64>().ok().filter(|bound| *bound >= 0.0) else { return };
        let bucket = self.buckets.entry((bound + 0.0).to_bits()).or_default();
        bucket.count += grown;
        bucket.series += 1;
    }

    fn add_quantile(&mut self, q: &str, value: f64) {
        self.presence = Presence::Present;
        let Some(q) = q.parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q)) else { return };
        // NaN: no request in the summary's time
        if !value.is_finite() || value < 0.0 {
            return;
        }
        if (q - 0.5).abs() < f64::EPSILON {
            self.summaries += 1;
        }
        let largest = self.quantiles.entry((q + 0.0).to_bits()).or_insert(value);
        *largest = largest.max(value);
    }
}

/// Returns the beginning of a page, for a message.
fn beginning(page: &[u8]) -> String {
    let text = String::from_utf8_lossy(page.get(..page.len().min(4 * MOST_SHOWN)).unwrap_or(page));
    text.trim().chars().filter(|one| !one.is_control()).take(MOST_SHOWN).collect()
}

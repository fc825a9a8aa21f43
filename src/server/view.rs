//! The view of a server's counters: rates from the differences between samples, and the busiest
//! connections.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::activity::{Activity, ConnectionCounters, ModelActivity};
use super::serve_error::ErrorKind;
use crate::telemetry::{ConnectionView, Occurrences, RefusedRequests, ServedModelView, ServerView};

/// Rates cover at least this time, if the server has run for so long.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// Occurrences in this time are recent.
const RECENT_SPAN: Duration = Duration::from_secs(ServerView::RECENT_S);

/// Samples are at least this far apart; one taken earlier is used once and not kept.
const KEPT_EVERY: Duration = Duration::from_millis(250);

/// Carries the counters from one sample to the next.
#[derive(Default)]
pub(super) struct RateSampler {
    /// The samples of the last ten seconds and the newest one before, oldest first.
    kept: VecDeque<Sample>,
}

/// The counters at one instant.
struct Sample {
    at: Instant,
    models: BTreeMap<String, ModelCounts>,
    unknown: ModelCounts,
    /// Requests of each connection. Emptied once the sample is too old for rates.
    connections: HashMap<u64, u64>,
    refused_connections: u64,
    accept_errors: u64,
}

/// The ended requests to the models of one name.
#[derive(Clone, Copy, Default)]
struct ModelCounts {
    answered: u64,
    refused: [u64; ErrorKind::ALL.len()],
}

impl RateSampler {
    /// Returns the view of the counters now, without what the activity does not know: listeners, limits, the
    /// drain.
    pub(super) fn sample(&mut self, activity: &Activity, now: Instant) -> ServerView {
        let connections = activity.list_connections();
        let count = |c: &ConnectionCounters| (c.id, c.requests.load(Ordering::Relaxed));
        let sample = Sample {
            at: now,
            models: activity.models().iter().map(|(name, m)| (name.clone(), counts(m))).collect(),
            unknown: counts(activity.unknown_model()),
            connections: connections.iter().map(|c| count(c)).collect(),
            refused_connections: activity.refused_connections(),
            accept_errors: activity.accept_errors(),
        };
        self.forget_old(now);
        let view = self.view(&sample, &connections, activity);
        let is_due = |last: &Sample| now.saturating_duration_since(last.at) >= KEPT_EVERY;
        if self.kept.back().is_none_or(is_due) {
            self.kept.push_back(sample);
        }
        view
    }

    /// Removes samples of which no rate and no recent count needs the counters.
    fn forget_old(&mut self, now: Instant) {
        let age = |sample: &Sample| now.saturating_duration_since(sample.at);
        // The newest sample that is old enough is the base; what is before it is not needed.
        while self.kept.get(1).is_some_and(|next| age(next) >= RECENT_SPAN) {
            self.kept.pop_front();
        }
        let base = self.kept.iter().rposition(|sample| age(sample) >= RATE_SPAN).unwrap_or(0);
        for sample in self.kept.iter_mut().take(base) {
            sample.connections = HashMap::new();
        }
    }

    /// Returns the newest sample that is at least this old, otherwise the oldest.
    fn base(&self, now: Instant, span: Duration) -> Option<&Sample> {
        let is_old = |sample: &&Sample| now.saturating_duration_since(sample.at) >= span;
        self.kept.iter().rev().find(is_old).or(self.kept.front())
    }

    fn view(
        &self,
        sample: &Sample,
        connections: &[Arc<ConnectionCounters>],
        activity: &Activity,
    ) -> ServerView {
        let (second, recent) = (self.base(sample.at, RATE_SPAN), self.base(sample.at, RECENT_SPAN));
        let seconds = second
            .map(|base| sample.at.saturating_duration_since(base.at).as_secs_f64())
            .filter(|seconds| *seconds > 0.0);
        let rate = |now: u64, before: u64| {
            seconds.map_or(0.0, |seconds| now.saturating_sub(before) as f64 / seconds)
        };
        let model = |name: &str, now: &ModelCounts, second: ModelCounts, recent: ModelCounts| {
            ServedModelView {
                model: name.to_owned(),
                requests: now.total(),
                requests_per_s: rate(now.total(), second.total()),
                answered: now.answered,
                answered_per_s: rate(now.answered, second.answered),
                refused: now.refused_since(&recent),
            }
        };
        // A model that the base does not know has had no request until then.
        let of = |base: Option<&Sample>, name: &str| {
            base.and_then(|base| base.models.get(name).copied()).unwrap_or_default()
        };
        let unknown = |base: Option<&Sample>| base.map(|base| base.unknown).unwrap_or_default();
        let occurrences = |count: fn(&Sample) -> u64| Occurrences {
            count: count(sample),
            recent: count(sample).saturating_sub(recent.map_or(0, count)),
        };
        let mut busiest: Vec<ConnectionView> = connections
            .iter()
            .map(|counters| {
                let before = second.and_then(|base| base.connections.get(&counters.id).copied());
                let requests = counters.requests.load(Ordering::Relaxed);
                connection_view(counters, requests, rate(requests, before.unwrap_or(0)))
            })
            .collect();
        busiest.sort_by(|a, b| {
            let rest = |c: &ConnectionView| (Reverse((c.open_requests, c.requests)), c.id);
            b.requests_per_s.total_cmp(&a.requests_per_s).then_with(|| rest(a).cmp(&rest(b)))
        });
        busiest.truncate(ServerView::LISTED_CONNECTIONS);
        ServerView {
            connections: activity.open_connections(),
            refused_connections: occurrences(|sample| sample.refused_connections),
            accept_errors: occurrences(|sample| sample.accept_errors),
            newest_accept_error: activity.newest_accept_error(),
            busiest,
            models: sample
                .models
                .iter()
                .map(|(name, now)| model(name, now, of(second, name), of(recent, name)))
                .collect(),
            unknown_model: model("", &sample.unknown, unknown(second), unknown(recent)),
            ..ServerView::default()
        }
    }
}

impl ModelCounts {
    fn total(&self) -> u64 {
        self.answered + self.refused.iter().sum::<u64>()
    }

    /// Returns the refused requests by reason; those that `recent` does not have are recent.
    fn refused_since(&self, recent: &Self) -> Vec<RefusedRequests> {
        let counts = self.refused.iter().zip(&recent.refused);
        let refused = |(kind, (count, before)): (ErrorKind, (&u64, &u64))| RefusedRequests {
            reason: kind.name().to_owned(),
            count: *count,
            recent: count.saturating_sub(*before),
        };
        let all = ErrorKind::ALL.into_iter().zip(counts).map(refused);
        all.filter(|refused| refused.count > 0).collect()
    }
}

fn counts(model: &ModelActivity) -> ModelCounts {
    ModelCounts {
        answered: model.answered(),
        refused: ErrorKind::ALL.map(|kind| model.refused(kind)),
    }
}

fn connection_view(
    counters: &ConnectionCounters,
    requests: u64,
    requests_per_s: f64,
) -> ConnectionView {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    ConnectionView {
        id: counters.id,
        peer: counters.peer.to_string(),
        protocol: counters.protocol,
        model: counters.model.read().unwrap_or_else(PoisonError::into_inner).to_string(),
        age_us: counters.since.elapsed().as_micros() as u64,
        requests,
        requests_per_s,
        open_requests: requests.saturating_sub(load(&counters.ended)),
        received_bytes: load(&counters.received),
        sent_bytes: load(&counters.sent),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::telemetry::Protocol;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn rates_cover_the_last_second() {
        let (activity, start) = (Activity::default(), Instant::now());
        let mut rates = RateSampler::default();
        assert!(rates.sample(&activity, start).requests_per_s() < f64::EPSILON);
        let model = activity.model("a");
        for at in 1..=4 {
            for _ in 0..at * 10 {
                model.count(None);
            }
            rates.sample(&activity, start + ms(500 * at));
        }
        // 30 of 1.0 to 1.5 s and 40 of 1.5 to 2.0 s.
        let view = rates.sample(&activity, start + ms(2000));
        assert_eq!(view.model("a").map(|model| model.answered_per_s), Some(70.0));
        assert_eq!(view.model("a").map(|model| model.requests), Some(100));
    }

    #[test]
    fn refusals_are_recent_for_ten_seconds() {
        let (activity, start) = (Activity::default(), Instant::now());
        let mut rates = RateSampler::default();
        rates.sample(&activity, start);
        activity.model("a").count(Some(ErrorKind::QueueFull));
        activity.count_accept_error("no file descriptor is free");
        let mut recent = Vec::new();
        for at in 1..=30 {
            let view = rates.sample(&activity, start + ms(500 * at));
            let refused = &view.models[0].refused;
            assert_eq!((refused[0].reason.as_str(), refused[0].count), ("queue_full", 1));
            assert_eq!(refused[0].recent, view.accept_errors.recent);
            recent.push(refused[0].recent);
        }
        assert_eq!((recent[19], recent[20], recent[29]), (1, 0, 0));
        assert!(rates.kept.len() <= 22, "{}", rates.kept.len());
    }

    #[test]
    fn early_samples_do_not_shorten_the_span() {
        let (activity, start) = (Activity::default(), Instant::now());
        let mut rates = RateSampler::default();
        for at in 0..200 {
            activity.model("a").count(None);
            rates.sample(&activity, start + ms(10 * at));
        }
        let view = rates.sample(&activity, start + ms(2000));
        let rate = view.models[0].requests_per_s;
        assert!((90.0..=110.0).contains(&rate), "{rate}");
        assert!(rates.kept.len() <= 9, "{}", rates.kept.len());
    }

    #[test]
    fn busiest_connections_are_listed_first() {
        let (activity, start) = (Arc::new(Activity::default()), Instant::now());
        let mut rates = RateSampler::default();
        let connect = |port| activity.connect(peer(port), Protocol::Http, 1000).unwrap();
        let open: Vec<_> = (1..=300).map(connect).collect();
        rates.sample(&activity, start);
        for _ in 0..5 {
            open[280].begin_request("a");
        }
        open[280].end_request();
        open[7].begin_request("b");
        open[7].add_received(10);
        let view = rates.sample(&activity, start + ms(1000));
        assert_eq!((view.connections, view.busiest.len()), (300, ServerView::LISTED_CONNECTIONS));
        let ports: Vec<&str> = view.busiest[..3].iter().map(|c| c.peer.as_str()).collect();
        assert_eq!(ports, ["127.0.0.1:281", "127.0.0.1:8", "127.0.0.1:1"]);
        let first = &view.busiest[0];
        assert_eq!((first.requests_per_s, first.open_requests, &*first.model), (5.0, 4, "a"));
        assert_eq!(view.busiest[1].received_bytes, 10);
    }

    #[test]
    fn refused_connections_are_counted() {
        let (activity, start) = (Arc::new(Activity::default()), Instant::now());
        let open = activity.connect(peer(1), Protocol::Http, 1);
        assert!(open.is_some() && activity.connect(peer(2), Protocol::Http, 1).is_none());
        let view = RateSampler::default().sample(&activity, start);
        assert_eq!(view.refused_connections, Occurrences { count: 1, recent: 1 });
    }
}

//! Per-model counters carried from one sample to the next.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::scheduler::slot::{Slot, Slots};
use crate::telemetry::Usage;

/// The meters of all models, by the generation of their slots.
#[derive(Default)]
pub(super) struct Meters(BTreeMap<u64, ModelMeters>);

/// The counters of one model at the last sample.
#[derive(Default)]
struct ModelMeters {
    lost: u64,
    offered: RateMeter,
    /// CPU time in nanoseconds.
    cpu_ns: f64,
}

impl Meters {
    /// Samples the request counters of all models and passes them to their recorders, and adds up the CPU time
    /// of their threads in the last interval.
    pub(super) fn sample(&mut self, slots: &Slots, usage: &Usage, now: Instant) {
        self.0.retain(|generation, _| slots.values().any(|slot| slot.generation == *generation));
        for slot in slots.values() {
            let meters = self.0.entry(slot.generation).or_default();
            let counts = slot.workload.counts();
            let lost = counts.rejected + counts.timed_out + counts.failed;
            if let Some(recorder) = slot.workload.recorder() {
                recorder.tick(now, lost.saturating_sub(meters.lost));
            }
            meters.lost = lost;
            let threads = slot.workload.threads();
            let used = threads.iter().filter_map(|member| usage.threads.get(&member.id));
            let cores: f64 = used.map(|used| used.cpu).sum();
            meters.cpu_ns += cores * usage.interval_us as f64 * 1e3;
        }
    }

    /// Returns the CPU time of a model's threads since it was loaded, as far as samples have seen it, in microseconds.
    pub(super) fn cpu_total_us(&self, slot: &Slot) -> u64 {
        if let Some(sample) = slot.workload.processes() {
            return sample.used.cpu_total_us;
        }
        self.0.get(&slot.generation).map_or(0, |meters| (meters.cpu_ns / 1e3) as u64)
    }

    /// Returns the rate of offered arrivals over about the last second, per second.
    pub(super) fn offered_rate(&mut self, slot: &Slot, now: Instant) -> f64 {
        let offered = slot.offered.load(Ordering::Relaxed);
        self.0.entry(slot.generation).or_default().offered.update(offered, now)
    }
}

/// Turns a running count into a rate over about the last second.
#[derive(Default)]
struct RateMeter {
    from: Option<(u64, Instant)>,
    rate: f64,
}

impl RateMeter {
    /// Returns the rate, per second, given the count now.
    fn update(&mut self, count: u64, now: Instant) -> f64 {
        let Some((before, since)) = self.from else {
            self.from = Some((count, now));
            return 0.0;
        };
        let span = now.saturating_duration_since(since);
        if span >= Duration::from_secs(1) {
            self.rate = count.saturating_sub(before) as f64 / span.as_secs_f64();
            self.from = Some((count, now));
        }
        self.rate
    }
}

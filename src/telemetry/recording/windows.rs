//! Windows over the collected requests: the last complete second, the last minute, the time since the
//! last change and the whole run.
//!
//! The minute consists of twelve blocks of five seconds, so that it is 55 to 60 s long once it is full.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::{Counter, Histogram as Hdr};

use super::buckets::Buckets;
use super::collected::{Collected, NumberedCount};
use super::log_linear::lowest_us;
use crate::layout::Slo;
use crate::telemetry::latencies::{Latencies, distribution};
use crate::telemetry::window::{Histogram, Window};

const SECOND: Duration = Duration::from_secs(1);
const SECONDS_PER_BLOCK: u32 = 5;
const BLOCKS: usize = 12;

/// A model's windows at one instant.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Windows {
    pub second: Window,
    pub minute: Window,
    pub since_change: Window,
    pub run: Window,
    pub histogram: Histogram,
    pub histogram_second: Histogram,
    pub latencies: Latencies,
}

/// The requests of each window.
pub(super) struct RollingWindows {
    started: Instant,
    second_started: Instant,
    current: WindowHistograms<u32>,
    second: WindowHistograms<u32>,
    second_span: Duration,
    block: WindowHistograms<u32>,
    block_seconds: u32,
    blocks: VecDeque<(WindowHistograms<u32>, Duration)>,
    block_started: Instant,
    minute: WindowHistograms<u32>,
    change: WindowHistograms<u64>,
    change_started: Instant,
    run: WindowHistograms<u64>,
}

/// Histograms of queue, compute and total time.
struct WindowHistograms<C: Counter> {
    queue: Hdr<C>,
    compute: Hdr<C>,
    total: Hdr<C>,
    buckets: Buckets,
    lost: u64,
}

/// Returns an empty histogram that grows as needed.
fn empty<C: Counter>() -> Hdr<C> {
    match Hdr::new(2) {
        Ok(hdr) => hdr,
        // Two significant digits are within the constructor's documented range of 0 to 5.
        Err(_) => unreachable!("two significant digits are in range"),
    }
}

fn record<C: Counter + From<u32>>(into: &mut Hdr<C>, counts: &[NumberedCount]) {
    for one in counts {
        // Recording fails only above the largest value that resizing can reach, which an hour is far
        // below.
        let _ = into.record_n(lowest_us(one.number), one.count.into());
    }
}

impl<C: Counter> WindowHistograms<C> {
    fn new() -> Self {
        Self { queue: empty(), compute: empty(), total: empty(), buckets: Buckets::new(), lost: 0 }
    }

    fn record(&mut self, collected: &Collected)
    where
        C: From<u32>,
    {
        record(&mut self.queue, &collected.queue);
        record(&mut self.compute, &collected.compute);
        record(&mut self.total, &collected.total);
        for one in &collected.buckets {
            self.buckets.add_to(one.at, &one.bucket);
        }
    }

    fn add(&mut self, other: &Self) {
        let _ = self.queue.add(&other.queue);
        let _ = self.compute.add(&other.compute);
        let _ = self.total.add(&other.total);
        self.buckets.add(&other.buckets);
        self.lost += other.lost;
    }

    fn subtract(&mut self, other: &Self) {
        let _ = self.queue.subtract(&other.queue);
        let _ = self.compute.subtract(&other.compute);
        let _ = self.total.subtract(&other.total);
        self.buckets.subtract(&other.buckets);
        self.lost -= other.lost;
    }

    fn clear(&mut self) {
        self.queue.reset();
        self.compute.reset();
        self.total.reset();
        self.buckets.clear();
        self.lost = 0;
    }

    fn window(&self, span: Duration, slo: Option<&Slo>) -> Window {
        let seconds = span.as_secs_f64().max(1e-6);
        let good = slo.map(|slo| self.total.count_between(0, slo.bound.as_micros() as u64));
        Window {
            span_us: span.as_micros() as u64,
            completed_per_s: self.total.len() as f64 / seconds,
            goodput_per_s: good.map(|good| good as f64 / seconds),
            lost_per_s: self.lost as f64 / seconds,
            slo_us: slo
                .filter(|_| !self.total.is_empty())
                .map(|slo| self.total.value_at_percentile(slo.percentile)),
            queue: distribution(&self.queue),
            compute: distribution(&self.compute),
            total: distribution(&self.total),
        }
    }
}

impl RollingWindows {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            second_started: now,
            current: WindowHistograms::new(),
            second: WindowHistograms::new(),
            second_span: SECOND,
            block: WindowHistograms::new(),
            block_seconds: 0,
            blocks: VecDeque::new(),
            block_started: now,
            minute: WindowHistograms::new(),
            change: WindowHistograms::new(),
            change_started: now,
            run: WindowHistograms::new(),
        }
    }

    pub(super) fn record(&mut self, collected: &Collected) {
        self.current.record(collected);
        self.change.record(collected);
        self.run.record(collected);
    }

    pub(super) fn add_lost(&mut self, lost: u64) {
        self.current.lost += lost;
        self.change.lost += lost;
        self.run.lost += lost;
    }

    /// Restarts the window since the last change. The others go on.
    pub(super) fn restart_change(&mut self, now: Instant) {
        self.change.clear();
        self.change_started = now;
    }

    /// Closes the second and the block if they have ended.
    pub(super) fn roll(&mut self, now: Instant) {
        let span = now.saturating_duration_since(self.second_started);
        if span < SECOND {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.second);
        self.current.clear();
        self.block.add(&self.second);
        self.minute.add(&self.second);
        self.second_started = now;
        self.second_span = span;
        self.block_seconds += 1;
        if self.block_seconds < SECONDS_PER_BLOCK {
            return;
        }
        let block = std::mem::replace(&mut self.block, WindowHistograms::new());
        self.blocks.push_back((block, now.saturating_duration_since(self.block_started)));
        self.block_started = now;
        self.block_seconds = 0;
        while self.blocks.len() > BLOCKS - 1 {
            if let Some((oldest, _)) = self.blocks.pop_front() {
                self.minute.subtract(&oldest);
            }
        }
    }

    pub(super) fn windows(&self, now: Instant, slo: Option<&Slo>) -> Windows {
        let minute_span = self.second_started.saturating_duration_since(self.minute_started());
        Windows {
            second: self.second.window(self.second_span, slo),
            minute: self.minute.window(minute_span, slo),
            since_change: self
                .change
                .window(now.saturating_duration_since(self.change_started), slo),
            run: self.run.window(now.saturating_duration_since(self.started), slo),
            histogram: self.minute.buckets.histogram(),
            histogram_second: self.second.buckets.histogram(),
            latencies: self.latencies(),
        }
    }

    /// Returns the latencies of the whole run.
    pub(super) fn latencies(&self) -> Latencies {
        Latencies::new(self.run.total.clone())
    }

    fn minute_started(&self) -> Instant {
        let kept: Duration = self.blocks.iter().map(|(_, span)| *span).sum();
        self.block_started.checked_sub(kept).unwrap_or(self.started)
    }
}

//! Latency windows of one model, written by its instances and read by the observer.
//!
//! Recording a request takes one short lock. HDR histograms of two significant digits (values
//! within 1 %) hold queue, compute and total time for the last complete second, the last minute
//! (twelve blocks of five seconds, so that a window is 55 to 60 s long once it is full), the time
//! since the last change and the whole run. The newest requests are also kept one by one, for
//! verdicts.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram as Hdr;

use super::buckets::Buckets;
use super::latencies::{Latencies, distribution};
use super::snapshot::{Histogram, Window};
use crate::layout::Slo;

/// Number of requests that are kept one by one.
pub const MAX_SAMPLES: usize = 32_768;

const SECOND: Duration = Duration::from_secs(1);
const SECONDS_PER_BLOCK: u32 = 5;
const BLOCKS: usize = 12;

/// One completed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Time of completion.
    pub at: Instant,
    /// Total latency in microseconds.
    pub total_us: u32,
}

/// Records the requests of one model.
pub struct Recorder {
    inner: Mutex<RecorderState>,
}

/// Histograms of queue, compute and total time.
#[derive(Clone)]
struct WindowHistograms {
    queue: Hdr<u32>,
    compute: Hdr<u32>,
    total: Hdr<u32>,
    buckets: Buckets,
    lost: u64,
}

struct RecorderState {
    started: Instant,
    second_started: Instant,
    current: WindowHistograms,
    second: WindowHistograms,
    second_span: Duration,
    block: WindowHistograms,
    block_seconds: u32,
    blocks: VecDeque<(WindowHistograms, Duration)>,
    block_started: Instant,
    minute: WindowHistograms,
    change: WindowHistograms,
    change_started: Instant,
    run: WindowHistograms,
    samples: VecDeque<Sample>,
    last_completion: Option<Instant>,
    waiting_since: Option<Instant>,
    longest_silence: Duration,
}

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

/// Returns an empty histogram that grows as needed.
fn empty() -> Hdr<u32> {
    match Hdr::new(2) {
        Ok(hdr) => hdr,
        // Two significant digits are within the constructor's documented range of 0 to 5.
        Err(_) => unreachable!("two significant digits are in range"),
    }
}

impl WindowHistograms {
    fn new() -> Self {
        Self { queue: empty(), compute: empty(), total: empty(), buckets: Buckets::new(), lost: 0 }
    }

    fn record(&mut self, queue_us: u64, compute_us: u64) {
        let total_us = queue_us + compute_us;
        // Recording fails only above the largest value that resizing can reach, which an hour is far below.
        let _ = self.queue.record(queue_us);
        let _ = self.compute.record(compute_us);
        let _ = self.total.record(total_us);
        self.buckets.record(queue_us, compute_us);
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

impl Recorder {
    /// Returns empty windows that begin at `now`.
    pub fn new(now: Instant) -> Self {
        let inner = RecorderState {
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
            samples: VecDeque::new(),
            last_completion: None,
            waiting_since: None,
            longest_silence: Duration::ZERO,
        };
        Self { inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, RecorderState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a completed request.
    pub fn record(&self, at: Instant, queue: Duration, compute: Duration) {
        const LIMIT: u64 = 3_600_000_000;
        let queue_us = (queue.as_micros() as u64).min(LIMIT / 2);
        let compute_us = (compute.as_micros() as u64).min(LIMIT / 2);
        let mut inner = self.lock();
        inner.current.record(queue_us, compute_us);
        if inner.samples.len() == MAX_SAMPLES {
            inner.samples.pop_front();
        }
        inner.samples.push_back(Sample { at, total_us: (queue_us + compute_us) as u32 });
        if let Some(since) = inner.waiting_since {
            let from = inner.last_completion.map_or(since, |last| last.max(since));
            let silence = at.saturating_duration_since(from);
            inner.longest_silence = inner.longest_silence.max(silence);
        }
        inner.last_completion = Some(at);
    }

    /// Records whether any request waits or runs; silence is measured only then. Called on every
    /// observation.
    pub fn note_work(&self, now: Instant, any: bool) {
        // Never wait for a reader of the windows: the next call comes soon.
        let Ok(mut inner) = self.inner.try_lock() else { return };
        match (any, inner.waiting_since) {
            (true, None) => inner.waiting_since = Some(now),
            (false, Some(_)) => inner.waiting_since = None,
            _ => {}
        }
    }

    /// Returns the longest span since [`Recorder::reset_silence`] in which requests waited or ran and
    /// none completed.
    pub fn longest_silence(&self) -> Duration {
        self.lock().longest_silence
    }

    /// Restarts the measurement of silence.
    pub fn reset_silence(&self) {
        let mut inner = self.lock();
        inner.longest_silence = Duration::ZERO;
        inner.waiting_since = None;
    }

    /// Closes the seconds and blocks that have ended. `lost` is the number of requests that were
    /// rejected, timed out or failed since the last call. Must be called at least once per second.
    pub fn tick(&self, now: Instant, lost: u64) {
        let mut inner = self.lock();
        inner.current.lost += lost;
        let span = now.saturating_duration_since(inner.second_started);
        if span < SECOND {
            return;
        }
        inner.close_second(now, span);
    }

    /// Restarts the window since the last change.
    pub fn mark_change(&self, now: Instant) {
        let mut inner = self.lock();
        // Requests completed before the change must not count after it.
        let span = now.saturating_duration_since(inner.second_started);
        inner.close_second(now, span);
        inner.change.clear();
        inner.change_started = now;
    }

    /// Returns all windows. Those that end now include requests completed since the last tick.
    pub fn windows(&self, now: Instant, slo: Option<&Slo>) -> Windows {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let run = with(&inner.run, &inner.current);
        let minute_span =
            inner.blocks.front().map_or(inner.block_started, |_| inner.minute_started());
        Windows {
            second: inner.second.window(inner.second_span, slo),
            minute: inner
                .minute
                .window(inner.second_started.saturating_duration_since(minute_span), slo),
            since_change: with(&inner.change, &inner.current)
                .window(now.saturating_duration_since(inner.change_started), slo),
            run: run.window(now.saturating_duration_since(inner.started), slo),
            histogram: inner.minute.buckets.histogram(),
            histogram_second: inner.second.buckets.histogram(),
            latencies: Latencies::new(run.total),
        }
    }

    /// Returns the kept requests that completed in `[from, to)`, oldest first.
    pub fn samples(&self, from: Instant, to: Instant) -> Vec<Sample> {
        let inner = self.lock();
        inner.samples.iter().filter(|sample| sample.at >= from && sample.at < to).copied().collect()
    }

    /// Returns the time at which the oldest kept request completed.
    pub fn oldest_sample(&self) -> Option<Instant> {
        self.lock().samples.front().map(|sample| sample.at)
    }
}

fn with(base: &WindowHistograms, more: &WindowHistograms) -> WindowHistograms {
    let mut sum = base.clone();
    sum.add(more);
    sum
}

impl RecorderState {
    fn minute_started(&self) -> Instant {
        let kept: Duration = self.blocks.iter().map(|(_, span)| *span).sum();
        self.block_started.checked_sub(kept).unwrap_or(self.started)
    }

    fn close_second(&mut self, now: Instant, span: Duration) {
        let current = std::mem::replace(&mut self.current, WindowHistograms::new());
        self.block.add(&current);
        self.minute.add(&current);
        self.change.add(&current);
        self.run.add(&current);
        self.second_started = now;
        if span < SECOND / 2 {
            // A change cut this second short; it is too short to give a rate.
            return;
        }
        self.second = current;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn second_window_is_the_last_complete_second() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        for step in 0..100u32 {
            recorder.record(start + MS * step, MS * 2, MS * 3);
        }
        assert_eq!(recorder.windows(start, None).second.total.count, 0);
        recorder.tick(start + SECOND, 7);
        let windows = recorder.windows(start + SECOND, None);
        assert_eq!(windows.second.total.count, 100);
        assert!((windows.second.completed_per_s - 100.0).abs() < 1e-9);
        assert!((windows.second.lost_per_s - 7.0).abs() < 1e-9);
        assert!((5000..=5040).contains(&windows.second.total.p50_us));
        recorder.tick(start + SECOND * 2, 0);
        assert_eq!(recorder.windows(start + SECOND * 2, None).second.total.count, 0);
    }

    #[test]
    fn minute_forgets_older_requests() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        for second in 0..200u32 {
            recorder.record(start + SECOND * second, MS, MS);
            recorder.tick(start + SECOND * (second + 1), 0);
        }
        let windows = recorder.windows(start + SECOND * 200, None);
        assert!((55..=60).contains(&windows.minute.total.count), "{}", windows.minute.total.count);
        let span = windows.minute.span_us / 1_000_000;
        assert_eq!(span, windows.minute.total.count, "one per second");
        assert_eq!(windows.run.total.count, 200);
        assert_eq!(windows.histogram.total.iter().sum::<u64>(), windows.minute.total.count);
    }

    #[test]
    fn change_restarts_its_window() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        recorder.record(start, MS, MS);
        recorder.mark_change(start + MS * 100);
        recorder.record(start + MS * 200, MS, MS);
        let windows = recorder.windows(start + MS * 300, None);
        assert_eq!(windows.since_change.total.count, 1);
        assert_eq!(windows.since_change.span_us, 200_000);
        assert_eq!(windows.run.total.count, 2);
    }

    #[test]
    fn goodput_counts_requests_within_the_slo() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        for step in 0..10u32 {
            recorder.record(start, Duration::ZERO, MS * (step + 1) * 10);
        }
        let slo = Slo { percentile: 90.0, bound: MS * 55 };
        recorder.tick(start + SECOND, 0);
        let second = recorder.windows(start + SECOND, Some(&slo)).second;
        assert_eq!(second.goodput_per_s, Some(5.0));
        assert!(second.slo_us.is_some_and(|us| (89_000..=91_000).contains(&us)));
    }

    #[test]
    fn silence_counts_only_with_work() {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        recorder.record(start, MS, MS);
        recorder.record(start + SECOND, MS, MS);
        assert_eq!(recorder.longest_silence(), Duration::ZERO);
        recorder.note_work(start + SECOND, true);
        recorder.record(start + SECOND + MS * 30, MS, MS);
        recorder.record(start + SECOND + MS * 40, MS, MS);
        assert_eq!(recorder.longest_silence(), MS * 30);
    }
}

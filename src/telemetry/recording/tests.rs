//! Tests of recorder, windows and cells together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use proptest::prelude::*;

use super::{InstanceRecorder, Recorder};
use crate::layout::Slo;
use crate::telemetry::journal::Metric;
use crate::telemetry::latencies::distribution;
use crate::telemetry::verdict::{Side, compare, metric_count};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const CELL: Duration = Duration::from_millis(250);

#[test]
fn second_window_is_the_last_complete_second() {
    let start = Instant::now();
    let recorder = Recorder::new(start);
    let mut instance = recorder.instance();
    for step in 0..100u32 {
        instance.record(start + MS * step, MS * 2, MS * 3);
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
    let mut instance = recorder.instance();
    for second in 0..200u32 {
        instance.record(start + SECOND * second, MS, MS);
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
    let mut instance = recorder.instance();
    instance.record(start, MS, MS);
    recorder.mark_change(start + MS * 100);
    instance.record(start + MS * 200, MS, MS);
    let windows = recorder.windows(start + MS * 300, None);
    assert_eq!(windows.since_change.total.count, 1);
    assert_eq!(windows.since_change.span_us, 200_000);
    assert_eq!(windows.run.total.count, 2);
}

#[test]
fn many_changes_keep_the_windows_rolling() {
    let start = Instant::now();
    let recorder = Recorder::new(start);
    let mut instance = recorder.instance();
    // Ten changes and a hundred requests per second.
    for step in 1..=2000u32 {
        let now = start + MS * 10 * step;
        instance.record(now, MS, MS);
        if step % 10 == 0 {
            recorder.mark_change(now);
        }
        if step % 50 == 0 {
            recorder.tick(now, 0);
        }
        if step == 1000 {
            let windows = recorder.windows(now, None);
            assert_eq!((windows.second.total.count, windows.minute.total.count), (100, 1000));
        }
    }
    let windows = recorder.windows(start + SECOND * 20, None);
    assert_eq!((windows.second.total.count, windows.second.span_us), (100, 1_000_000));
    assert_eq!((windows.minute.total.count, windows.minute.span_us), (2000, 20_000_000));
    for second in 21..=200 {
        recorder.tick(start + SECOND * second, 0);
    }
    assert_eq!(recorder.windows(start + SECOND * 200, None).minute.total.count, 0);
}

#[test]
fn goodput_counts_requests_within_the_slo() {
    let start = Instant::now();
    let recorder = Recorder::new(start);
    let mut instance = recorder.instance();
    for step in 0..10u32 {
        instance.record(start, Duration::ZERO, MS * (step + 1) * 10);
    }
    let slo = Slo { percentile: 90.0, bound: MS * 55 };
    recorder.tick(start + SECOND, 0);
    let second = recorder.windows(start + SECOND, Some(&slo)).second;
    assert_eq!(second.goodput_per_s, Some(5.0));
    assert!(second.slo_us.is_some_and(|us| (89_000..=91_000).contains(&us)));
}

#[test]
fn ended_instance_keeps_its_counts() {
    let start = Instant::now();
    let recorder = Recorder::new(start);
    let mut first = recorder.instance();
    first.record(start, MS, MS);
    recorder.tick(start + MS, 0);
    first.record(start, MS, MS);
    drop(first);
    // One that ends before anyone has read it.
    recorder.instance().record(start, MS, MS);
    for _ in 0..2 {
        assert_eq!(recorder.windows(start + SECOND, None).run.total.count, 3);
    }
}

#[test]
fn concurrent_instances_lose_no_request() {
    let start = Instant::now();
    let recorder = Recorder::new(start);
    let write = |mut instance: InstanceRecorder| {
        for request in 0..20_000 {
            instance.record(start, MS, Duration::from_micros(request % 5000));
        }
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|_| recorder.instance())
            .map(|one| scope.spawn(move || write(one)))
            .collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            recorder.close_cell(start, Duration::ZERO);
        }
    });
    let run = recorder.windows(start + SECOND, None).run;
    assert_eq!([run.queue.count, run.compute.count, run.total.count], [60_000; 3]);
    let window = recorder.windows(start + SECOND, None).since_change;
    assert_eq!(window.total, run.total);
}

#[test]
fn latencies_between_two_readings() {
    let start = Instant::now();
    let recorder = Recorder::new(start);
    let mut instance = recorder.instance();
    instance.record(start, MS, MS);
    let before = recorder.latencies();
    instance.record(start, MS, MS * 9);
    let between = recorder.latencies().since(&before);
    assert_eq!(between.count, 1);
    assert!((10_000..10_100).contains(&between.p50_us), "{between:?}");
}

/// Returns the sides of 20 s before and after the middle of 40 s with `rate` requests per second.
fn sides(rate: u32) -> (Side, Side) {
    let start = Instant::now();
    let recorder = Recorder::new(start);
    let mut random = fastrand::Rng::with_seed(u64::from(rate));
    let mut instances = [recorder.instance(), recorder.instance()];
    // The housekeeper checks a little late.
    let checks = (0..160).map(|_| CELL + Duration::from_millis(random.u64(0..12)));
    let (mut now, mut arrived) = (start, 0u32);
    for length in checks.collect::<Vec<_>>() {
        now += length;
        while (SECOND / rate) * arrived < now - start {
            let compute = MS * 5 + Duration::from_micros(random.u64(0..2000));
            let at = start + (SECOND / rate) * arrived;
            instances[arrived as usize % 2].record(at, Duration::ZERO, compute);
            arrived += 1;
        }
        recorder.close_cell(now, CELL);
    }
    let middle = start + SECOND * 20;
    let side = |from, to| Side::new(recorder.cells(from, to));
    (side(start, middle), side(middle, start + SECOND * 40))
}

#[test]
fn steady_rates_give_no_throughput_claim() {
    for rate in [10, 3_000, 20_000] {
        let (before, after) = sides(rate);
        let all = compare(&before, &after, None, metric_count(None));
        let throughput = all.iter().find(|one| one.metric == Metric::Throughput);
        let throughput = throughput.unwrap_or_else(|| panic!("no verdict at {rate}/s"));
        assert!(!throughput.clear && throughput.change.abs() < 0.02, "{rate}/s: {throughput:?}");
        assert!((throughput.before / f64::from(rate) - 1.0).abs() < 0.02, "{throughput:?}");
    }
}

proptest! {
    #[test]
    fn windows_are_those_of_one_histogram(
        requests in prop::collection::vec((0..4usize, 0..3_000_000u64, 0..90_000u64, 0..9u8), 1..300),
    ) {
        let start = Instant::now();
        let recorder = Recorder::new(start);
        let mut instances: Vec<_> = (0..4).map(|_| recorder.instance()).collect();
        let hdr = || Histogram::<u64>::new(2).unwrap();
        let (mut queue, mut compute, mut total) = (hdr(), hdr(), hdr());
        for (instance, queue_us, compute_us, event) in requests {
            let (wait, run) = (Duration::from_micros(queue_us), Duration::from_micros(compute_us));
            instances[instance].record(start, wait, run);
            queue.record(queue_us).unwrap();
            compute.record(compute_us).unwrap();
            total.record(queue_us + compute_us).unwrap();
            match event {
                // An instance is replaced.
                0 => instances[instance] = recorder.instance(),
                1 => recorder.close_cell(start, Duration::ZERO),
                2 => drop(recorder.windows(start, None)),
                3 => recorder.mark_change(start),
                _ => {}
            }
        }
        recorder.tick(start + SECOND, 0);
        let windows = recorder.windows(start + SECOND, None);
        for window in [windows.run, windows.second, windows.minute] {
            prop_assert_eq!(window.queue, distribution(&queue));
            prop_assert_eq!(window.compute, distribution(&compute));
            prop_assert_eq!(window.total, distribution(&total));
        }
        let buckets = windows.histogram;
        prop_assert_eq!(buckets.total.iter().sum::<u64>(), total.len());
    }
}

#[test]
#[ignore = "a measurement: cargo test --release --lib -- --ignored --nocapture cost_of_a_record"]
fn cost_of_a_record() {
    const REQUESTS: u32 = 5_000_000;
    for threads in [1, 2] {
        let recorder = Arc::new(Recorder::new(Instant::now()));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let mut instance = recorder.instance();
                scope.spawn(move || {
                    for request in 0..REQUESTS {
                        let queue = Duration::from_micros(u64::from(request) % 1000);
                        instance.record(begun, queue, MS * 5);
                    }
                });
            }
        });
        let cost = begun.elapsed() / REQUESTS;
        println!("{threads} threads: {} ns per record", cost.as_nanos());
    }
}

//! Tests of loads at made-up instants: which requests they send, and the arrival time of each.

pub(in crate::load) mod fake;

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::counters::LoadCounters;
use super::message::LoadMessage;
use super::running_loads::RunningLoads;
use super::{LoadCounts, LoadDriver, LoadError, LoadJob, LoadRequests, MAX_IN_FLIGHT};
use fake::{FakeSender, numbered};

use crate::layout::{LoadSpec, ReplayOrder};

const MS: Duration = Duration::from_millis(1);

/// One model's load over a fake receiver, with its own clock.
struct TestLoad {
    loads: RunningLoads,
    messages: Receiver<LoadMessage>,
    sender: Arc<FakeSender>,
    requests: Arc<LoadRequests>,
    counters: Arc<LoadCounters>,
    start: Instant,
    now: Instant,
}

impl TestLoad {
    fn new(requests: LoadRequests) -> Self {
        let (mailbox, messages) = mpsc::channel();
        let start = Instant::now();
        Self {
            loads: RunningLoads::new(mailbox),
            messages,
            sender: Arc::default(),
            requests: Arc::new(requests),
            counters: Arc::default(),
            start,
            now: start,
        }
    }

    fn job(&self, spec: LoadSpec) -> LoadJob {
        LoadJob { sender: self.sender.clone(), spec, requests: self.requests.clone(), seed: 11 }
    }

    fn set(&mut self, spec: Option<LoadSpec>) {
        let job = spec.map(|spec| self.job(spec));
        self.loads.set("model".to_owned(), job, &self.counters, self.now);
        self.settle();
    }

    /// Handles the answers so far and the arrivals due now. Returns when the next arrival is.
    fn settle(&mut self) -> Option<Instant> {
        loop {
            for message in self.messages.try_iter().collect::<Vec<_>>() {
                if let LoadMessage::Answer(answer) = message {
                    self.loads.handle_answer(answer, self.now);
                }
            }
            let next = self.loads.step(self.now);
            if next.is_none_or(|next| next > self.now) {
                return next;
            }
        }
    }

    /// Advances the clock in the steps that the load asks for.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.settle().filter(|next| *next <= end) {
            self.now = next;
        }
        self.now = end;
        self.settle();
    }

    /// Advances the clock in one step, as if the thread had got no CPU.
    fn stall(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    fn arrivals(&self) -> Vec<Duration> {
        self.sender.arrivals().into_iter().map(|arrival| arrival - self.start).collect()
    }

    fn counts(&self) -> LoadCounts {
        self.counters.counts()
    }
}

fn closed(clients: usize, think: Duration) -> LoadSpec {
    LoadSpec::Closed { clients, think }
}

fn replay(rate: Option<f64>, carry: &[(&str, &str)]) -> LoadSpec {
    let carry: BTreeMap<String, String> =
        carry.iter().map(|(output, input)| ((*output).to_owned(), (*input).to_owned())).collect();
    LoadSpec::Replay { file: "r.npz".into(), order: ReplayOrder::Recorded, rate, carry }
}

#[test]
fn constant_arrivals_ignore_missing_answers() {
    let mut test = TestLoad::new(numbered(1));
    test.set(Some(LoadSpec::Constant { rate: 100.0 }));
    test.pass(Duration::from_secs(1));
    let expected: Vec<Duration> = (1..=100).map(|index| 10 * MS * index).collect();
    assert_eq!(test.arrivals(), expected);
    assert_eq!(test.counts(), LoadCounts { offered: 100, submitted: 100, answered: 0 });
}

#[test]
fn late_generator_keeps_intended_arrivals() {
    let mut smooth = TestLoad::new(numbered(1));
    smooth.set(Some(LoadSpec::Poisson { rate: 5_000.0 }));
    smooth.pass(Duration::from_secs(3));
    let mut late = TestLoad::new(numbered(1));
    late.set(Some(LoadSpec::Poisson { rate: 5_000.0 }));
    late.stall(Duration::from_secs(3));
    assert_eq!(late.arrivals(), smooth.arrivals());
    assert!(late.counts().offered > 14_000, "{:?}", late.counts());
}

#[test]
fn unanswered_requests_are_bounded() {
    let mut test = TestLoad::new(numbered(1));
    test.set(Some(LoadSpec::Constant { rate: 100_000.0 }));
    test.stall(Duration::from_secs(2));
    assert_eq!(
        test.counts(),
        LoadCounts { offered: 200_000, submitted: MAX_IN_FLIGHT, answered: 0 }
    );
    for _ in 0..5 {
        test.sender.answer(usize::MAX);
        test.stall(MS);
    }
    // 2 s at first and 1 ms per round: all arrivals were submitted, none was skipped.
    let arrivals = test.arrivals();
    assert_eq!(arrivals.len(), 200_500);
    assert_eq!(test.counts().offered, 200_500);
    let gap = Duration::from_micros(10);
    assert!(arrivals.iter().enumerate().all(|(index, at)| *at == gap * (index as u32 + 1)));
}

#[test]
fn callers_think_after_their_reply() {
    let mut test = TestLoad::new(numbered(1));
    test.set(Some(closed(3, 20 * MS)));
    test.pass(1000 * MS);
    assert_eq!(test.counts(), LoadCounts { offered: 3, submitted: 3, answered: 0 });
    test.sender.answer(2);
    test.pass(19 * MS);
    assert_eq!(test.sender.waiting(), 1);
    test.pass(MS);
    assert_eq!(test.sender.waiting(), 3);
    assert_eq!(test.arrivals()[3..], [1020 * MS, 1020 * MS]);
}

#[test]
fn late_callers_keep_intended_arrivals() {
    let mut test = TestLoad::new(numbered(1));
    test.set(Some(closed(1, 5 * MS)));
    test.sender.answer(1);
    test.settle();
    test.stall(700 * MS);
    assert_eq!(test.arrivals(), [Duration::ZERO, 5 * MS]);
}

#[test]
fn rejected_callers_pause() {
    let mut test = TestLoad::new(numbered(1));
    test.set(Some(closed(1, Duration::ZERO)));
    for _ in 0..8_000 {
        test.sender.reject(1);
        test.pass(MS);
    }
    // 10 + 20 + .. + 640 ms, then once a second
    assert_eq!(test.counts().submitted, 1 + 7 + 6, "{:?}", test.arrivals());
    test.sender.answer(1);
    test.pass(1000 * MS);
    assert_eq!(test.sender.answer(1), 1, "a success ends the pauses");
    test.settle();
    assert_eq!(test.sender.waiting(), 1);
}

#[test]
fn dropped_reply_frees_its_caller() {
    let mut test = TestLoad::new(numbered(1));
    test.set(Some(closed(2, Duration::ZERO)));
    test.sender.drop_all();
    test.pass(10 * MS);
    assert_eq!(test.sender.waiting(), 2);
    assert_eq!(test.counts(), LoadCounts { offered: 4, submitted: 4, answered: 2 });
}

#[test]
fn resize_keeps_one_request_per_caller() {
    let mut test = TestLoad::new(numbered(1));
    test.set(Some(closed(4, Duration::ZERO)));
    test.set(Some(closed(6, Duration::ZERO)));
    assert_eq!(test.sender.waiting(), 6);
    test.set(Some(closed(1, Duration::ZERO)));
    test.set(Some(closed(2, Duration::ZERO)));
    assert_eq!(test.sender.waiting(), 6);
    test.sender.answer(6);
    test.settle();
    assert_eq!(test.sender.waiting(), 2);
}

#[test]
fn change_of_load_loses_no_reply() {
    let mut test = TestLoad::new(numbered(2));
    let loads = [
        Some(closed(8, Duration::ZERO)),
        Some(LoadSpec::Poisson { rate: 900.0 }),
        Some(closed(2, MS)),
        None,
        Some(replay(None, &[("next", "state")])),
        Some(LoadSpec::Constant { rate: 400.0 }),
        None,
    ];
    for load in loads {
        test.set(load);
        for _ in 0..30 {
            test.pass(3 * MS);
            test.sender.answer(2);
        }
    }
    let asked = test.counts().submitted;
    test.pass(1000 * MS);
    assert_eq!(test.counts().submitted, asked, "a stopped load sends no more");
    test.sender.answer(usize::MAX);
    assert_eq!(test.counts().answered, asked);
    assert!(asked > 100, "{asked}");
}

#[test]
fn same_job_does_not_restart_load() {
    let mut test = TestLoad::new(numbered(1));
    for _ in 0..10 {
        test.set(Some(LoadSpec::Constant { rate: 10.0 }));
        test.pass(50 * MS);
    }
    assert_eq!(test.arrivals(), [100 * MS, 200 * MS, 300 * MS, 400 * MS, 500 * MS]);
}

#[test]
fn replay_uses_recorded_times_or_rate() {
    let times = || vec![Duration::ZERO, 30 * MS, 40 * MS];
    let mut own = TestLoad::new(numbered(3).with_times(times()).unwrap());
    own.set(Some(replay(None, &[])));
    own.pass(100 * MS);
    assert_eq!(own.arrivals(), [0, 30, 40, 60, 90, 100].map(|ms| ms * MS));
    assert_eq!(own.sender.inputs("x"), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);

    let mut set = TestLoad::new(numbered(3).with_times(times()).unwrap());
    set.set(Some(replay(Some(50.0), &[])));
    set.pass(60 * MS);
    assert_eq!(set.arrivals(), [20, 40, 60].map(|ms| ms * MS));
}

#[test]
fn untimed_replay_has_one_caller() {
    let mut test = TestLoad::new(numbered(2));
    test.set(Some(replay(None, &[])));
    for _ in 0..3 {
        assert_eq!(test.sender.answer(usize::MAX), 1);
        test.settle();
    }
    assert_eq!(test.sender.inputs("x"), [0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn carried_outputs_last_one_pass() {
    let mut test = TestLoad::new(numbered(3));
    test.set(Some(replay(None, &[("next", "state")])));
    for _ in 0..4 {
        assert_eq!(test.sender.answer(usize::MAX), 1, "one request at a time");
        test.settle();
    }
    assert_eq!(test.sender.inputs("x"), [0.0, 1.0, 2.0, 0.0, 1.0]);
    assert_eq!(test.sender.inputs("state"), [0.0, 1.0, 2.0, 0.0, 1.0]);
}

#[test]
fn failed_request_resets_carried_state() {
    let mut test = TestLoad::new(numbered(9));
    test.set(Some(replay(None, &[("next", "state")])));
    test.sender.answer(1);
    test.settle();
    test.sender.reject(1);
    test.pass(10 * MS);
    assert_eq!(test.sender.inputs("state"), [0.0, 1.0, 0.0]);
}

#[test]
fn late_carried_requests_keep_arrivals() {
    let mut test = TestLoad::new(numbered(9));
    test.set(Some(replay(Some(100.0), &[("next", "state")])));
    test.pass(50 * MS);
    assert_eq!(test.counts(), LoadCounts { offered: 5, submitted: 1, answered: 0 });
    for _ in 0..5 {
        test.sender.answer(1);
        test.settle();
    }
    assert_eq!(test.arrivals(), [10, 20, 30, 40, 50].map(|ms| ms * MS));
    assert_eq!(test.sender.inputs("state"), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(test.settle(), Some(test.start + 60 * MS));
}

#[test]
fn check_rejects_invalid_loads() {
    let test = TestLoad::new(numbered(1));
    let refused = |spec| test.job(spec).check().unwrap_err().to_string();
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert!(refused(LoadSpec::Poisson { rate }).contains("rate"));
        assert!(refused(LoadSpec::Constant { rate }).contains("rate"));
        assert!(refused(replay(Some(rate), &[])).contains("rate"));
    }
    assert!(refused(closed(0, MS)).contains("clients"));
    assert!(refused(closed(10_001, MS)).contains("clients"));
    assert_eq!(
        refused(replay(None, &[("stateN", "state")])),
        "carry: the model has no output `stateN`; it has: next"
    );
    assert!(refused(replay(None, &[("next", "s")])).contains("no input `s`; it has: x, state"));
    assert_eq!(test.job(replay(None, &[("next", "state")])).check(), Ok(()));
}

/// Answers at once, on the submitting thread.
#[derive(Default)]
struct Echo(Mutex<u64>);

impl crate::pool::RequestSender for Echo {
    fn signature(&self) -> Arc<crate::engine::Signature> {
        Arc::default()
    }

    fn submit(&self, request: crate::pool::Request) -> Option<crate::pool::RequestId> {
        *self.0.lock().unwrap() += 1;
        let zero = Duration::ZERO;
        (request.reply)(crate::pool::Outcome {
            result: Ok(Vec::new()),
            queue: zero,
            compute: zero,
        });
        None
    }

    fn cancel(&self, _: crate::pool::RequestId) -> bool {
        false
    }
}

#[test]
fn stopped_driver_awaits_all_replies() {
    let driver = LoadDriver::start().unwrap();
    assert_ne!(driver.thread(), crate::machine::current_thread());
    let sender = Arc::new(Echo::default());
    let requests = Arc::new(numbered(1));
    let job = |spec| LoadJob { sender: sender.clone(), spec, requests: requests.clone(), seed: 1 };
    driver.set("callers", Some(job(closed(3, Duration::ZERO)))).unwrap();
    driver.set("arrivals", Some(job(LoadSpec::Poisson { rate: 2_000.0 }))).unwrap();
    assert!(driver.set("arrivals", Some(job(LoadSpec::Poisson { rate: -1.0 }))).is_err());
    while driver.offered("callers") < 1_000 || driver.offered("arrivals") < 50 {
        std::thread::sleep(MS);
    }
    assert_eq!(driver.offered("nobody"), 0);
    driver.set("callers", None).unwrap();
    assert_eq!(driver.stop(Duration::from_mins(1)), 0);
    let (callers, arrivals) = (driver.counts("callers"), driver.counts("arrivals"));
    assert_eq!(callers.submitted, callers.answered);
    assert_eq!(arrivals.submitted, arrivals.answered);
    assert_eq!(*sender.0.lock().unwrap(), callers.submitted + arrivals.submitted);
    assert_eq!(driver.set("callers", None), Err(LoadError::Stopped));
}

#[test]
fn stop_returns_unanswered_requests() {
    let driver = LoadDriver::start().unwrap();
    let sender: Arc<FakeSender> = Arc::default();
    let requests = Arc::new(numbered(1));
    let job = LoadJob { sender: sender.clone(), spec: closed(5, MS), requests, seed: 1 };
    driver.set("model", Some(job)).unwrap();
    while sender.waiting() < 5 {
        std::thread::sleep(MS);
    }
    assert_eq!(driver.stop(MS), 5);
    sender.answer(5);
    assert_eq!(driver.stop(MS), 0);
}

//! Nice values of threads in divvy's own group.

use super::{Session, TestProcess, weight};
use crate::machine::lowest_nice;
use crate::process::weight::{Weight, WeightOriginals, WeightTarget};

/// A program with a second thread, which it made nicer by 3. Prints that thread's number.
const TWO_THREADS: &str = "
import os, threading, time
def second():
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(),
                   os.getpriority(os.PRIO_PROCESS, 0) + 3)
    print(threading.get_native_id(), flush=True)
    time.sleep(600)
threading.Thread(target=second, daemon=True).start()
time.sleep(600)
";

fn two_threads() -> TestProcess {
    TestProcess::start(Session::OfTheTest, "python3", &["-c", TWO_THREADS])
}

/// Sets a weight, and returns the record of what it found.
fn set(weight: &mut Weight, nice: i32) -> WeightOriginals {
    weight.set_target(Some(WeightTarget { nice, base: 0 }));
    let mut record = weight.originals();
    assert_eq!(weight.apply(&mut |originals| record = originals.clone()), [""; 0]);
    record
}

#[test]
fn nicer_thread_keeps_its_distance() {
    if lowest_nice() > 0 {
        eprintln!("skipped: lowering a nice value needs CAP_SYS_NICE");
        return;
    }
    let process = two_threads();
    let (pid, second): (i32, i32) = (process.id().pid, process.line.parse().unwrap());
    let nice = || [pid, second].map(|tid| process.foreign().nice(tid).unwrap());
    let found = nice();
    let mut weight = weight(&[process.id()]);
    assert_eq!(weight.description(), "nice value of each thread");
    assert!(weight.is_in_own_group());
    let record = set(&mut weight, 6);
    assert_eq!(nice(), [6, 9].map(|nice| found[0].max(0) + nice));
    assert_eq!((record.processes[0].nice, record.processes[0].threads.len()), (found[0], 1));
    set(&mut weight, 18);
    assert_eq!(nice()[1], 19, "the kernel's highest");
    assert_eq!(weight.restore(), [""; 0]);
    assert_eq!(nice(), found);
    assert!(weight.originals().is_empty());
}

#[test]
fn record_restores_threads() {
    if lowest_nice() > 0 {
        eprintln!("skipped: lowering a nice value needs CAP_SYS_NICE");
        return;
    }
    let process = two_threads();
    let (pid, second): (i32, i32) = (process.id().pid, process.line.parse().unwrap());
    let nice = || [pid, second].map(|tid| process.foreign().nice(tid).unwrap());
    let found = nice();
    let record = set(&mut weight(&[process.id()]), 6);
    assert_ne!(nice(), found);
    let mut other = record.clone();
    other.processes[0].process.start_ticks += 1;
    assert_eq!(other.restore(std::path::Path::new("/")), [""; 0]);
    assert_ne!(nice(), found, "another process has the number");
    assert_eq!(record.restore(std::path::Path::new("/")), [""; 0]);
    assert_eq!(nice(), found);
}

#[test]
fn changed_thread_is_reported() {
    if lowest_nice() > 0 {
        eprintln!("skipped: lowering a nice value needs CAP_SYS_NICE");
        return;
    }
    let process = two_threads();
    let pid = process.id().pid;
    let mut weight = weight(&[process.id()]);
    set(&mut weight, 6);
    assert_eq!(weight.strays(), [""; 0]);
    let now = process.foreign().nice(pid).unwrap();
    process.foreign().set_nice(pid, now - 2).unwrap();
    let expected = format!("thread {pid} of process {pid} has nice {} instead of {now}", now - 2);
    assert_eq!(weight.strays(), [expected]);
    set(&mut weight, 6);
    assert_eq!(weight.strays(), [""; 0]);
}

#[test]
fn value_that_another_program_sets_is_left() {
    if lowest_nice() > 0 {
        eprintln!("skipped: lowering a nice value needs CAP_SYS_NICE");
        return;
    }
    let process = two_threads();
    let pid = process.id().pid;
    let mut weight = weight(&[process.id()]);
    set(&mut weight, 6);
    let now = std::time::Instant::now();
    for _ in 0..3 {
        process.foreign().set_nice(pid, 2).unwrap();
        assert_eq!(weight.check(now, &mut |_| {}), [""; 0]);
        assert_ne!(process.foreign().nice(pid), Ok(2), "repaired");
    }
    process.foreign().set_nice(pid, 2).unwrap();
    let message = &weight.check(now, &mut |_| {})[0];
    assert!(message.starts_with("another program sets its nice values: thread"), "{message}");
    assert_eq!(process.foreign().nice(pid), Ok(2));
    set(&mut weight, 5);
    assert_ne!(process.foreign().nice(pid), Ok(2), "a change of the weight tries again");
}

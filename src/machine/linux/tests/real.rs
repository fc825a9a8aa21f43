//! The running kernel: threads of this process are placed and measured from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use super::super::super::{MachineError, current_thread, this_machine};
use super::*;

/// A thread that spins until dropped.
struct Busy {
    thread: ThreadId,
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let seen = Arc::clone(&stop);
        let handle = std::thread::spawn(move || {
            tell.send(current_thread()).unwrap();
            while !seen.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        Self { thread: told.recv().unwrap(), stop, handle: Some(handle) }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(handle) = self.handle.take() {
            handle.join().unwrap();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn another_thread_is_pinned_from_outside_and_read_back() {
    let machine = LinuxMachine::detect();
    let allowed = machine.describe().limits.allowed;
    let busy = Busy::start();
    assert_ne!(busy.thread, current_thread());
    for core in allowed.iter() {
        let one = CpuSet::single(core);
        machine.set_affinity(busy.thread, &one).unwrap();
        assert_eq!(machine.affinity(busy.thread).unwrap(), one);
        let status = std::fs::read_to_string(format!("/proc/self/task/{}/status", busy.thread));
        assert!(status.unwrap().contains(&format!("Cpus_allowed_list:\t{core}\n")));
        // A thread that runs is moved before the call returns.
        assert_eq!(machine.thread_times(busy.thread).unwrap().last_core, Some(core));
    }
    assert_eq!(machine.describe().limits.allowed, allowed, "the process's own mask is as before");
}

#[test]
fn a_thread_that_ended_and_a_cpu_that_is_not_there_are_told_apart() {
    let machine = LinuxMachine::detect();
    let mut busy = Busy::start();
    let before = machine.affinity(busy.thread).unwrap();
    let absent = CpuSet::single(CoreId(1023));
    assert_eq!(
        machine.set_affinity(busy.thread, &absent),
        Err(AffinityError::NotAllowed { asked: absent })
    );
    let none = CpuSet::EMPTY;
    let refused = machine.set_affinity(busy.thread, &none);
    assert_eq!(refused, Err(AffinityError::NotAllowed { asked: none }));
    assert_eq!(machine.affinity(busy.thread).unwrap(), before, "a refusal changes nothing");
    busy.end();
    // The kernel reaps a thread a moment after its join returns.
    while Path::new(&format!("/proc/self/task/{}", busy.thread)).exists() {
        std::thread::yield_now();
    }
    let gone = AffinityError::NoSuchThread(busy.thread);
    assert_eq!(machine.set_affinity(busy.thread, &before), Err(gone.clone()));
    assert_eq!(machine.affinity(busy.thread), Err(gone));
    assert_eq!(machine.thread_times(busy.thread), None);
}

#[test]
fn a_thread_of_another_process_is_refused() {
    let machine = LinuxMachine::detect();
    let all = machine.describe().limits.allowed;
    for stranger in [ThreadId(1), ThreadId(0), ThreadId(-5)] {
        let gone = AffinityError::NoSuchThread(stranger);
        assert_eq!(machine.set_affinity(stranger, &all), Err(gone.clone()));
        assert_eq!(machine.affinity(stranger), Err(gone));
    }
}

#[test]
fn times_move_forward_under_work() {
    let machine = LinuxMachine::detect();
    let busy = Busy::start();
    let first = machine.thread_times(busy.thread).unwrap();
    let cores = machine.core_times();
    let sum = |times: &[CoreTimes]| times.iter().map(|core| core.busy_ns).sum::<u64>();
    while machine.thread_times(busy.thread).unwrap().cpu_ns < first.cpu_ns + 50_000_000 {
        std::thread::yield_now();
    }
    let later = machine.core_times();
    let online = machine.describe().topology.online();
    assert_eq!(later.iter().map(|core| core.core).collect::<CpuSet>(), online);
    assert!(later.is_sorted_by_key(|core| core.core));
    assert!(sum(&later) > sum(&cores));
}

#[test]
fn memory_is_this_processs_and_this_machines() {
    let machine = LinuxMachine::detect();
    let block = vec![1_u8; 64 << 20];
    let memory = machine.memory();
    assert!(memory.process >= block.len() as u64, "written pages are resident");
    assert!(memory.process <= memory.total);
    assert!(memory.used <= memory.total);
}

#[test]
fn only_cores_that_are_there_can_be_named() {
    let allowed = this_machine(None).unwrap().describe().limits.allowed;
    let one = CpuSet::single(allowed.lowest().unwrap());
    assert_eq!(this_machine(Some(one)).unwrap().describe().limits.allowed, one);
    let absent = CpuSet::single(CoreId(1023));
    let refused = this_machine(Some(one.union(&absent))).err();
    assert_eq!(refused, Some(MachineError::CoresNotAllowed { missing: absent, allowed }));
    let refused = this_machine(Some(CpuSet::EMPTY)).err();
    assert_eq!(refused, Some(MachineError::NoCores { allowed }));
}

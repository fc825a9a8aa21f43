//! Tests on the running kernel: threads of this process are placed and measured by another thread.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use crate::machine::{
    AffinityError, CoreId, CoreTimes, CpuSet, LinuxMachine, Machine, MachineError, ThreadId,
    current_thread, process_threads, this_machine,
};

/// A thread that spins until dropped.
struct BusyThread {
    thread: ThreadId,
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl BusyThread {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (id_sender, id_receiver) = mpsc::channel();
        let should_stop = Arc::clone(&stop);
        let handle = std::thread::spawn(move || {
            id_sender.send(current_thread()).unwrap();
            while !should_stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        Self { thread: id_receiver.recv().unwrap(), stop, handle: Some(handle) }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(handle) = self.handle.take() {
            handle.join().unwrap();
        }
    }
}

impl Drop for BusyThread {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn pins_another_thread() {
    let machine = LinuxMachine::detect();
    let allowed = machine.describe().limits.allowed;
    let busy = BusyThread::start();
    assert_ne!(busy.thread, current_thread());
    for core in allowed.iter() {
        let one = CpuSet::single(core);
        machine.set_affinity(busy.thread, &one).unwrap();
        assert_eq!(machine.affinity(busy.thread).unwrap(), one);
        let status = std::fs::read_to_string(format!("/proc/self/task/{}/status", busy.thread));
        assert!(status.unwrap().contains(&format!("Cpus_allowed_list:\t{core}\n")));
        // The kernel moves a running thread before the call returns.
        assert_eq!(machine.thread_times(busy.thread).unwrap().last_core, Some(core));
    }
    assert_eq!(machine.describe().limits.allowed, allowed, "the process's own mask is unchanged");
}

#[test]
fn error_names_ended_thread_or_missing_cpu() {
    let machine = LinuxMachine::detect();
    let mut busy = BusyThread::start();
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
    let ended = AffinityError::NoSuchThread(busy.thread);
    assert_eq!(machine.set_affinity(busy.thread, &before), Err(ended.clone()));
    assert_eq!(machine.affinity(busy.thread), Err(ended));
    assert_eq!(machine.thread_times(busy.thread), None);
    assert!(machine.has_ended(busy.thread));
}

#[test]
fn start_tells_threads_of_one_number_apart() {
    let machine = LinuxMachine::detect();
    let busy = BusyThread::start();
    assert!(!machine.has_ended(busy.thread));
    let start = busy.thread.start_ticks.unwrap();
    let before = ThreadId { start_ticks: Some(start - 1), ..busy.thread };
    assert!(machine.has_ended(before));
    assert_eq!(machine.thread_times(before), None);
    let unknown = ThreadId::of_tid(busy.thread.tid);
    assert!(!machine.has_ended(unknown) && machine.thread_times(unknown).is_some());
}

#[test]
fn listed_threads_have_their_ids() {
    let own = std::thread::Builder::new().name("odd) (name".to_owned());
    let listed = |id| process_threads().into_iter().find(|thread| thread.id == id);
    let found = own.spawn(move || listed(current_thread())).unwrap().join().unwrap();
    assert_eq!(found.unwrap().name, "odd) (name");
}

#[test]
fn refuses_threads_of_other_processes() {
    let machine = LinuxMachine::detect();
    let all = machine.describe().limits.allowed;
    for stranger in [1, 0, -5].map(ThreadId::of_tid) {
        let ended = AffinityError::NoSuchThread(stranger);
        assert_eq!(machine.set_affinity(stranger, &all), Err(ended.clone()));
        assert_eq!(machine.affinity(stranger), Err(ended));
    }
}

#[test]
fn cpu_times_grow_under_load() {
    let machine = LinuxMachine::detect();
    let busy = BusyThread::start();
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
fn memory_includes_this_process() {
    let machine = LinuxMachine::detect();
    let block = vec![1_u8; 64 << 20];
    let memory = machine.memory();
    assert!(memory.process >= block.len() as u64, "written pages are resident");
    assert!(memory.process <= memory.total);
    assert!(memory.used <= memory.total);
}

#[test]
fn rejects_missing_cores() {
    let allowed = this_machine(None).unwrap().describe().limits.allowed;
    let one = CpuSet::single(allowed.lowest().unwrap());
    assert_eq!(this_machine(Some(one)).unwrap().describe().limits.allowed, one);
    let absent = CpuSet::single(CoreId(1023));
    let refused = this_machine(Some(one.union(&absent))).err();
    assert_eq!(refused, Some(MachineError::CoresNotAllowed { missing: absent, allowed }));
    let refused = this_machine(Some(CpuSet::EMPTY)).err();
    assert_eq!(refused, Some(MachineError::NoCores { allowed }));
}

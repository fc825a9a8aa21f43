//! Tests of the threads that load and build: their cores, and how they become members.

use super::super::builders::Builder;
use super::*;
use crate::machine::ThreadStarts;

/// The mask of the newest thread that is no member.
fn masks_of_builders(rig: &TestPool) -> Vec<CpuSet> {
    let members = rig.pool.members();
    let masks = rig.machine.masks.lock().unwrap();
    let is_member = |id: ThreadId| members.iter().any(|member| member.id == id);
    masks.iter().filter(|(id, _)| !is_member(**id)).map(|(_, mask)| *mask).collect()
}

#[test]
fn builders_leave_newly_reserved_cores() {
    let rig = rig(QueuePolicy::default());
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    assert!(rig.pool.ensure(2, ONE));
    rig.until("both build", |_| masks_of_builders(&rig) == [set("0-7"), set("0-7")]);
    assert_eq!(rig.pool.pin_builders(set("2-3")), Vec::<String>::new());
    assert_eq!(masks_of_builders(&rig), [set("2-3"), set("2-3")]);
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    rig.until("both serve", |pool| pool.members().len() == 2);
    assert_eq!(masks_of_builders(&rig), []);
}

#[test]
fn engine_threads_leave_newly_reserved_cores() {
    let rig = rig(QueuePolicy::default());
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    assert!(rig.pool.ensure(1, THREE));
    rig.until("the engine has its threads", |_| masks_of_builders(&rig) == [set("0-7"); 3]);
    assert_eq!(rig.pool.pin_builders(set("2-3")), Vec::<String>::new());
    assert_eq!(masks_of_builders(&rig), [set("2-3"); 3]);
    rig.script.build_blocked.store(0, Ordering::SeqCst);
    rig.until("it serves", |pool| pool.members().len() == 3);
}

#[test]
fn ended_engine_thread_is_not_placed() {
    let rig = rig(QueuePolicy::default());
    let builder = Builder::new(&rig.pool.inner);
    let listening = builder.listen();
    let starts = ThreadStarts::of_this_thread();
    std::thread::spawn(move || drop(starts.begin(ThreadId::of_tid(1)))).join().unwrap();
    drop(listening);
    assert_eq!(masks_of_builders(&rig), [set("0-7")], "it was placed");
    rig.pool.pin_builders(set("2-3"));
    assert_eq!(masks_of_builders(&rig), [set("0-7")]);
}

#[test]
fn trial_request_runs_on_the_cores_for_building() {
    let rig = rig(QueuePolicy::default());
    rig.script.run_blocked.store(true, Ordering::SeqCst);
    assert!(rig.pool.ensure(1, THREE));
    rig.until("the trial runs", |_| rig.runs() == 1);
    assert_eq!(masks_of_builders(&rig), [set("0-7"); 3]);
    rig.script.run_blocked.store(false, Ordering::SeqCst);
    rig.until("it serves", |pool| pool.members().len() == 3);
    let masks = rig.machine.masks.lock().unwrap();
    assert!(masks.values().all(|mask| *mask == set("0-1")), "{masks:?}");
}

#[test]
fn broken_instance_is_rebuilt_on_the_cores_for_building() {
    let rig = rig(QueuePolicy::default());
    rig.serve(1, ONE);
    rig.script.build_blocked.store(Script::ALL, Ordering::SeqCst);
    rig.script.panic_every.store(1, Ordering::SeqCst);
    assert_eq!(kinds(&rig.submit(1)), HashMap::from([("panicked", 1)]));
    rig.until("it is rebuilt", |_| masks_of_builders(&rig) == [set("0-7")]);
    rig.script.heal();
}

#[test]
fn member_keeps_its_cores_in_a_late_move_of_builders() {
    let rig = rig(QueuePolicy::default());
    let thread = ThreadId::of_tid(1);
    let builder = Builder::new(&rig.pool.inner);
    builder.add(&[thread]);
    let inner = rig.pool.inner.clone();
    *rig.machine.before_next.lock().unwrap() = Some(Box::new(move || {
        builder.release_threads();
        inner.threads.join(&[Member { id: thread, instance: 0, helper: false }]);
    }));
    assert_eq!(rig.pool.pin_builders(set("6")), Vec::<String>::new());
    assert_eq!(rig.machine.masks.lock().unwrap()[&thread], set("0-1"));
}

#[test]
fn builder_keeps_its_cores_in_a_late_move_of_members() {
    let rig = rig(QueuePolicy::default());
    let thread = ThreadId::of_tid(1);
    rig.pool.inner.threads.join(&[Member { id: thread, instance: 0, helper: false }]);
    let inner = rig.pool.inner.clone();
    let builder = Builder::new(&inner);
    let (sender, leaving) = mpsc::channel();
    *rig.machine.before_next.lock().unwrap() = Some(Box::new(move || {
        let members = inner.clone();
        // It leaves the members after this call, but before their move is over.
        let leave = move || {
            inner.threads.leave(0);
            builder.add(&[thread]);
            std::mem::forget(builder);
        };
        sender.send(std::thread::spawn(leave)).unwrap();
        while !members.threads.members().is_empty() {
            std::thread::yield_now();
        }
    }));
    assert_eq!(rig.pool.pin(set("6")), Vec::<String>::new());
    leaving.recv().unwrap().join().unwrap();
    assert_eq!(rig.machine.masks.lock().unwrap()[&thread], set("0-7"));
}

#[test]
fn pool_has_not_ended_while_its_model_loads() {
    let rig = rig(QueuePolicy::default());
    let turn = rig.pool.start_load();
    assert!(!rig.pool.drain(Duration::ZERO));
    turn.run(|| assert_eq!(masks_of_builders(&rig), [set("0-7")]));
    assert!(rig.pool.drain(PATIENCE));
}

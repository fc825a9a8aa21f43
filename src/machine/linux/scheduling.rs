//! Scheduling requests for the calling thread, so that it runs soon after it wakes while models keep
//! every core busy. For threads that mostly wait and then do little work.
//!
//! - A short time slice needs no privilege (Linux 6.12 and later; `sched_setattr(2)`,
//!   `sched_runtime`), and leaves the thread's share of the CPU as it was. But a thread that has just
//!   run is not eligible again before the others have caught up, which the kernel checks only at its
//!   ticks (`Documentation/scheduler/sched-eevdf.rst`): a burst of wake-ups can wait for milliseconds.
//! - The lowest real-time priority (`sched(7)`) runs at once. It needs `CAP_SYS_NICE` or
//!   `RLIMIT_RTPRIO`.
//!
//! Threads started by such a thread are normal threads.
#![allow(unsafe_code)]

/// The shortest time slice that the kernel grants, in nanoseconds.
const SHORTEST_NS: u64 = 100_000;

const SIZE: u32 = size_of::<Attributes>() as u32;

/// The first version of the kernel's `struct sched_attr`, which all later kernels accept.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Sets the shortest time slice for the calling thread, if its scheduling class is the normal one.
/// Returns true if the kernel accepted it; older kernels accept and ignore it.
pub(crate) fn request_short_slice() -> bool {
    let is_normal = |attributes: &Attributes| attributes.policy == libc::SCHED_OTHER as u32;
    attributes()
        .filter(is_normal)
        .is_some_and(|attributes| set(Attributes { runtime: SHORTEST_NS, ..attributes }))
}

/// Sets the lowest real-time priority for the calling thread. Returns true if the kernel allows it.
pub(crate) fn request_realtime() -> bool {
    set(Attributes { policy: libc::SCHED_RR as u32, priority: 1, ..Attributes::default() })
}

/// Sets the calling thread's attributes; threads that it starts do not inherit them.
fn set(mut attributes: Attributes) -> bool {
    attributes.size = SIZE;
    attributes.flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
    // SAFETY: the kernel reads SIZE bytes of `attributes`, all of them initialised, and keeps no
    // pointer; thread 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) == 0 }
}

/// Returns the calling thread's attributes.
fn attributes() -> Option<Attributes> {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes at most SIZE bytes, which is the size of `attributes`; thread 0 is
    // the calling thread; the call keeps no pointer.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
    (got == 0).then_some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the attributes of a thread after its request, and those of a thread that it starts;
    /// `None` if a sandbox or a missing privilege forbids the request.
    fn after(ask: fn() -> bool) -> Option<(Attributes, Attributes)> {
        let asking = move || {
            ask().then(|| (attributes().unwrap(), std::thread::spawn(attributes).join().unwrap()))
        };
        let (own, made) = std::thread::spawn(asking).join().unwrap()?;
        Some((own, made.unwrap()))
    }

    #[test]
    fn short_slice_applies_to_one_thread() {
        let before = attributes().unwrap();
        let Some((own, made)) = after(request_short_slice) else { return };
        assert_eq!((own.policy, own.nice), (before.policy, before.nice));
        // Kernels before 6.12 report 0.
        assert!([0, SHORTEST_NS].contains(&own.runtime), "{}", own.runtime);
        assert_eq!((made.policy, made.runtime), (before.policy, before.runtime));
        assert_eq!(attributes().unwrap().runtime, before.runtime);
    }

    #[test]
    fn children_of_realtime_threads_are_normal() {
        let before = attributes().unwrap();
        let Some((own, made)) = after(request_realtime) else { return };
        assert_eq!((own.policy, own.priority), (libc::SCHED_RR as u32, 1));
        assert_eq!((made.policy, made.priority), (before.policy, 0));
    }
}

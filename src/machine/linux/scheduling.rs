//! Asks the kernel to run the calling thread soon after it wakes, where models keep every core busy.
//!
//! Two ways, for threads that wait nearly always and then have little to do:
//! - a short time slice, everybody's right (Linux 6.12 and later; `sched_setattr(2)`,
//!   `sched_runtime`). It takes nothing from anybody: the thread's share of the CPU stays what it
//!   was. But a thread that has just run is not eligible again before the others have caught up, and
//!   the kernel looks at that only now and then (`Documentation/scheduler/sched-eevdf.rst`): a
//!   burst of wake-ups can wait for milliseconds.
//! - the lowest real-time priority (`sched(7)`), which runs at once. It needs `CAP_SYS_NICE` or
//!   `RLIMIT_RTPRIO`.
//!
//! Threads that are made by such a thread are usual ones again.
#![allow(unsafe_code)]

/// The shortest slice that the kernel grants, in nanoseconds.
const SHORTEST_NS: u64 = 100_000;

const SIZE: u32 = size_of::<Attributes>() as u32;

/// `struct sched_attr` of the kernel in its first version, which every later one accepts.
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

/// Gives the calling thread the shortest slice, where it is one of the usual class. Returns whether
/// the kernel took it; older ones take it and ignore it.
pub(crate) fn request_short_slice() -> bool {
    let usual = |attributes: &Attributes| attributes.policy == libc::SCHED_OTHER as u32;
    attributes()
        .filter(usual)
        .is_some_and(|attributes| set(Attributes { runtime: SHORTEST_NS, ..attributes }))
}

/// Gives the calling thread the lowest real-time priority. Returns whether the kernel allows that.
pub(crate) fn request_realtime() -> bool {
    set(Attributes { policy: libc::SCHED_RR as u32, priority: 1, ..Attributes::default() })
}

/// Sets the calling thread's attributes, for itself alone.
fn set(mut attributes: Attributes) -> bool {
    attributes.size = SIZE;
    attributes.flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
    // SAFETY: the kernel reads SIZE bytes of `attributes`, all of them initialised, and keeps no
    // pointer; thread 0 is the calling one.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) == 0 }
}

/// Those of the calling thread.
fn attributes() -> Option<Attributes> {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes at most SIZE bytes, which is the size of `attributes`; thread 0 is
    // the calling one; the call keeps no pointer.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
    (got == 0).then_some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread is after it has asked, and what a thread that it makes is; `None` where a
    /// sandbox or a missing privilege forbids it.
    fn after(ask: fn() -> bool) -> Option<(Attributes, Attributes)> {
        let asking = move || {
            ask().then(|| (attributes().unwrap(), std::thread::spawn(attributes).join().unwrap()))
        };
        let (own, made) = std::thread::spawn(asking).join().unwrap()?;
        Some((own, made.unwrap()))
    }

    #[test]
    fn only_the_slice_changes_and_only_of_this_thread() {
        let before = attributes().unwrap();
        let Some((own, made)) = after(request_short_slice) else { return };
        assert_eq!((own.policy, own.nice), (before.policy, before.nice));
        // Kernels before 6.12 tell nothing.
        assert!([0, SHORTEST_NS].contains(&own.runtime), "{}", own.runtime);
        assert_eq!((made.policy, made.runtime), (before.policy, before.runtime));
        assert_eq!(attributes().unwrap().runtime, before.runtime);
    }

    #[test]
    fn a_real_time_thread_makes_usual_ones() {
        let before = attributes().unwrap();
        let Some((own, made)) = after(request_realtime) else { return };
        assert_eq!((own.policy, own.priority), (libc::SCHED_RR as u32, 1));
        assert_eq!((made.policy, made.priority), (before.policy, 0));
    }
}

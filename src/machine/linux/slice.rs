//! Asks the kernel to run the calling thread soon after it wakes, without any privilege: a short
//! time slice, which the fair scheduler lets go before threads with longer ones (Linux 6.12 and
//! later; `sched(7)`, "The nice value" and `sched_setattr(2)`, `sched_runtime`). It takes nothing
//! from anybody: the thread's share of the CPU stays what it was.
#![allow(unsafe_code)]

const SIZE: u32 = size_of::<Attributes>() as u32;

/// The shortest slice that the kernel grants, in nanoseconds.
const SHORTEST_NS: u64 = 100_000;

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
pub fn shorten() -> bool {
    let usual = |attributes: &Attributes| attributes.policy == libc::SCHED_OTHER as u32;
    let Some(mut attributes) = attributes().filter(usual) else { return false };
    attributes.size = SIZE;
    attributes.runtime = SHORTEST_NS;
    // SAFETY: the kernel reads SIZE bytes of `attributes`, all of them initialised, and keeps no
    // pointer; nice value and policy are those that it has just told.
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

    #[test]
    fn only_the_slice_changes_and_only_of_this_thread() {
        let before = attributes().unwrap();
        let after = std::thread::spawn(|| shorten().then(attributes)).join().unwrap();
        // A sandbox may forbid the call.
        let Some(after) = after.flatten() else { return };
        assert_eq!((after.policy, after.nice), (before.policy, before.nice));
        // Kernels before 6.12 tell nothing.
        assert!([0, SHORTEST_NS].contains(&after.runtime), "{}", after.runtime);
        assert_eq!(attributes().unwrap().runtime, before.runtime);
    }
}

//! The file `/proc/PID/stat`, of a process or of one of its threads (`proc_pid_stat(5)`).

use super::process_id::ProcessId;
use crate::machine::CoreId;

/// The flag of kernel threads (`PF_KTHREAD`, include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The state of a process or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It runs, sleeps or is stopped.
    Alive,
    /// It has ended, and its parent has not asked for its exit code.
    Zombie,
}

/// The values of `/proc/PID/stat` that divvy uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// The process.
    pub id: ProcessId,
    /// Its name; the kernel keeps 15 bytes of it.
    pub name: Box<str>,
    /// Its state.
    pub state: RunState,
    /// The number of its parent.
    pub parent: i32,
    /// The number of the leader of its session.
    pub session: i32,
    /// True for a thread of the kernel.
    pub is_kernel_thread: bool,
    /// CPU time of all its threads, in clock ticks.
    pub cpu_ticks: u64,
    /// CPU time of its children that have ended and that it has waited for, in clock ticks.
    pub children_ticks: u64,
    /// The number of its threads.
    pub threads: usize,
    /// Its resident memory, in pages.
    pub resident_pages: u64,
    /// The CPU on which it ran last.
    pub last_core: Option<CoreId>,
}

impl ProcessStat {
    /// Parses the text of the file of process `pid`; `None` if it is incomplete.
    pub(super) fn parse(pid: i32, text: &str) -> Option<Self> {
        // The name in parentheses may contain spaces and parentheses; field 3 follows the last one.
        let (head, tail) = text.rsplit_once(") ")?;
        let (_, name) = head.split_once('(')?;
        let mut fields = tail.split_ascii_whitespace();
        let state = fields.next()?;
        // `number(skipped)` is the field after that many others.
        let mut number = |skipped: usize| fields.nth(skipped)?.parse::<i64>().ok();
        let parent = number(0)?;
        let session = number(1)?;
        let flags = number(2)?;
        let (user, system) = (number(4)?, number(0)?);
        let (children_user, children_system) = (number(0)?, number(0)?);
        let threads = number(2)?;
        let start_ticks = number(1)?;
        let resident_pages = number(1)?;
        let last_core = number(14);
        Some(Self {
            id: ProcessId { pid, start_ticks: u64::try_from(start_ticks).ok()? },
            name: name.into(),
            state: match state {
                // The main thread of a process may end before its others.
                "Z" if threads > 1 => RunState::Alive,
                "Z" | "X" | "x" => RunState::Zombie,
                _ => RunState::Alive,
            },
            parent: i32::try_from(parent).ok()?,
            session: i32::try_from(session).ok()?,
            is_kernel_thread: flags as u64 & KERNEL_THREAD != 0,
            cpu_ticks: (user + system).max(0) as u64,
            children_ticks: (children_user + children_system).max(0) as u64,
            threads: usize::try_from(threads).unwrap_or(0),
            resident_pages: u64::try_from(resident_pages).unwrap_or(0),
            last_core: last_core.and_then(|core| u16::try_from(core).ok()).map(CoreId),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_an_odd_name() {
        let tail: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let text = format!("77 (odd) (name) S {}", tail.join(" "));
        let stat = ProcessStat::parse(77, &text).unwrap();
        assert_eq!((&*stat.name, stat.state), ("odd) (name", RunState::Alive));
        assert_eq!((stat.parent, stat.session), (4, 6));
        assert_eq!((stat.cpu_ticks, stat.children_ticks), (14 + 15, 16 + 17));
        assert_eq!((stat.threads, stat.id.start_ticks, stat.resident_pages), (20, 22, 24));
        assert_eq!(stat.last_core, Some(CoreId(39)));
    }

    #[test]
    fn zombie_has_no_further_thread() {
        let state = |threads: &str| {
            let text = format!("9 (x) Z 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 5 0 0 1");
            ProcessStat::parse(9, &text).unwrap().state
        };
        assert_eq!((state("1"), state("4")), (RunState::Zombie, RunState::Alive));
    }

    #[test]
    fn kernel_threads_have_a_flag() {
        let text = |flags: &str| {
            format!("2 (kthreadd) S 0 0 0 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 1")
        };
        assert!(ProcessStat::parse(2, &text("2129984")).unwrap().is_kernel_thread);
        assert!(!ProcessStat::parse(2, &text("4194560")).unwrap().is_kernel_thread);
        assert_eq!(ProcessStat::parse(2, "2 (kthreadd) S 0 0"), None);
    }
}

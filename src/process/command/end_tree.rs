//! Ends the processes of a command, and finds those that were left behind.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::command_tree::CommandTree;
use super::spawn::MARK;
use crate::machine::{EndSignal, ProcessId, ProcessRelation, child_processes};

/// Time between two looks at the processes: the first and the longest.
const SHORTEST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(100);

/// Time that killed processes get to end: the kernel delays it while a process waits for a device.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// Finds the processes of a command that live. `mark` is the value of [`MARK`] in their environment.
pub(super) fn find_living(tree: &mut CommandTree, mark: &str) {
    let all = other_processes();
    tree.refresh(&all);
    // Orphans whose parents ended before anybody saw them.
    let is_marked = |process: &ProcessId| {
        child_processes::start_environment(process.pid, MARK).as_deref() == Some(mark)
    };
    let orphans = child_processes::adopted_children();
    let orphans = orphans.iter().filter(|process| !process.is_zombie).map(|process| process.id);
    let unknown: Vec<ProcessId> =
        orphans.filter(|id| !tree.members().contains(id)).filter(is_marked).collect();
    if !unknown.is_empty() {
        tree.add(unknown);
        tree.refresh(&all);
    }
}

/// Returns all processes but divvy itself, which a command that an earlier run left can have started: a
/// terminal server, for example.
fn other_processes() -> Vec<ProcessRelation> {
    let own = std::process::id() as i32;
    let mut all = child_processes::process_relations();
    all.retain(|process| process.id.pid != own);
    all
}

/// Returns the processes in whose environment [`MARK`] has this value.
pub(super) fn marked_processes(mark: &str) -> Vec<ProcessId> {
    let living = other_processes().into_iter().filter(|one| !one.is_zombie);
    let marked = living.filter(|process| {
        child_processes::start_environment(process.id.pid, MARK).as_deref() == Some(mark)
    });
    marked.map(|process| process.id).collect()
}

/// Reaps orphans of started commands that have ended. Children of others are left alone: living threads
/// have their own, and those of ended threads are in divvy's process group.
pub(super) fn reap_orphans() {
    let own = child_processes::process_relation(std::process::id() as i32);
    let Some(own_group) = own.map(|process| process.group) else { return };
    for child in child_processes::adopted_children() {
        if child.is_zombie && child.group != own_group {
            child_processes::reap_child(child.id.pid);
        }
    }
}

/// Ends all processes of a command: SIGTERM once to each, and SIGKILL when `kill_at` has passed, which may
/// change meanwhile. Returns true if all have ended.
pub(super) fn end_tree(tree: &mut CommandTree, mark: &str, kill_at: &dyn Fn() -> Instant) -> bool {
    let mut asked = BTreeSet::new();
    let mut poll = SHORTEST_POLL;
    loop {
        find_living(tree, mark);
        reap_orphans();
        if tree.members().is_empty() {
            return true;
        }
        let (now, kill_at) = (Instant::now(), kill_at());
        for member in tree.members() {
            let signals: &[EndSignal] = if now >= kill_at {
                &[EndSignal::Kill]
            } else if asked.insert(*member) {
                &[EndSignal::Terminate, EndSignal::Continue]
            } else {
                &[]
            };
            for signal in signals {
                if let Err(error) = child_processes::signal_process(*member, *signal) {
                    tracing::warn!("cannot end process {member}: {error}");
                }
            }
        }
        if now >= kill_at + KILL_PATIENCE {
            return false;
        }
        thread::sleep(poll);
        poll = LONGEST_POLL.min(poll * 2);
    }
}

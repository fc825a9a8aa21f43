//! The processes of one row. Once a process belongs to a row, it stays its member, and so do its
//! descendants, also when their parents end before them.

use std::collections::{HashMap, HashSet};

use super::scan::Scan;
use crate::machine::{ProcessId, RunState};

/// The number of a row within its host.
pub(super) type RowNumber = u64;

/// The row of each process that has one.
pub(super) type MemberOwners = HashMap<ProcessId, RowNumber>;

/// A process that has joined a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewMember {
    pub(super) id: ProcessId,
    /// The member that started it; `None` for a process that the row's source names.
    pub(super) parent: Option<ProcessId>,
}

/// The processes of one row.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// The processes, parents before their children where both are known.
    list: Vec<ProcessId>,
    known: HashSet<ProcessId>,
    /// Sessions that members have begun. Only descendants of its first process are in a session, and the
    /// kernel does not reuse the number while one of them runs.
    sessions: HashSet<i32>,
    /// Processes that may not join.
    barred: HashSet<i32>,
}

impl Members {
    /// Sets the processes that may not join: divvy and its ancestors. When the parent of divvy ends, the
    /// kernel can make it a child of a member.
    pub(super) fn bar(&mut self, pids: impl Iterator<Item = i32>) {
        self.barred.clear();
        self.barred.extend(pids);
    }

    /// Returns the processes.
    pub(super) fn processes(&self) -> &[ProcessId] {
        &self.list
    }

    /// Removes those that have ended, and adds the roots and all descendants that belong to no other row.
    /// Returns those that have joined, parents first.
    pub(super) fn update(
        &mut self,
        row: RowNumber,
        roots: &[ProcessId],
        scan: &Scan,
        owners: &mut MemberOwners,
    ) -> Vec<NewMember> {
        let is_alive =
            |id: &ProcessId| scan.get(*id).is_some_and(|process| process.state == RunState::Alive);
        self.list.retain(is_alive);
        self.known = self.list.iter().copied().collect();
        let mut joined = Vec::new();
        for root in roots.iter().filter(|id| is_alive(id)) {
            self.add(row, NewMember { id: *root, parent: None }, owners, &mut joined);
        }
        self.add_orphans(row, scan, owners, &mut joined);
        let mut at = 0;
        while let Some(parent) = self.list.get(at).copied() {
            at += 1;
            for child in scan.children(parent.pid) {
                // A child is never older than its parent: the number is that of an earlier process.
                let is_own = child.id.start_ticks >= parent.start_ticks && is_alive(&child.id);
                if is_own {
                    let member = NewMember { id: child.id, parent: Some(parent) };
                    self.add(row, member, owners, &mut joined);
                }
            }
        }
        self.note_sessions(scan);
        joined
    }

    /// Adds processes whose parent has ended before a scan saw them, if a member began their session.
    fn add_orphans(
        &mut self,
        row: RowNumber,
        scan: &Scan,
        owners: &mut MemberOwners,
        joined: &mut Vec<NewMember>,
    ) {
        if self.sessions.is_empty() {
            return;
        }
        for process in scan.processes() {
            if self.sessions.contains(&process.session) && process.state == RunState::Alive {
                let parent = self.list.first().copied();
                self.add(row, NewMember { id: process.id, parent }, owners, joined);
            }
        }
    }

    fn add(
        &mut self,
        row: RowNumber,
        member: NewMember,
        owners: &mut MemberOwners,
        joined: &mut Vec<NewMember>,
    ) {
        if self.barred.contains(&member.id.pid) {
            return;
        }
        if *owners.entry(member.id).or_insert(row) == row && self.known.insert(member.id) {
            self.list.push(member.id);
            joined.push(member);
        }
    }

    fn note_sessions(&mut self, scan: &Scan) {
        let used: HashSet<i32> = scan.processes().map(|process| process.session).collect();
        self.sessions.retain(|session| used.contains(session));
        for process in self.list.iter().filter_map(|id| scan.get(*id)) {
            if process.session == process.id.pid {
                self.sessions.insert(process.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::{process, scan_of};
    use super::*;
    use crate::machine::ProcessStat;

    fn id(pid: i32) -> ProcessId {
        ProcessId { pid, start_ticks: pid as u64 }
    }

    fn pids(members: &Members) -> Vec<i32> {
        members.processes().iter().map(|id| id.pid).collect()
    }

    #[test]
    fn takes_in_all_descendants() {
        let (mut members, mut owners) = (Members::default(), MemberOwners::default());
        let scan = scan_of(&[
            process(10, 1, "sh"),
            process(12, 10, "python3"),
            process(14, 12, "worker"),
            process(20, 1, "other"),
        ]);
        let joined = members.update(1, &[id(10)], &scan, &mut owners);
        assert_eq!(pids(&members), [10, 12, 14]);
        assert_eq!(joined[2], NewMember { id: id(14), parent: Some(id(12)) });
        assert!(members.update(1, &[id(10)], &scan, &mut owners).is_empty());
    }

    #[test]
    fn divvy_joins_no_row() {
        let (mut members, mut owners) = (Members::default(), MemberOwners::default());
        let scan = scan_of(&[
            process(10, 1, "systemd"),
            process(12, 10, "divvy"),
            process(14, 12, "python3"),
        ]);
        members.bar([12].into_iter());
        members.update(1, &[id(10)], &scan, &mut owners);
        assert_eq!((pids(&members), owners.len()), (vec![10], 1));
    }

    #[test]
    fn orphan_stays_a_member() {
        let (mut members, mut owners) = (Members::default(), MemberOwners::default());
        let scan = scan_of(&[process(10, 1, "sh"), process(12, 10, "daemon")]);
        members.update(1, &[id(10)], &scan, &mut owners);
        let scan = scan_of(&[process(12, 1, "daemon"), process(15, 12, "worker")]);
        members.update(1, &[], &scan, &mut owners);
        assert_eq!(pids(&members), [12, 15]);
    }

    #[test]
    fn unseen_parent_leaves_its_session() {
        let (mut members, mut owners) = (Members::default(), MemberOwners::default());
        let leader = ProcessStat { session: 10, ..process(10, 1, "sh") };
        members.update(1, &[id(10)], &scan_of(&[leader]), &mut owners);
        // 11 started it, and has ended between two scans.
        let orphan = ProcessStat { session: 10, ..process(12, 1, "daemon") };
        members.update(1, &[], &scan_of(&[orphan, process(13, 1, "x")]), &mut owners);
        assert_eq!(pids(&members), [12]);
    }

    #[test]
    fn process_belongs_to_one_row() {
        let (mut first, mut second) = (Members::default(), Members::default());
        let mut owners = MemberOwners::default();
        let scan =
            scan_of(&[process(10, 1, "sh"), process(12, 10, "worker"), process(13, 12, "x")]);
        second.update(2, &[id(12)], &scan, &mut owners);
        first.update(1, &[id(10)], &scan, &mut owners);
        assert_eq!((pids(&first), pids(&second)), (vec![10], vec![12, 13]));
    }

    #[test]
    fn reused_number_is_no_member() {
        let (mut members, mut owners) = (Members::default(), MemberOwners::default());
        members.update(1, &[id(10)], &scan_of(&[process(10, 1, "sh")]), &mut owners);
        let other =
            ProcessStat { id: ProcessId { pid: 10, start_ticks: 99 }, ..process(10, 1, "other") };
        members.update(1, &[], &scan_of(&[other]), &mut owners);
        assert_eq!(members.processes(), []);
    }

    #[test]
    fn short_children_leave_no_trace() {
        let (mut members, mut owners) = (Members::default(), MemberOwners::default());
        for storm in 0..50 {
            let children = (0..1000).map(|child| process(100 + storm * 1000 + child, 10, "true"));
            let all: Vec<ProcessStat> =
                std::iter::once(process(10, 1, "make")).chain(children).collect();
            let scan = scan_of(&all);
            members.update(1, &[id(10)], &scan, &mut owners);
            owners.retain(|id, _| scan.get(*id).is_some());
            assert_eq!(members.processes().len(), 1001);
        }
        let scan = scan_of(&[process(10, 1, "make")]);
        members.update(1, &[id(10)], &scan, &mut owners);
        owners.retain(|id, _| scan.get(*id).is_some());
        assert_eq!((pids(&members), owners.len()), (vec![10], 1));
    }
}

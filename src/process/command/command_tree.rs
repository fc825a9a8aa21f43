//! The processes of one command: the one that divvy started, and all that descend from it.

use std::collections::BTreeSet;

use crate::machine::{ProcessId, ProcessRelation};

/// The processes of one command. Once a descendant, always a member: also after its parent has ended.
#[derive(Debug, Default)]
pub(super) struct CommandTree {
    members: BTreeSet<ProcessId>,
    /// Process groups and sessions that only members can be in.
    groups: BTreeSet<i32>,
    sessions: BTreeSet<i32>,
}

impl CommandTree {
    /// Adds the process that divvy started, which leads a process group.
    pub(super) fn add_root(&mut self, root: ProcessId) {
        self.members.insert(root);
        self.groups.insert(root.pid);
    }

    /// Adds processes that are known to belong to the command.
    pub(super) fn add(&mut self, members: impl IntoIterator<Item = ProcessId>) {
        self.members.extend(members);
    }

    /// Returns the processes that lived at the last [`CommandTree::refresh`], and those added since.
    pub(super) fn members(&self) -> &BTreeSet<ProcessId> {
        &self.members
    }

    /// Removes processes that have ended, and adds the descendants of the others. `all` are all processes
    /// of the machine.
    pub(super) fn refresh(&mut self, all: &[ProcessRelation]) {
        let living = || all.iter().filter(|process| !process.is_zombie);
        let present: BTreeSet<ProcessId> = living().map(|process| process.id).collect();
        self.members.retain(|member| present.contains(member));
        let mut pids: BTreeSet<i32> = self.members.iter().map(|member| member.pid).collect();
        loop {
            let before = self.members.len();
            for process in living() {
                let is_member = pids.contains(&process.id.pid)
                    || pids.contains(&process.parent)
                    || self.groups.contains(&process.group)
                    || self.sessions.contains(&process.session);
                if !is_member {
                    continue;
                }
                self.members.insert(process.id);
                pids.insert(process.id.pid);
                // A member that leads a group or a session made it, for itself and its descendants.
                if process.group == process.id.pid {
                    self.groups.insert(process.group);
                }
                if process.session == process.id.pid {
                    self.sessions.insert(process.session);
                }
            }
            if self.members.len() == before {
                break;
            }
        }
        // A group or session without a member has ended; its number can mean another one later.
        let mine = || living().filter(|process| self.members.contains(&process.id));
        let groups: BTreeSet<i32> = mine().map(|process| process.group).collect();
        let sessions: BTreeSet<i32> = mine().map(|process| process.session).collect();
        self.groups.retain(|group| groups.contains(group));
        self.sessions.retain(|session| sessions.contains(session));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(pid: i32) -> ProcessId {
        ProcessId { pid, start_ticks: u64::from(pid.unsigned_abs()) }
    }

    fn process(pid: i32, parent: i32, (group, session): (i32, i32)) -> ProcessRelation {
        ProcessRelation { id: id(pid), parent, group, session, is_zombie: false }
    }

    fn pids(tree: &CommandTree) -> Vec<i32> {
        tree.members().iter().map(|member| member.pid).collect()
    }

    fn tree_of(root: i32) -> CommandTree {
        let mut tree = CommandTree::default();
        tree.add_root(id(root));
        tree
    }

    #[test]
    fn descendants_are_members() {
        let mut tree = tree_of(10);
        let all = [
            process(1, 0, (1, 1)),
            process(12, 11, (10, 5)),
            process(11, 10, (10, 5)),
            process(10, 5, (10, 5)),
            process(6, 5, (5, 5)),
        ];
        tree.refresh(&all);
        assert_eq!(pids(&tree), [10, 11, 12]);
    }

    #[test]
    fn orphan_in_the_group_is_a_member() {
        let mut tree = tree_of(10);
        tree.refresh(&[process(11, 1, (10, 5)), process(6, 5, (5, 5))]);
        assert_eq!(pids(&tree), [11]);
        // the group has ended
        tree.refresh(&[]);
        tree.refresh(&[process(10, 1, (10, 5))]);
        assert_eq!(pids(&tree), [0_i32; 0]);
    }

    #[test]
    fn daemon_stays_a_member() {
        let mut tree = tree_of(10);
        tree.refresh(&[process(10, 5, (10, 5)), process(11, 10, (11, 11))]);
        // its parent has ended, and it has started another process in its session
        tree.refresh(&[process(11, 1, (11, 11)), process(12, 1, (12, 11))]);
        assert_eq!(pids(&tree), [11, 12]);
    }

    #[test]
    fn reused_number_is_no_member() {
        let mut tree = tree_of(10);
        tree.refresh(&[process(10, 5, (10, 5))]);
        let mut other = process(10, 1, (3, 3));
        other.id.start_ticks = 99;
        tree.refresh(&[other]);
        assert!(tree.members().is_empty());
    }
}

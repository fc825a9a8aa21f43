//! The staged changes, with their own undo and redo.

use crate::layout::Change;

/// Changes that wait until they are applied as one, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StagedChanges {
    changes: Vec<Change>,
    /// The steps that undo reverts, the newest last.
    done: Vec<DoneStep>,
    /// The steps that redo repeats, the next one last.
    undone: Vec<UndoneStep>,
}

#[derive(Clone, Debug, PartialEq)]
enum DoneStep {
    /// The last change was staged.
    Staged,
    /// These changes were dropped.
    Discarded(Vec<Change>),
}

#[derive(Clone, Debug, PartialEq)]
enum UndoneStep {
    /// This change was staged.
    Staged(Change),
    /// All changes were dropped.
    Discarded,
}

impl StagedChanges {
    /// Returns the number of staged changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Returns true if nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the changes, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }

    /// Stages one more change.
    pub(super) fn push(&mut self, change: Change) {
        self.undone.clear();
        self.add(change);
    }

    /// Drops all changes. Undo restores them.
    pub(super) fn discard(&mut self) {
        self.undone.clear();
        self.drop_all();
    }

    fn add(&mut self, change: Change) {
        self.done.push(DoneStep::Staged);
        self.changes.push(change);
    }

    fn drop_all(&mut self) {
        self.done.push(DoneStep::Discarded(std::mem::take(&mut self.changes)));
    }

    /// Drops the newest change because it is refused, as if it had never been staged.
    pub(super) fn remove_refused(&mut self) {
        self.changes.pop();
        if self.done.last() == Some(&DoneStep::Staged) {
            self.done.pop();
        }
    }

    /// Forgets everything, after the changes were applied.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Reverts the newest step. Returns false if there is none.
    pub(super) fn undo(&mut self) -> bool {
        match self.done.pop() {
            None => return false,
            Some(DoneStep::Staged) => {
                self.undone.extend(self.changes.pop().map(UndoneStep::Staged));
            }
            Some(DoneStep::Discarded(changes)) => {
                self.changes = changes;
                self.undone.push(UndoneStep::Discarded);
            }
        }
        true
    }

    /// Repeats the step that was undone last. Returns false if there is none.
    pub(super) fn redo(&mut self) -> bool {
        match self.undone.pop() {
            None => return false,
            Some(UndoneStep::Staged(change)) => self.add(change),
            Some(UndoneStep::Discarded) => self.drop_all(),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Edit;

    fn pause(model: &str) -> Change {
        Edit::Pause { model: model.to_owned(), paused: true }.into()
    }

    #[test]
    fn undo_restores_discarded_changes() {
        let mut staged = StagedChanges::default();
        staged.push(pause("a"));
        staged.push(pause("b"));
        staged.discard();
        assert!(staged.is_empty());
        assert!(staged.undo());
        assert_eq!(staged.len(), 2);
        assert!(staged.undo() && staged.undo() && !staged.undo());
        assert!(staged.redo() && staged.redo() && staged.redo() && !staged.redo());
        assert!(staged.is_empty());
    }

    #[test]
    fn refused_change_is_not_undone() {
        let mut staged = StagedChanges::default();
        staged.push(pause("a"));
        staged.push(pause("b"));
        staged.remove_refused();
        assert!(staged.undo());
        assert!(staged.is_empty() && !staged.undo());
    }

    #[test]
    fn new_change_ends_redo() {
        let mut staged = StagedChanges::default();
        staged.push(pause("a"));
        assert!(staged.undo());
        staged.push(pause("b"));
        assert!(!staged.redo());
    }
}

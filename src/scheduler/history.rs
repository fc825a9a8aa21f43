//! The journal of this run, and what undo and redo need of each entry.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::layout::{DesiredState, Plan, Refusal, Row, ChangeSide};
use crate::telemetry::{Entry, Verdict};

/// Entries that a snapshot carries.
pub(super) const IN_SNAPSHOT: usize = 64;

/// Entries that are kept in memory, and so the depth of undo. A long run must not grow; what is older
/// stays in the journal's file.
pub(super) const KEPT: usize = 4096;

/// One entry with both sides of it.
struct Step {
    entry: Arc<Entry>,
    before: ChangeSide,
    after: ChangeSide,
}

/// A step that is to be gone: where it is kept, its number, and both sides of it.
pub(super) struct UndoRedoStep {
    way: HistoryDirection,
    at: usize,
    /// The number of its entry.
    pub id: u64,
    /// Where the state is to come from.
    pub from: ChangeSide,
    /// And where it is to get.
    pub to: ChangeSide,
}

impl UndoRedoStep {
    /// Its number where it is taken back.
    pub(super) fn undoes(&self) -> Option<u64> {
        (self.way == HistoryDirection::Undo).then_some(self.id)
    }

    /// Its number where it is done again.
    pub(super) fn redoes(&self) -> Option<u64> {
        (self.way == HistoryDirection::Redo).then_some(self.id)
    }
}

/// All entries, and what was undone.
pub(super) struct History {
    /// Who gets each entry that is new or has changed.
    follower: Option<Sender<Entry>>,
    steps: Vec<Step>,
    /// Indices of steps that were undone, the newest last.
    undone: Vec<usize>,
}

/// Which way a step is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HistoryDirection {
    /// Back to before it.
    Undo,
    /// Forward to after it.
    Redo,
}

impl History {
    /// No entries yet; `follower` gets each one, now and whenever it changes.
    pub(super) fn new(follower: Option<Sender<Entry>>) -> Self {
        Self { follower, steps: Vec::new(), undone: Vec::new() }
    }

    fn tell(&self, entry: &Entry) {
        if let Some(follower) = &self.follower {
            // A follower that has ended has said why.
            let _ = follower.send(entry.clone());
        }
    }

    /// All entries, oldest first.
    pub(super) fn entries(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Arc<Entry>> + ExactSizeIterator {
        self.steps.iter().map(|step| &step.entry)
    }

    /// The newest entries, oldest of them first.
    pub(super) fn last_entries(&self) -> Vec<Arc<Entry>> {
        let from = self.steps.len().saturating_sub(IN_SNAPSHOT);
        self.entries().skip(from).cloned().collect()
    }

    /// Completes a verdict of an entry, where that is still kept.
    pub(super) fn decide(&mut self, id: u64, verdict: Verdict) {
        let at = self.steps.iter().rposition(|step| step.entry.id == id);
        let Some(step) = at.and_then(|at| self.steps.get_mut(at)) else { return };
        let entry = Arc::make_mut(&mut step.entry);
        if let Some(open) = entry.verdicts.iter_mut().find(|open| open.model == verdict.model) {
            *open = verdict;
        }
        let entry = step.entry.clone();
        self.tell(&entry);
    }

    /// The number of the next entry.
    pub(super) fn next_id(&self) -> u64 {
        self.steps.last().map_or(1, |step| step.entry.id + 1)
    }

    /// Adds an entry for a new change. What was undone before can no longer be redone.
    pub(super) fn push(&mut self, entry: Entry, before: &DesiredState, plan: &Plan) {
        self.undone.clear();
        self.add(entry, before, plan);
    }

    /// Adds an entry for what divvy did by itself: a build that failed, a machine that changed.
    /// That is nobody's step, so undo and redo go over it: the rows count as those they were.
    pub(super) fn push_own(&mut self, entry: Entry, before: &DesiredState, plan: &Plan) {
        for name in &entry.models {
            if let (Some(was), Some(is)) = (before.row(name), plan.after.row(name)) {
                self.renumber(name, was.generation, is.generation);
            }
        }
        self.add(entry, before, plan);
    }

    fn add(&mut self, entry: Entry, before: &DesiredState, plan: &Plan) {
        let mut sides = [before, &plan.after].map(|state| state.side(&entry.models));
        // Frames seldom change: one is shared by all steps that have it.
        let mut last = self.steps.last().map(|step| step.after.outline.clone());
        for side in &mut sides {
            match &last {
                Some(outline) if *outline == side.outline => side.outline = outline.clone(),
                _ => last = Some(side.outline.clone()),
            }
        }
        let [before, after] = sides;
        self.tell(&entry);
        self.steps.push(Step { entry: Arc::new(entry), before, after });
        if self.steps.len() >= KEPT + KEPT / 8 {
            let gone = self.steps.len() - KEPT;
            self.steps.drain(..gone);
            self.undone = self.undone.iter().filter_map(|at| at.checked_sub(gone)).collect();
        }
    }

    /// The step that an undo or a redo would go.
    ///
    /// # Errors
    /// [`Refusal`] when there is none, or a later change touched one of its rows.
    pub(super) fn step(
        &self,
        way: HistoryDirection,
        now: &DesiredState,
    ) -> Result<UndoRedoStep, Refusal> {
        let at = match way {
            HistoryDirection::Undo => self.newest(),
            HistoryDirection::Redo => self.undone.last().copied(),
        };
        let step = at.and_then(|at| self.steps.get(at).map(|step| (at, step)));
        let Some((at, step)) = step else {
            return Err(Refusal::whole(match way {
                HistoryDirection::Undo => "there is no change to undo",
                HistoryDirection::Redo => {
                    "there is nothing to redo: only what was undone, and not changed since"
                }
            }));
        };
        let (from, to) = match way {
            HistoryDirection::Undo => (&step.after, &step.before),
            HistoryDirection::Redo => (&step.before, &step.after),
        };
        for (name, row) in &from.rows {
            let is = now.row(name);
            if is.map(|row| row.generation) != row.as_ref().map(|row| row.generation) {
                return Err(Refusal::row(
                    name,
                    format!("a later change touched this row, so change {} stays", step.entry.id),
                ));
            }
        }
        Ok(UndoRedoStep { way, at, id: step.entry.id, from: from.clone(), to: to.clone() })
    }

    fn newest(&self) -> Option<usize> {
        self.steps.iter().rposition(|step| step.entry.can_be_undone())
    }

    /// The newest step, where it is what brought `now` about and all of it is taken back in
    /// `after`: then what does so is its undo, whoever does it.
    pub(super) fn taken_back(&self, now: &DesiredState, after: &DesiredState) -> Option<UndoRedoStep> {
        let gone = self.step(HistoryDirection::Undo, now).ok()?;
        let same = |(name, row): &(String, Option<Row>)| match (row, after.row(name)) {
            (Some(was), Some(is)) => Row { generation: is.generation, ..was.clone() } == *is,
            (None, None) => true,
            _ => false,
        };
        (*gone.to.outline == after.outline() && gone.to.rows.iter().all(same)).then_some(gone)
    }

    /// Notes that a step was gone: marks it, adds the entry of the undo or redo itself, and lets
    /// the other steps know the rows' new generations.
    pub(super) fn record_undo_redo(
        &mut self,
        gone: &UndoRedoStep,
        entry: Entry,
        before: &DesiredState,
        plan: &Plan,
    ) {
        match gone.way {
            HistoryDirection::Undo => self.undone.push(gone.at),
            HistoryDirection::Redo => {
                self.undone.pop();
            }
        }
        if let Some(step) = self.steps.get_mut(gone.at) {
            Arc::make_mut(&mut step.entry).undone = gone.way == HistoryDirection::Undo;
        }
        if let Some(step) = self.steps.get(gone.at) {
            self.tell(&step.entry);
        }
        for (name, old) in &gone.to.rows {
            if let (Some(old), Some(new)) = (old, plan.after.row(name)) {
                self.renumber(name, old.generation, new.generation);
            }
        }
        self.add(entry, before, plan);
    }

    /// A row is the same state under a new generation, wherever it is kept.
    fn renumber(&mut self, name: &str, from: u64, to: u64) {
        let sides = self.steps.iter_mut().flat_map(|step| [&mut step.before, &mut step.after]);
        for (_, row) in sides.flat_map(|side| &mut side.rows).filter(|(other, _)| other == name) {
            if let Some(row) = row.as_mut().filter(|row| row.generation == from) {
                row.generation = to;
            }
        }
    }
}

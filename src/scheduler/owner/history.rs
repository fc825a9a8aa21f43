//! The journal of this run, with the rows that undo and redo restore.

use std::sync::Arc;

use super::open_changes::StatusUpdate;
use crate::layout::{ChangeSide, DesiredState, Plan, Refusal, Row};
use crate::scheduler::messages::{EntryVerdict, UndoRedo};
use crate::telemetry::{Author, ChangeCounts, JournalEntry, JournalSender, text};

/// Entries in a snapshot.
const IN_SNAPSHOT: usize = 64;

/// Entries kept in memory, and so the depth of undo. Bounded, so that a long run does not grow; the
/// journal's file has the older ones.
const DEPTH: usize = 4096;

/// One entry with the touched rows before and after it.
struct Step {
    entry: Arc<JournalEntry>,
    before: ChangeSide,
    after: ChangeSide,
}

/// The step to undo or redo.
#[derive(Clone, Copy, Debug)]
pub(super) enum StepChoice<'a> {
    /// Undo the newest change of a caller.
    Undo(&'a Author),
    /// Undo the change of this number, whoever made it.
    UndoChange(u64),
    /// Undo the newest change, whoever made it.
    UndoNewest,
    /// Redo the step that a caller undid last.
    Redo(&'a Author),
}

impl StepChoice<'_> {
    fn direction(self) -> UndoRedo {
        match self {
            Self::Undo(_) | Self::UndoChange(_) | Self::UndoNewest => UndoRedo::Undo,
            Self::Redo(_) => UndoRedo::Redo,
        }
    }
}

/// A step that is undone.
struct UndoneStep {
    /// Its index in the history.
    index: usize,
    /// The caller who can redo it.
    by: Author,
}

/// One undo or redo of a step.
pub(super) struct UndoRedoStep {
    direction: UndoRedo,
    /// The step's index in the history.
    index: usize,
    /// The number of the step's entry.
    pub(super) id: u64,
    /// The touched rows now.
    pub(super) from: ChangeSide,
    /// The touched rows afterwards.
    pub(super) to: ChangeSide,
}

impl UndoRedoStep {
    /// Returns the number of the entry that is undone.
    pub(super) fn undoes(&self) -> Option<u64> {
        (self.direction == UndoRedo::Undo).then_some(self.id)
    }

    /// If this step is a redo, returns the number of the entry that it applies again.
    pub(super) fn redoes(&self) -> Option<u64> {
        (self.direction == UndoRedo::Redo).then_some(self.id)
    }
}

/// All entries of this run, and which of them are undone.
pub(super) struct ChangeHistory {
    /// Receives each entry that is new or has changed.
    journal: Option<JournalSender>,
    steps: Vec<Step>,
    /// The undone steps, in the order in which they were undone.
    undone: Vec<UndoneStep>,
    counts: ChangeCounts,
}

impl ChangeHistory {
    /// An empty history; `journal` receives each entry, now and whenever it changes.
    pub(super) fn new(journal: Option<JournalSender>) -> Self {
        Self { journal, steps: Vec::new(), undone: Vec::new(), counts: ChangeCounts::default() }
    }

    /// Returns the counts of ended changes and closed verdicts.
    pub(super) fn counts(&self) -> &ChangeCounts {
        &self.counts
    }

    /// Counts a change that was refused; it gets no entry.
    pub(super) fn count_refusal(&mut self, author: &Author) {
        self.counts.count_refusal(author);
    }

    fn send(&self, entry: &Arc<JournalEntry>) {
        if let Some(journal) = &self.journal {
            journal.send(entry.clone());
        }
    }

    /// Returns all entries, oldest first.
    pub(super) fn entries(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Arc<JournalEntry>> + ExactSizeIterator {
        self.steps.iter().map(|step| &step.entry)
    }

    /// Returns the newest entries for a snapshot, oldest first.
    pub(super) fn last_entries(&self) -> Vec<Arc<JournalEntry>> {
        let from = self.steps.len().saturating_sub(IN_SNAPSHOT);
        self.entries().skip(from).cloned().collect()
    }

    /// Completes a verdict of an entry, if that entry is still in memory.
    pub(super) fn complete_verdict(&mut self, EntryVerdict { entry, verdict }: EntryVerdict) {
        let at = self.steps.iter().rposition(|step| step.entry.id == entry);
        let Some(step) = at.and_then(|at| self.steps.get_mut(at)) else { return };
        let entry = Arc::make_mut(&mut step.entry);
        if let Some(open) = entry.verdicts.iter_mut().find(|open| open.model == verdict.model) {
            self.counts.count_verdict(open, &verdict);
            *open = verdict;
        }
        let entry = step.entry.clone();
        self.send(&entry);
    }

    /// Sets the status of an entry, if that entry is still in memory.
    pub(super) fn update_status(&mut self, update: StatusUpdate) {
        let at = self.steps.iter().rposition(|step| step.entry.id == update.entry);
        let Some(step) = at.and_then(|at| self.steps.get_mut(at)) else { return };
        self.counts.count_status(&step.entry, &update.status);
        let entry = Arc::make_mut(&mut step.entry);
        entry.status = update.status;
        entry.built_us = update.built.map(|took| took.as_micros() as u64);
        let entry = step.entry.clone();
        self.send(&entry);
    }

    /// Returns the number of the next entry.
    pub(super) fn next_id(&self) -> u64 {
        self.steps.last().map_or(1, |step| step.entry.id + 1)
    }

    /// Records a change that a caller made. What that caller has undone can no longer be redone.
    pub(super) fn record_change(
        &mut self,
        entry: JournalEntry,
        before: &DesiredState,
        plan: &Plan,
    ) {
        self.undone.retain(|step| step.by != entry.author);
        self.push(entry, before, plan);
    }

    /// Records a change that divvy made itself, after a failed build or a change of the machine.
    /// Undo and redo skip it: its rows count as unchanged.
    pub(super) fn record_own_change(
        &mut self,
        entry: JournalEntry,
        before: &DesiredState,
        plan: &Plan,
    ) {
        for new in entry.models.iter().filter_map(|name| plan.after.row(name)) {
            if let Some(old) = before.counterpart(new, &plan.after) {
                self.renumber(old, new.generation);
            }
        }
        self.push(entry, before, plan);
    }

    fn push(&mut self, entry: JournalEntry, before: &DesiredState, plan: &Plan) {
        let old_names = plan.rows.iter().filter_map(|row| row.renamed_from.as_ref());
        let mut names: Vec<&String> = entry.models.iter().chain(old_names).collect();
        names.sort();
        names.dedup();
        let mut sides = [before, &plan.after].map(|state| state.side(names.iter().copied()));
        // Outlines seldom change: all steps with an equal one share it.
        let mut last = self.steps.last().map(|step| step.after.outline.clone());
        for side in &mut sides {
            match &last {
                Some(outline) if *outline == side.outline => side.outline = outline.clone(),
                _ => last = Some(side.outline.clone()),
            }
        }
        let [before, after] = sides;
        self.counts.count_new(&entry);
        let entry = Arc::new(entry);
        self.send(&entry);
        self.steps.push(Step { entry, before, after });
        if self.steps.len() >= DEPTH + DEPTH / 8 {
            let surplus = self.steps.len() - DEPTH;
            self.steps.drain(..surplus);
            self.undone.retain_mut(|step| {
                let index = step.index.checked_sub(surplus);
                step.index = index.unwrap_or_default();
                index.is_some()
            });
        }
    }

    /// Returns the undo or redo of a step.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such step, or a later change touched one of its rows.
    pub(super) fn next_step(
        &self,
        choice: StepChoice<'_>,
        now: &DesiredState,
    ) -> Result<UndoRedoStep, Refusal> {
        let index = self.find(choice)?;
        let Some(step) = self.steps.get(index) else {
            return Err(Refusal::whole("there is no such change"));
        };
        let direction = choice.direction();
        let (from, to) = match direction {
            UndoRedo::Undo => (&step.after, &step.before),
            UndoRedo::Redo => (&step.before, &step.after),
        };
        for (name, row) in &from.rows {
            let present = now.row(name);
            if present.map(|row| row.generation) != row.as_ref().map(|row| row.generation) {
                return Err(self.touched_later(step, name));
            }
        }
        Ok(UndoRedoStep { direction, index, id: step.entry.id, from: from.clone(), to: to.clone() })
    }

    /// Returns the index of a step.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    fn find(&self, choice: StepChoice<'_>) -> Result<usize, Refusal> {
        let newest = |is_it: &dyn Fn(&JournalEntry) -> bool| {
            self.steps.iter().rposition(|step| step.entry.can_be_undone() && is_it(&step.entry))
        };
        match choice {
            StepChoice::Undo(author) => {
                newest(&|entry| entry.author == *author).ok_or_else(|| self.nothing_to_undo())
            }
            StepChoice::UndoNewest => newest(&|_| true).ok_or_else(|| self.nothing_to_undo()),
            StepChoice::UndoChange(id) => {
                let index = self.steps.iter().position(|step| step.entry.id == id);
                let step = index.and_then(|index| self.steps.get(index));
                let Some((index, step)) = index.zip(step) else {
                    let text = format!("there is no change {id} to undo in this run");
                    return Err(Refusal::whole(text));
                };
                let reason = match &*step.entry {
                    entry if entry.can_be_undone() => return Ok(index),
                    entry if entry.undone => "is undone already",
                    entry if entry.author == Author::Scheduler => {
                        "was made by divvy itself and cannot be undone"
                    }
                    _ => "is an undo or a redo and cannot be undone",
                };
                Err(Refusal::whole(format!("change {id} {reason}")))
            }
            StepChoice::Redo(author) => {
                let undone = self.undone.iter().rev().find(|step| step.by == *author);
                undone.map(|step| step.index).ok_or_else(|| {
                    Refusal::whole(
                        "there is nothing to redo: only a change that this caller has undone, with no \
                         change of this caller since",
                    )
                })
            }
        }
    }

    /// Returns the refusal for a caller that has nothing to undo. Names the newest change of another one.
    fn nothing_to_undo(&self) -> Refusal {
        match self.entries().rev().find(|entry| entry.can_be_undone()) {
            Some(entry) => Refusal::whole(format!(
                "there is no change to undo that this caller made; `divvy undo {}` undoes change {} by {}",
                entry.id,
                entry.id,
                text::author(&entry.author)
            ))
            .naming_change(entry.id),
            None => Refusal::whole("there is no change to undo"),
        }
    }

    /// Returns the refusal for a row that was touched after a step. Names the change that must be undone first.
    fn touched_later(&self, step: &Step, row: &str) -> Refusal {
        let id = step.entry.id;
        let is_later = |entry: &&Arc<JournalEntry>| {
            entry.id > id && entry.can_be_undone() && entry.models.iter().any(|model| model == row)
        };
        let text = format!("a later change touched this row, so change {id} stays");
        match self.entries().rev().find(is_later) {
            Some(later) => {
                let by = text::author(&later.author);
                let id = later.id;
                let text = format!("{text}; `divvy undo {id}` undoes that change by {by} first");
                Refusal::row(row, text).naming_change(id)
            }
            None => Refusal::row(row, text),
        }
    }

    /// Returns the undo of the newest step, if that step led to `now` and `after` reverts all of it:
    /// then a change to `after` counts as its undo.
    pub(super) fn reverted_step(
        &self,
        now: &DesiredState,
        after: &DesiredState,
    ) -> Option<UndoRedoStep> {
        let step = self.next_step(StepChoice::UndoNewest, now).ok()?;
        let is_reverted = |(name, row): &(String, Option<Row>)| match (row, after.row(name)) {
            (Some(old), Some(new)) => Row { generation: new.generation, ..old.clone() } == *new,
            (None, None) => true,
            _ => false,
        };
        let is_whole = *step.to.outline == after.outline() && step.to.rows.iter().all(is_reverted);
        is_whole.then_some(step)
    }

    /// Records an undo or redo: marks its step, adds its own entry, and updates the rows'
    /// generations in the other steps.
    pub(super) fn record_undo_redo(
        &mut self,
        step: &UndoRedoStep,
        entry: JournalEntry,
        before: &DesiredState,
        plan: &Plan,
    ) {
        match step.direction {
            UndoRedo::Undo => {
                // the caller whose change divvy itself has undone can redo it
                let author = self.steps.get(step.index).map(|step| &step.entry.author);
                let is_own = entry.author == Author::Scheduler;
                let by = author.filter(|_| is_own).unwrap_or(&entry.author).clone();
                self.undone.push(UndoneStep { index: step.index, by });
            }
            UndoRedo::Redo => self.undone.retain(|undone| undone.index != step.index),
        }
        if let Some(marked) = self.steps.get_mut(step.index) {
            Arc::make_mut(&mut marked.entry).undone = step.direction == UndoRedo::Undo;
        }
        if let Some(marked) = self.steps.get(step.index) {
            self.send(&marked.entry);
        }
        for (name, old) in &step.to.rows {
            if let (Some(old), Some(new)) = (old, plan.after.row(name)) {
                self.renumber(old, new.generation);
            }
        }
        self.push(entry, before, plan);
    }

    /// Gives a recorded row its new generation, in all steps.
    fn renumber(&mut self, old: &Row, generation: u64) {
        let (id, old_generation) = (old.id, old.generation);
        let sides = self.steps.iter_mut().flat_map(|step| [&mut step.before, &mut step.after]);
        for row in sides.flat_map(|side| &mut side.rows).filter_map(|(_, row)| row.as_mut()) {
            if row.id == id && row.generation == old_generation {
                row.generation = generation;
            }
        }
    }
}

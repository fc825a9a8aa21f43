//! The journal of this run, and what undo and redo need of each entry.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::layout::{Desired, Plan, Refusal, Row};
use crate::telemetry::{Entry, Verdict};

/// Entries that a snapshot carries.
pub const IN_SNAPSHOT: usize = 64;

/// Entries that are kept in memory, and so the depth of undo. A long run must not grow; what is older
/// stays in the journal's file.
pub const KEPT: usize = 4096;

/// Rows by name as they were; `None` where there was none.
pub type Rows = Vec<(String, Option<Row>)>;

/// One entry with both sides of it.
struct Step {
    entry: Arc<Entry>,
    before: Rows,
    after: Rows,
}

/// All entries, and what was undone.
pub struct History {
    /// Who gets each entry that is new or has changed.
    follower: Option<Sender<Entry>>,
    steps: Vec<Step>,
    /// Indices of steps that were undone, the newest last.
    undone: Vec<usize>,
}

/// Which way a step is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Back to before it.
    Undo,
    /// Forward to after it.
    Redo,
}

impl History {
    /// No entries yet; `follower` gets each one, now and whenever it changes.
    pub fn new(follower: Option<Sender<Entry>>) -> Self {
        Self { follower, steps: Vec::new(), undone: Vec::new() }
    }

    fn tell(&self, entry: &Entry) {
        if let Some(follower) = &self.follower {
            // A follower that has ended has said why.
            let _ = follower.send(entry.clone());
        }
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Arc<Entry>> + ExactSizeIterator {
        self.steps.iter().map(|step| &step.entry)
    }

    /// The newest entries, oldest of them first.
    pub fn newest(&self) -> Vec<Arc<Entry>> {
        let from = self.steps.len().saturating_sub(IN_SNAPSHOT);
        self.entries().skip(from).cloned().collect()
    }

    /// Completes a verdict of an entry, where that is still kept.
    pub fn decide(&mut self, id: u64, verdict: Verdict) {
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
    pub fn next_id(&self) -> u64 {
        self.steps.last().map_or(1, |step| step.entry.id + 1)
    }

    /// Adds an entry for a new change. What was undone before can no longer be redone.
    pub fn push(&mut self, entry: Entry, before: &Desired, plan: &Plan) {
        self.undone.clear();
        self.add(entry, before, plan);
    }

    fn add(&mut self, entry: Entry, before: &Desired, plan: &Plan) {
        let rows = |state: &Desired| -> Rows {
            entry.models.iter().map(|name| (name.clone(), state.row(name).cloned())).collect()
        };
        let (before, after) = (rows(before), rows(&plan.after));
        self.tell(&entry);
        self.steps.push(Step { entry: Arc::new(entry), before, after });
        if self.steps.len() >= KEPT + KEPT / 8 {
            let gone = self.steps.len() - KEPT;
            self.steps.drain(..gone);
            self.undone = self.undone.iter().filter_map(|at| at.checked_sub(gone)).collect();
        }
    }

    /// The step that an undo or a redo would go, with the rows that it restores.
    ///
    /// # Errors
    /// [`Refusal`] when there is none, or a later change touched one of its rows.
    pub fn step(&self, way: Way, now: &Desired) -> Result<(usize, u64, Rows), Refusal> {
        let at = match way {
            Way::Undo => self.steps.iter().rposition(|step| step.entry.can_be_undone()),
            Way::Redo => self.undone.last().copied(),
        };
        let step = at.and_then(|at| self.steps.get(at).map(|step| (at, step)));
        let Some((at, step)) = step else {
            return Err(Refusal::whole(match way {
                Way::Undo => "there is no change to undo",
                Way::Redo => {
                    "there is nothing to redo: only what was undone, and not changed since"
                }
            }));
        };
        let (expected, target) = match way {
            Way::Undo => (&step.after, &step.before),
            Way::Redo => (&step.before, &step.after),
        };
        for (name, row) in expected {
            let is = now.row(name);
            if is.map(|row| row.generation) != row.as_ref().map(|row| row.generation) {
                return Err(Refusal::row(
                    name,
                    format!("a later change touched this row, so change {} stays", step.entry.id),
                ));
            }
        }
        Ok((at, step.entry.id, target.clone()))
    }

    /// Notes that a step was gone: marks it, adds the entry of the undo or redo itself, and lets
    /// the other steps know the rows' new generations.
    pub fn went(&mut self, way: Way, at: usize, entry: Entry, before: &Desired, plan: &Plan) {
        match way {
            Way::Undo => self.undone.push(at),
            Way::Redo => {
                self.undone.pop();
            }
        }
        if let Some(step) = self.steps.get_mut(at) {
            Arc::make_mut(&mut step.entry).undone = way == Way::Undo;
        }
        if let Some(step) = self.steps.get(at) {
            self.tell(&step.entry);
        }
        let restored = self.steps.get(at).map(|step| match way {
            Way::Undo => step.before.clone(),
            Way::Redo => step.after.clone(),
        });
        // The restored rows are the same states under new generations, wherever they are kept.
        for (name, old) in restored.into_iter().flatten() {
            let (Some(old), Some(new)) = (old, plan.after.row(&name)) else { continue };
            let kept = self
                .steps
                .iter_mut()
                .flat_map(|step| step.before.iter_mut().chain(&mut step.after));
            for (_, row) in kept.filter(|(other, _)| *other == name) {
                if let Some(row) = row.as_mut().filter(|row| row.generation == old.generation) {
                    row.generation = new.generation;
                }
            }
        }
        self.add(entry, before, plan);
    }
}

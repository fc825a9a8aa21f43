//! Steps up or down in a field of a row.

use std::time::Duration;

use super::action::{AppliedKind, Effect, PlanPurpose};
use super::{Column, ConsoleState, Mode, Tone};
use crate::layout::{Auto, Change, CoreOwner, CoreSelection, Edit, QueuePolicy, Slo};

/// The values that steps of a latency target use, in milliseconds.
const LADDER_MS: [u64; 15] = [1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 500, 1000, 2000];

/// Returns the next value after a bound; the bound itself if there is none.
fn ladder(bound: Duration, by: i32) -> Duration {
    let steps = LADDER_MS.map(Duration::from_millis);
    let next = if by > 0 {
        steps.into_iter().find(|step| *step > bound)
    } else {
        steps.into_iter().rev().find(|step| *step < bound)
    };
    next.unwrap_or(bound)
}

/// Returns the number after one step, from 1 to 1024.
fn stepped(number: usize, by: i32) -> usize {
    number.saturating_add_signed(by as isize).clamp(1, 1024)
}

impl ConsoleState {
    /// Returns the change of a step.
    ///
    /// # Errors
    /// The reason why the step is impossible.
    pub fn step_change(&self, model: &str, column: Column, by: i32) -> Result<Change, String> {
        let row = self.row(model).ok_or_else(|| format!("{model} is gone"))?;
        let name = model.to_owned();
        let edit = match column {
            Column::Cores => {
                let party = CoreOwner::Model(name);
                let (from, to) =
                    if by > 0 { (CoreOwner::Free, party) } else { (party, CoreOwner::Free) };
                Edit::TransferCores { cores: CoreSelection::Count(1), from, to, share: false }
            }
            Column::Instances => {
                let next = stepped(row.concurrency, by);
                if next == row.concurrency {
                    return Err(format!("{model} keeps {next}: pause it to stop it altogether"));
                }
                Edit::SetConcurrency { model: name, concurrency: Auto::Exactly(next) }
            }
            Column::Threads => {
                let next = stepped(row.threads, by);
                if next == row.threads {
                    return Err(format!("{model}: threads go from 1 to 1024"));
                }
                Edit::SetThreads { model: name, threads: Auto::Exactly(next) }
            }
            Column::Queue => {
                let queue = row.budget.queue;
                let limit = if by > 0 { queue.limit.saturating_mul(2) } else { queue.limit / 2 };
                let limit = limit.clamp(1, QueuePolicy::MAX_LIMIT);
                if limit == queue.limit {
                    return Err(format!("{model}: the queue's limit goes from 1 to 1,000,000"));
                }
                Edit::SetQueue { model: name, queue: QueuePolicy { limit, ..queue } }
            }
            Column::Slo => {
                let slo = match row.budget.slo {
                    Some(slo) => Slo { bound: ladder(slo.bound, by), ..slo },
                    None => Slo { percentile: 99.0, bound: Duration::from_millis(100) },
                };
                if row.budget.slo == Some(slo) {
                    return Err(format!("{model}: steps of the SLO go from 1 ms to 2 s"));
                }
                Edit::SetSlo { model: name, slo: Some(slo) }
            }
            Column::Gpu => return self.step_place(model, by),
        };
        Ok(edit.into())
    }

    /// Performs a step, or shows the reason why it is impossible.
    pub(super) fn step(&mut self, model: &str, column: Column, by: i32) -> Vec<Effect> {
        match self.step_change(model, column, by) {
            Ok(change) => self.commit(change),
            Err(reason) => {
                self.say(Tone::Info, reason);
                Vec::new()
            }
        }
    }

    /// Applies a change, or adds it to the staged ones. Every gesture calls this.
    pub(super) fn commit(&mut self, change: Change) -> Vec<Effect> {
        if self.readonly {
            self.say(Tone::Bad, "read-only: nothing can be changed here");
            return Vec::new();
        }
        match self.mode {
            Mode::Live => vec![Effect::Apply { kind: AppliedKind::Change, change }],
            Mode::Staged => {
                self.staged.push(change);
                self.plan_staged()
            }
        }
    }

    /// Requests the plan of all staged changes.
    pub(super) fn plan_staged(&mut self) -> Vec<Effect> {
        if self.staged.is_empty() {
            self.staged_plan = None;
            return Vec::new();
        }
        let ticket = self.ticket();
        self.staged_ticket = ticket;
        let change = self.on_top(&Change::default());
        vec![Effect::Plan { ticket, question: PlanPurpose::Staged, change }]
    }

    /// Pauses the selected model or resumes it.
    pub(super) fn pause(&mut self) -> Vec<Effect> {
        self.toggle_row(|name, row| Edit::Pause { model: name, paused: !row.paused })
    }

    /// Reserves the selected row's cores, or ends the reservation.
    pub(super) fn reserve(&mut self) -> Vec<Effect> {
        self.toggle_row(|name, row| Edit::SetReserve { model: name, reserve: !row.reserve })
    }

    fn toggle_row(
        &mut self,
        edit: impl FnOnce(String, &crate::layout::Budget) -> Edit,
    ) -> Vec<Effect> {
        let CoreOwner::Model(name) = self.selected.clone() else {
            self.say(Tone::Info, "select a model first");
            return Vec::new();
        };
        match self.row(&name).map(|row| edit(name.clone(), &row.budget)) {
            Some(edit) => self.commit(edit.into()),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_steps_stop_at_both_ends() {
        let ms = Duration::from_millis;
        assert_eq!(ladder(ms(20), 1), ms(30));
        assert_eq!(ladder(ms(20), -1), ms(15));
        assert_eq!(ladder(ms(21), -1), ms(20));
        assert_eq!(ladder(ms(1), -1), ms(1));
        assert_eq!(ladder(ms(9000), 1), ms(9000));
    }
}

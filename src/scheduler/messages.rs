//! Messages between the owner, the observer, the loading threads and the pools.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::change_request::{ChangeRequest, RequestClaim};
use super::lending::{Loan, LoanId, LoanRequest};
use super::loading::LoadedModel;
use super::model_key::ModelKey;
use super::slot::Slots;
use super::waiting::WaitingSlot;
use crate::engine::EngineError;
use crate::layout::{DesiredState, Refusal};
use crate::machine::Description;
use crate::pool::PoolEvent;
use crate::telemetry::{
    Applied, ChangeCounts, ChangeStatus, JournalEntry, LoanView, Snapshot, StateVersion, Verdict,
};

/// The question of a caller that waits for an answer.
pub(super) struct Question<T> {
    /// Counts the question until it is dropped.
    pub(super) _slot: WaitingSlot,
    /// The owner takes it before it does anything; the caller takes it to withdraw the question.
    pub(super) claim: RequestClaim,
    pub(super) reply: Sender<Result<T, Refusal>>,
}

impl<T> Question<T> {
    /// Answers the question, unless its caller has withdrawn it: the caller was promised that nothing happens.
    /// Returns true if it was answered.
    pub(super) fn answer(&self, answer: impl FnOnce() -> Result<T, Refusal>) -> bool {
        let is_first = self.claim.take();
        if is_first {
            // A caller that has ended needs no answer; what was done for it stays.
            let _ = self.reply.send(answer());
        }
        is_first
    }
}

/// Messages to the owner thread.
pub(super) enum OwnerMessage {
    /// Carry out a request for a change.
    Change {
        request: ChangeRequest,
        /// When the caller asked.
        asked: Instant,
        question: Question<Applied>,
    },
    /// Lend cores.
    Lend { request: LoanRequest, question: Question<Loan> },
    /// End a loan.
    Reclaim { loan: LoanId, question: Question<()> },
    /// Send the whole journal.
    Journal(Question<Vec<Arc<JournalEntry>>>),
    /// A model's file was loaded, or failed to load.
    Loaded { key: ModelKey, result: Result<LoadedModel, EngineError> },
    /// This process cannot use a row's GPU.
    GpuUnusable { key: ModelKey, reason: String },
    /// The row of a model whose successor is being built has changed.
    SuccessorChanged {
        /// The model's slot, by its generation.
        slot: u64,
    },
    /// An event from a model's pool.
    Pool { key: ModelKey, event: PoolEvent },
    /// Verdicts that were computed.
    Verdicts(Vec<EntryVerdict>),
    /// The machine has changed, or threads are not placed as asked.
    MachineChecked(Box<Description>),
    /// Drain all pools and stop.
    Stop { patience: Duration, reply: Sender<Snapshot> },
}

/// The direction of a step through the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UndoRedo {
    Undo,
    Redo,
}

/// A verdict for an entry of the journal.
pub(super) struct EntryVerdict {
    /// The entry's number.
    pub(super) entry: u64,
    pub(super) verdict: Verdict,
}

/// Messages to the observer thread.
pub(super) enum ObserverMessage {
    /// The scheduler state has changed.
    State(Box<SchedulerState>),
    /// Publish a final snapshot, send it, and stop.
    Stop(Sender<Snapshot>),
}

/// The owner's state at one instant.
#[derive(Default)]
pub(super) struct SchedulerState {
    pub(super) version: StateVersion,
    pub(super) desired: Arc<DesiredState>,
    pub(super) description: Arc<Description>,
    pub(super) slots: Slots,
    /// The loans in force, oldest first.
    pub(super) loans: Vec<LoanView>,
    pub(super) changes: ChangeLog,
}

/// The newest changes.
#[derive(Default)]
pub(super) struct ChangeLog {
    /// The newest entries of the journal, oldest first.
    pub(super) entries: Vec<Arc<JournalEntry>>,
    /// The entries whose instances are being built, each with the generations of their slots.
    pub(super) builds: Vec<(u64, Vec<u64>)>,
    /// Ended changes and closed verdicts.
    pub(super) counts: ChangeCounts,
}

impl ChangeLog {
    /// Returns the entries, with the number of instances that are ready now.
    pub(super) fn entries_now(
        &self,
        slots: &Slots,
        desired: &DesiredState,
    ) -> Vec<Arc<JournalEntry>> {
        let mut entries = self.entries.clone();
        for (id, building) in &self.builds {
            let Some(entry) = entries.iter_mut().find(|entry| entry.id == *id) else { continue };
            let (ready, total) = slots.instances_ready(building, desired);
            Arc::make_mut(entry).status = ChangeStatus::Building { ready, total };
        }
        entries
    }
}

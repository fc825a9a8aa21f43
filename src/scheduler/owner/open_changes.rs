//! The changes whose instances are still being built.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::scheduler::slot::{BuildProgress, Slots};
use crate::telemetry::ChangeStatus;

/// The open changes, oldest first.
#[derive(Default)]
pub(super) struct OpenChanges(Vec<OpenChange>);

/// A change that is not in force yet.
struct OpenChange {
    /// The number of its entry.
    entry: u64,
    asked: Instant,
    /// The models whose instances are being built.
    models: Vec<OpenModel>,
    failure: Option<String>,
}

/// A model whose instances are being built for a change.
#[derive(Clone, Copy)]
struct OpenModel {
    /// The generation of its slot.
    slot: u64,
    /// True until the owner has handled that this process cannot use the model's GPU.
    has_unusable_gpu: bool,
}

/// The effect of a change on the builds of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuildEffect {
    /// Instances are being built for the change.
    Started,
    /// The build of an earlier change was dropped.
    Dropped,
    /// This process cannot use the model's GPU. The owner handles that after the change.
    UnusableGpu,
}

/// The new status of an entry.
pub(super) struct StatusUpdate {
    pub(super) entry: u64,
    pub(super) status: ChangeStatus,
    /// Time since the change was asked for, if its builds have succeeded.
    pub(super) built: Option<Duration>,
}

impl StatusUpdate {
    fn new(entry: u64, status: ChangeStatus) -> Self {
        Self { entry, status, built: None }
    }
}

impl OpenChanges {
    /// Opens a change, if instances are being built for it; `effects` is by the generations of slots.
    /// Returns the open changes that it replaces.
    pub(super) fn open(
        &mut self,
        entry: u64,
        asked: Instant,
        effects: &BTreeMap<u64, BuildEffect>,
    ) -> Vec<StatusUpdate> {
        let mut replaced = Vec::new();
        self.0.retain_mut(|change| {
            change.models.retain(|old| !effects.contains_key(&old.slot));
            let is_open = !change.models.is_empty();
            if !is_open {
                replaced.push(StatusUpdate::new(change.entry, ChangeStatus::Replaced));
            }
            is_open
        });
        let model = |(slot, effect): (&u64, &BuildEffect)| OpenModel {
            slot: *slot,
            has_unusable_gpu: *effect == BuildEffect::UnusableGpu,
        };
        let is_open = |(_, effect): &(&u64, &BuildEffect)| **effect != BuildEffect::Dropped;
        let models: Vec<OpenModel> = effects.iter().filter(is_open).map(model).collect();
        if !models.is_empty() {
            self.0.push(OpenChange { entry, asked, models, failure: None });
        }
        replaced
    }

    /// Notes that the owner has handled the unusable GPU of a slot's model.
    pub(super) fn note_gpu_handled(&mut self, slot: u64) {
        let models = self.0.iter_mut().flat_map(|change| &mut change.models);
        for model in models.filter(|model| model.slot == slot) {
            model.has_unusable_gpu = false;
        }
    }

    /// Closes the change for which a slot's instances were being built, since its row is rolled back.
    pub(super) fn roll_back(&mut self, slot: u64, reason: &str) -> Option<StatusUpdate> {
        let is_it = |change: &OpenChange| change.models.iter().any(|model| model.slot == slot);
        let at = self.0.iter().rposition(is_it)?;
        let entry = self.0.remove(at).entry;
        Some(StatusUpdate::new(entry, ChangeStatus::RolledBack { reason: reason.to_owned() }))
    }

    /// Closes the changes whose builds have all ended, and returns their new statuses. `handled` is the
    /// generation of the slot whose event the owner has just handled. A build of another slot that has
    /// ended stays open until its own event is handled.
    pub(super) fn settle(&mut self, slots: &Slots, handled: u64) -> Vec<StatusUpdate> {
        let mut settled = Vec::new();
        self.0.retain_mut(|change| {
            let OpenChange { entry, asked, models, failure } = change;
            let progress = |slot| slots.of_generation(slot).map(|(_, slot)| slot.build_progress());
            models.retain(|model| match progress(model.slot) {
                // The model was removed.
                None => false,
                Some(_) if model.slot != handled => true,
                Some(BuildProgress::Pending) => true,
                Some(BuildProgress::Ended) => model.has_unusable_gpu,
                Some(BuildProgress::Failed(reason)) => {
                    failure.get_or_insert(reason);
                    false
                }
            });
            if models.is_empty() {
                settled.push(match failure.take() {
                    Some(reason) => StatusUpdate::new(*entry, ChangeStatus::Failed { reason }),
                    None => StatusUpdate {
                        built: Some(asked.elapsed()),
                        ..StatusUpdate::new(*entry, ChangeStatus::InForce)
                    },
                });
            }
            !models.is_empty()
        });
        settled
    }

    /// Closes all changes at the end of a run.
    pub(super) fn end_all(&mut self) -> Vec<StatusUpdate> {
        let end = |change: OpenChange| StatusUpdate::new(change.entry, ChangeStatus::Unfinished);
        self.0.drain(..).map(end).collect()
    }

    /// Returns the entries of the open changes, each with the generations of the slots that are built.
    pub(super) fn builds(&self) -> Vec<(u64, Vec<u64>)> {
        let slots = |change: &OpenChange| change.models.iter().map(|model| model.slot).collect();
        self.0.iter().map(|change| (change.entry, slots(change))).collect()
    }
}

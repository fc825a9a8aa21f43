//! The owner's reactions to events from the pools.

use super::enforce;
use super::models::LiveModels;
use super::own_change::OwnChange;
use super::rollback::FailedRow;
use super::successors;
use crate::pool::PoolEvent;
use crate::scheduler::loading::instance_setup;
use crate::scheduler::model_key::ModelKey;
use crate::scheduler::slot::FailedBuild;

/// Handles an event of a pool. Returns a rollback if a row has to go back to the instances that
/// serve.
pub(super) fn handle(
    models: &mut LiveModels,
    key: &ModelKey,
    event: PoolEvent,
) -> Option<OwnChange> {
    if let Some(name) = models.slots.name_of_successor(key.generation) {
        return successors::handle(models, &name, event);
    }
    let name = models.slots.name_of(key)?;
    let desired = models.desired.clone();
    let asked = desired
        .row(&name)
        .and_then(|row| instance_setup(row, &desired, &models.description.gpus).ok());
    let slot = models.slots.get_mut(&name)?;
    let pool = slot.pool.clone()?;
    match event {
        PoolEvent::Built(report) => {
            slot.last_build = Some(report.took);
            slot.failed_build = None;
            // It may have failed for lack of instances; now it has some.
            slot.revive();
            let mut rollback = None;
            if let Some(row) = desired.row(&name) {
                if slot.difference.is_some() {
                    let found = enforce::place(row, &desired, slot, &models.description);
                    enforce::note_differences(row, &desired, slot, &found);
                }
                // A change may have asked for more instances during the build.
                rollback = models.build(&name);
            }
            models.record_served(&name, report.setup);
            rollback
        }
        PoolEvent::PlacementMismatch { .. } => {
            let row = desired.row(&name)?;
            let found = enforce::place(row, &desired, slot, &models.description);
            enforce::note_differences(row, &desired, slot, &found);
            models.build(&name)
        }
        PoolEvent::BuildFailed { id, setup, reason }
            if !pool.is_newest(id) || asked != Some(setup) =>
        {
            // A change came after the failure and before this event: the row has other instances
            // now, or others are being built for it.
            tracing::warn!("{name}: a build that is no longer needed failed: {reason}");
            None
        }
        PoolEvent::BuildFailed { setup, reason, .. }
            if pool.is_renewing() && pool.setup() == Some(setup) =>
        {
            // The rebuild was only to raise the threads' priority: the old instances keep serving.
            tracing::error!("{name}: {reason}");
            pool.keep();
            slot.renewals = enforce::MOST_RENEWALS;
            slot.difference = Some(format!(
                "its threads may not be raised to a lower nice value, and new instances could not be \
                 built: {reason}"
            ));
            None
        }
        PoolEvent::BuildFailed { setup, reason, .. } => {
            tracing::error!("{name}: {reason}");
            let failed = FailedBuild { setup, reason: reason.clone() };
            let message = failed.message();
            slot.failed_build = Some(failed);
            models.roll_back(&name, &FailedRow { setup: Some(setup), reason, message })
        }
        PoolEvent::InstanceLost { reason, .. } => {
            tracing::error!("{name}: an instance was lost: {reason}");
            if slot.has_no_instances_or_builds() {
                slot.fail(format!("its last instance was lost: {reason}"));
                return None;
            }
            // One more try, as a new build. If it fails, the model's `difference` says why.
            models.build(&name)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::{self, Receiver};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::engine::synthetic::{Script, SyntheticModel};
    use crate::engine::{EngineError, EngineKind};
    use crate::layout::{Auto, Budget, Change, DesiredState, Edit, Layout, ModelSource};
    use crate::machine::{Description, SimulatedMachine};
    use crate::scheduler::loading::{LoadRequest, LoadedModel, Loader, PreparedRequests};
    use crate::scheduler::messages::OwnerMessage;
    use crate::scheduler::owner::stage_timer::StageTimer;

    const PATIENCE: Duration = Duration::from_secs(30);

    struct ScriptedLoader(Arc<Script>);

    impl Loader for ScriptedLoader {
        fn load(&self, _: &LoadRequest) -> Result<LoadedModel, EngineError> {
            Ok(LoadedModel {
                model: Arc::new(SyntheticModel::new(self.0.clone())),
                engine: EngineKind::Synthetic,
                title: String::new(),
                requests: PreparedRequests::default(),
            })
        }
    }

    /// The models of an owner whose messages the test handles one by one.
    struct TestModels {
        models: LiveModels,
        messages: Receiver<OwnerMessage>,
        script: Arc<Script>,
    }

    impl TestModels {
        /// A model `m` that serves with one thread per instance.
        fn start() -> Self {
            let (script, description) = (Arc::new(Script::default()), Description::uniform(4));
            let budget = Budget::new("m", ModelSource::File("/m.onnx".into()));
            let layout = Layout { description: String::new(), models: vec![budget] };
            let first = DesiredState::resolve(&layout, &description).unwrap();
            let (sender, messages) = mpsc::channel();
            let loader = Arc::new(ScriptedLoader(script.clone()));
            let machine = Arc::new(SimulatedMachine::uniform(4));
            let models = LiveModels::new(first, description, machine, loader, sender);
            let mut test = Self { models, messages, script };
            test.reconcile(&DesiredState::default());
            let OwnerMessage::Loaded { key, result } = test.next() else { panic!("a load ends") };
            test.models.take_loaded(&key, result);
            let (key, built) = test.next_event();
            assert!(matches!(built, PoolEvent::Built(_)), "{built:?}");
            assert!(handle(&mut test.models, &key, built).is_none());
            test
        }

        fn next(&self) -> OwnerMessage {
            self.messages.recv_timeout(PATIENCE).unwrap()
        }

        fn next_event(&self) -> (ModelKey, PoolEvent) {
            let OwnerMessage::Pool { key, event } = self.next() else { panic!("a pool's event") };
            (key, event)
        }

        fn reconcile(&mut self, before: &DesiredState) {
            let after = self.models.desired.clone();
            self.models.reconcile(before, &after, &mut StageTimer::new(Instant::now()));
        }

        fn set_threads(&mut self, threads: Auto) {
            let edit = Edit::SetThreads { model: "m".to_owned(), threads };
            let plan = self.models.desired.plan(&Change::from(edit), &self.models.description);
            let before = self.models.replace_desired(Arc::new(plan.unwrap().after));
            self.reconcile(&before);
        }

        /// Fails to build instances of two threads, and returns the event that says so.
        fn failed_event(&mut self) -> (ModelKey, PoolEvent) {
            self.script.build_fails_at.store(2, Ordering::SeqCst);
            self.set_threads(Auto::Exactly(2));
            let (key, event) = self.next_event();
            assert!(matches!(event, PoolEvent::BuildFailed { .. }), "{event:?}");
            (key, event)
        }
    }

    #[test]
    fn late_build_failure_keeps_newer_threads() {
        let mut test = TestModels::start();
        let (key, failed) = test.failed_event();
        test.script.build_blocked.store(3, Ordering::SeqCst);
        test.set_threads(Auto::Exactly(3));
        assert!(handle(&mut test.models, &key, failed).is_none(), "nothing is rolled back");
        let slot = test.models.slots.get("m").unwrap();
        assert!(slot.failed_build.is_none(), "the row asks for another width by now");
        assert_eq!(slot.warming(), Some((0, 1)), "which is being built");
        test.script.build_blocked.store(0, Ordering::SeqCst);
        let (key, built) = test.next_event();
        assert!(matches!(built, PoolEvent::Built(_)), "{built:?}");
        handle(&mut test.models, &key, built);
        let slot = test.models.slots.get("m").unwrap();
        assert_eq!(slot.setup().map(|setup| setup.threads), Some(3));
    }

    #[test]
    fn late_failure_is_not_held_against_the_row() {
        let mut test = TestModels::start();
        let (key, failed) = test.failed_event();
        test.set_threads(Auto::Auto);
        assert!(handle(&mut test.models, &key, failed).is_none());
        assert!(test.models.slots.get("m").unwrap().failed_build.is_none());
    }

    #[test]
    fn second_failure_of_a_width_rolls_back() {
        let mut test = TestModels::start();
        let (key, first) = test.failed_event();
        test.set_threads(Auto::Exactly(3));
        let (_, second) = test.failed_event_after_built();
        assert!(handle(&mut test.models, &key, first).is_none(), "the second one is pending");
        assert!(handle(&mut test.models, &key, second).is_some());
    }

    impl TestModels {
        /// Waits for the present build, then fails as [`TestModels::failed_event`] does.
        fn failed_event_after_built(&mut self) -> (ModelKey, PoolEvent) {
            let (key, built) = self.next_event();
            handle(&mut self.models, &key, built);
            self.failed_event()
        }
    }
}

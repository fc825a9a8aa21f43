//! Panics of the observer's tasks: each costs one task, and is reported once until the task succeeds
//! again.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::machine::panic_message;
use crate::telemetry::Conditions;

/// The tasks of the observer. Each may fail without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObserverTask {
    Check,
    Sample,
    Publish,
}

impl ObserverTask {
    /// The name of its condition.
    fn condition(self) -> &'static str {
        match self {
            Self::Check => "observer: check",
            Self::Sample => "observer: sample",
            Self::Publish => "observer: publish",
        }
    }

    /// The consequence of its failure.
    fn failure(self) -> &'static str {
        match self {
            Self::Check => "the machine is not checked for changes",
            Self::Sample => "metrics are missing",
            Self::Publish => "the display is not updating",
        }
    }

    /// The state after it has recovered.
    fn recovery(self) -> &'static str {
        match self {
            Self::Check => "the machine is checked for changes again",
            Self::Sample => "metrics are complete again",
            Self::Publish => "the display is updating again",
        }
    }
}

/// The outcome of a guarded task.
pub(super) enum TaskOutcome<T> {
    Done(T),
    /// It panicked; `true` if this was reported now.
    Panicked {
        is_new: bool,
    },
}

/// Runs tasks and reports their panics.
pub(super) struct FaultGuard {
    conditions: Conditions,
    /// The message of each failing task's last panic.
    faults: BTreeMap<ObserverTask, String>,
}

impl FaultGuard {
    pub(super) fn new(conditions: Conditions) -> Self {
        Self { conditions, faults: BTreeMap::new() }
    }

    /// Runs a task. A panic raises a condition, once until the task succeeds or panics with another
    /// message.
    pub(super) fn run<T>(
        &mut self,
        task: ObserverTask,
        work: impl FnOnce() -> T,
    ) -> TaskOutcome<T> {
        let message = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => {
                if self.faults.remove(&task).is_some() {
                    self.conditions.clear(task.condition());
                    tracing::info!("{}", task.recovery());
                }
                return TaskOutcome::Done(done);
            }
            Err(panic) => panic_message(&*panic),
        };
        let is_new = self.faults.get(&task) != Some(&message);
        if is_new {
            tracing::error!("{}: a bug in divvy ({message})", task.failure());
            let text = format!("{}: a bug in divvy ({message}); see the log", task.failure());
            self.conditions.raise(task.condition(), text);
            self.faults.insert(task, message);
        }
        TaskOutcome::Panicked { is_new }
    }
}

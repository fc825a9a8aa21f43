//! Refusals of changes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::model_name::short_name;

/// The reason why a change was refused. A refused change has no effect, except perhaps one of the kind
/// [`RefusalKind::Unanswered`].
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("{}{reason}", self.prefix())]
pub struct Refusal {
    /// The kind of the reason, for callers that do not read text.
    #[serde(default)]
    pub kind: RefusalKind,
    /// The model whose row caused the refusal, if one did.
    pub model: Option<String>,
    /// The message: what is wrong, and what to do.
    pub reason: String,
    /// The number of the change that can be undone instead, or must be undone first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The layout, the history or the machine does not allow the change.
    #[default]
    NotAllowed,
    /// The change would change nothing.
    Nothing,
    /// All changes are refused.
    ReadOnly,
    /// The state is no longer the one that the change expects.
    StateChanged,
    /// The scheduler has stopped.
    Stopped,
    /// The scheduler did not take the change in time, and will not.
    TimedOut,
    /// Too many requests wait for the scheduler already.
    Busy,
    /// The scheduler took the change and has not answered: it may yet be applied. The journal shows
    /// whether it was.
    Unanswered,
}

impl Refusal {
    /// Returns a refusal of a change that changes nothing.
    pub fn nothing() -> Self {
        Self::of_kind(RefusalKind::Nothing, "nothing would change: the layout is already like that")
    }

    /// Returns true if the change was refused only because it changes nothing.
    pub fn is_nothing(&self) -> bool {
        self.kind == RefusalKind::Nothing
    }

    /// Returns a refusal caused by one row.
    pub fn row(model: &str, reason: impl Into<String>) -> Self {
        Self { model: Some(model.to_owned()), ..Self::whole(reason) }
    }

    /// Returns a refusal of the change as a whole.
    pub fn whole(reason: impl Into<String>) -> Self {
        Self::of_kind(RefusalKind::NotAllowed, reason)
    }

    /// Returns a refusal of a kind.
    pub fn of_kind(kind: RefusalKind, reason: impl Into<String>) -> Self {
        Self { kind, model: None, reason: reason.into(), change: None }
    }

    /// Returns the refusal with the number of a change that can be undone instead, or must be undone first.
    #[must_use]
    pub fn naming_change(self, id: u64) -> Self {
        Self { change: Some(id), ..self }
    }

    fn prefix(&self) -> String {
        let model = self.model.as_deref().map(short_name);
        model.map_or_else(String::new, |model| format!("{model}: "))
    }
}

//! The requests and answers of the control interface. Both sides use these types.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::layout::{Change, Edit, Layout, Plan, Refusal, RefusalKind};
use crate::scheduler::{LayoutRevision, LayoutStoreError, Profile, SaveCondition, SavedLayout};
use crate::telemetry::{Applied, JournalEntry, LogLine, StateVersion};

/// The version of the interface. It increases when a field or a path changes its name or meaning; new ones
/// do not count.
pub const API_VERSION: u32 = 1;

/// The header with the version of the interface. Every answer has it. A request that has it with another
/// version is refused.
pub const API_HEADER: &str = "divvy-api";

/// The header with the name of the client. The journal shows it behind the name of the user.
pub const CLIENT_HEADER: &str = "divvy-client";

/// The name of an attached console, unless it is given another one.
pub const CONSOLE_CLIENT: &str = "console";

/// The name of a client that sends none.
pub const DEFAULT_CLIENT: &str = "cli";

/// A running divvy (`GET /v1`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunInfo {
    /// The version of the interface.
    pub api: u32,
    /// The version of divvy.
    pub divvy: String,
    /// The name of the run.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// The layout that it was started with.
    pub layout: String,
    /// True if it refuses all changes of this client.
    pub read_only: bool,
    /// When it started, in milliseconds since 1970 in UTC.
    pub started_unix_ms: u64,
    /// The version of its state.
    pub version: StateVersion,
    /// The number of models.
    pub models: usize,
    /// Completed requests per second, over the last second.
    pub completed_per_s: f64,
}

/// The live layout (`GET /v1/layout`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LiveLayout {
    /// The version of the state. The layout is of this version or a later one.
    pub version: StateVersion,
    /// The layout.
    pub layout: Layout,
}

/// The saved layouts (`GET /v1/layouts`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LayoutList {
    /// The layouts, sorted by name.
    pub layouts: Vec<Profile>,
}

/// A saved layout (`GET /v1/layouts/NAME`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StoredLayout {
    /// The layout.
    pub layout: Layout,
    /// Its revision.
    pub revision: LayoutRevision,
    /// True if it cannot be overwritten.
    pub read_only: bool,
}

impl From<SavedLayout> for StoredLayout {
    fn from(saved: SavedLayout) -> Self {
        let SavedLayout { layout, revision, read_only } = saved;
        Self { layout, revision, read_only }
    }
}

impl From<StoredLayout> for SavedLayout {
    fn from(stored: StoredLayout) -> Self {
        let StoredLayout { layout, revision, read_only } = stored;
        Self { layout, revision, read_only }
    }
}

/// A layout to save (`PUT /v1/layouts/NAME`). Its paths are absolute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SaveBody {
    /// The layout.
    pub layout: Layout,
    /// The condition of the save.
    #[serde(default)]
    pub condition: SaveCondition,
}

/// The new name of a saved layout (`POST /v1/layouts/NAME/rename`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RenameBody {
    /// The new name.
    pub to: String,
}

/// The result of a request to record the requests of a model (`POST /v1/record/MODEL`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordAnswer {
    /// The message, which names the file.
    pub message: String,
}

/// The journal of the run (`GET /v1/journal`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JournalList {
    /// The entries, oldest first.
    pub entries: Vec<std::sync::Arc<JournalEntry>>,
}

/// The newest lines of the log (`GET /v1/log`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogList {
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// A change (`POST /v1/plan`, `POST /v1/apply`): either `edits` or `layout`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// Edits that are applied in order, all of them or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// A whole layout in place of edits. Its paths are absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// The version of the state on which the change was decided. The change is refused if the state has
    /// another one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<StateVersion>,
}

impl ChangeBody {
    /// A body with the edits of a change.
    pub fn new(change: Change) -> Self {
        Self { edits: change.edits, ..Self::default() }
    }

    /// The same body, only for this version of the state.
    #[must_use]
    pub fn expecting(self, version: StateVersion) -> Self {
        Self { expected: Some(version), ..self }
    }

    /// Returns the change.
    ///
    /// # Errors
    /// A message if the body has both edits and a layout, or neither.
    pub fn change(self) -> Result<Change, String> {
        match (self.edits.is_empty(), self.layout) {
            (false, None) => Ok(Change { edits: self.edits }),
            (true, Some(layout)) => Ok(Edit::Load { layout: Box::new(layout) }.into()),
            (true, None) => Err("`edits` is missing: send edits, or a whole `layout`".to_owned()),
            (false, Some(_)) => {
                Err("`edits` and `layout` are both set: send one of them".to_owned())
            }
        }
    }
}

/// A step of the history (`POST /v1/undo`, `POST /v1/redo`). The body may be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HistoryBody {
    /// The number of the change to undo, whoever made it; without it, the caller's newest change. Not for a
    /// redo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
    /// As in [`ChangeBody::expected`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<StateVersion>,
}

/// The consequences of a change (`POST /v1/plan`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlannedChange {
    /// The version of the state, for [`ChangeBody::expected`].
    pub version: StateVersion,
    /// The consequences.
    pub plan: Plan,
}

/// The end of a run (`POST /v1/stop`). The run drains its requests and then ends, as after SIGTERM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StopAnswer {
    /// The process that ends.
    pub pid: u32,
}

/// The result of a reload (`POST /v1/reload`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReloadAnswer {
    /// The change; missing if nothing differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// Places that changed in the file and live in different ways, and keep their live values.
    pub kept: Vec<String>,
    /// The models whose files were replaced; they are loaded again.
    pub replaced: Vec<String>,
    /// True if clients of the server need another token from now on.
    pub new_token: bool,
    /// True if clients of the control interface over TCP need another token from now on.
    #[serde(default)]
    pub new_control_token: bool,
}

impl ReloadAnswer {
    /// Returns the result in words, one line per fact.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(applied) = &self.applied {
            lines.push(format!("#{}: {}", applied.id, applied.plan.summary));
        }
        if !self.replaced.is_empty() {
            lines.push(format!("loads the new files of {}", self.replaced.join(", ")));
        }
        if self.new_token {
            lines.push("clients of the models need the new token".to_owned());
        }
        if self.new_control_token {
            lines.push("clients of the control interface need the new control token".to_owned());
        }
        if lines.is_empty() {
            lines.push("nothing has changed".to_owned());
        }
        lines.extend(self.kept.iter().map(|kept| format!("kept: {kept}")));
        lines
    }
}

/// The body of every answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorDetail {
    /// Its kind, for programs.
    pub kind: ErrorKind,
    /// The message: what is wrong, and what to do.
    pub message: String,
    /// The refusal by the scheduler, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The error of the saved layouts, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<LayoutStoreError>,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is malformed (400).
    BadRequest,
    /// The client has another version of the interface (400).
    ApiVersion,
    /// The token is missing or wrong (401).
    Unauthorized,
    /// This client may not do that (403).
    Forbidden,
    /// The run, or this socket, refuses all changes (403).
    ReadOnly,
    /// There is no such path, model, layout or entry (404).
    NotFound,
    /// The path does not accept the method (405).
    MethodNotAllowed,
    /// The change was refused (409).
    Refused,
    /// The change would change nothing (409).
    Nothing,
    /// The state is no longer the expected one (412).
    StateChanged,
    /// The body is too large (413).
    TooLarge,
    /// The body did not arrive in time (408).
    SlowRequest,
    /// Too many requests wait already (503).
    Busy,
    /// The scheduler has stopped (503).
    Stopped,
    /// The scheduler did not take the change in time, and will not (504).
    TimedOut,
    /// The scheduler took the change and has not answered: it may yet be applied (504).
    Unanswered,
    /// A file cannot be read, or a bug in divvy (500).
    Internal,
}

impl ErrorKind {
    /// Returns the status of its answers.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::ApiVersion => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::ReadOnly => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::SlowRequest => 408,
            Self::Refused | Self::Nothing => 409,
            Self::StateChanged => 412,
            Self::TooLarge => 413,
            Self::Internal => 500,
            Self::Busy | Self::Stopped => 503,
            Self::TimedOut | Self::Unanswered => 504,
        }
    }
}

impl From<RefusalKind> for ErrorKind {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::NotAllowed => Self::Refused,
            RefusalKind::Nothing => Self::Nothing,
            RefusalKind::ReadOnly => Self::ReadOnly,
            RefusalKind::StateChanged => Self::StateChanged,
            RefusalKind::Stopped => Self::Stopped,
            RefusalKind::TimedOut => Self::TimedOut,
            RefusalKind::Busy => Self::Busy,
            RefusalKind::Unanswered => Self::Unanswered,
        }
    }
}

impl ErrorDetail {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), refusal: None, layout: None }
    }
}

impl From<Refusal> for ErrorDetail {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        Self { kind: refusal.kind.into(), message, refusal: Some(refusal), layout: None }
    }
}

impl fmt::Display for ErrorDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Auto;

    fn edit() -> Edit {
        Edit::SetConcurrency { model: "ocr".to_owned(), concurrency: Auto::Exactly(2) }
    }

    #[test]
    fn change_is_edits_or_a_layout() {
        let edits = ChangeBody::new(edit().into());
        assert_eq!(edits.clone().change(), Ok(edit().into()));
        let layout = ChangeBody { layout: Some(Layout::default()), ..ChangeBody::default() };
        assert!(matches!(layout.clone().change().unwrap().edits[..], [Edit::Load { .. }]));
        let both = ChangeBody { edits: vec![edit()], ..layout };
        for wrong in [both, ChangeBody::default()] {
            assert!(wrong.change().unwrap_err().contains("edits"));
        }
    }

    #[test]
    fn refusal_survives_the_wire() {
        let refusal = Refusal::row("ocr", "it has one core only");
        let body = ErrorBody { error: refusal.clone().into() };
        let json = serde_json::to_string(&body).unwrap();
        assert!(json.contains(r#""kind":"refused""#), "{json}");
        let read: ErrorBody = serde_json::from_str(&json).unwrap();
        assert_eq!(read.error.refusal, Some(refusal));
        assert_eq!(read.error.kind.status(), 409);
    }
}

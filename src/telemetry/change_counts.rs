//! Counts of ended changes and of verdicts since the start of a run, for metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::author::Author;
use super::change_status::ChangeStatus;
use super::journal::{JournalEntry, Verdict, VerdictStatus};

/// Counts since the start of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ChangeCounts {
    /// Changes that have ended, and refused ones, by author and outcome.
    pub changes: BTreeMap<AuthorKind, BTreeMap<ChangeOutcome, u64>>,
    /// Closed verdicts by result, one per change and model.
    pub verdicts: BTreeMap<VerdictResult, u64>,
}

/// The kind of an author: remote callers count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum AuthorKind {
    Console,
    Api,
    File,
    Advice,
    Scheduler,
    Remote,
    Tuner,
    Autopilot,
}

/// The end of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeOutcome {
    /// It came into force.
    InForce,
    /// Its instances could not be built, and its rows are as they were before.
    RolledBack,
    /// Its instances could not be built, and there was nothing to roll back to.
    Failed,
    /// A later change replaced it while its instances were being built.
    Replaced,
    /// The run ended while its instances were being built.
    Unfinished,
    /// It was refused, so nothing has changed.
    Refused,
}

/// The result of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VerdictResult {
    /// A metric differs clearly.
    Difference,
    /// No metric differs clearly.
    NoDifference,
    /// A window had too few requests.
    NotEnough,
    /// Another change affected the model before the window was full.
    Superseded,
}

impl AuthorKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Console,
        Self::Api,
        Self::File,
        Self::Advice,
        Self::Scheduler,
        Self::Remote,
        Self::Tuner,
        Self::Autopilot,
    ];

    fn of(author: &Author) -> Self {
        match author {
            Author::Console => Self::Console,
            Author::Api => Self::Api,
            Author::File => Self::File,
            Author::Advice => Self::Advice,
            Author::Scheduler => Self::Scheduler,
            Author::Remote(_) => Self::Remote,
            Author::Tuner => Self::Tuner,
            Author::Autopilot => Self::Autopilot,
        }
    }

    /// Returns the name in metrics and snapshots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Api => "api",
            Self::File => "file",
            Self::Advice => "advice",
            Self::Scheduler => "scheduler",
            Self::Remote => "remote",
            Self::Tuner => "tuner",
            Self::Autopilot => "autopilot",
        }
    }
}

impl ChangeOutcome {
    /// All outcomes.
    pub const ALL: [Self; 6] = [
        Self::InForce,
        Self::RolledBack,
        Self::Failed,
        Self::Replaced,
        Self::Unfinished,
        Self::Refused,
    ];

    fn of(status: &ChangeStatus) -> Option<Self> {
        Some(match status {
            ChangeStatus::Building { .. } => return None,
            ChangeStatus::InForce => Self::InForce,
            ChangeStatus::RolledBack { .. } => Self::RolledBack,
            ChangeStatus::Failed { .. } => Self::Failed,
            ChangeStatus::Replaced => Self::Replaced,
            ChangeStatus::Unfinished => Self::Unfinished,
        })
    }

    /// Returns the name in metrics and snapshots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::Replaced => "replaced",
            Self::Unfinished => "unfinished",
            Self::Refused => "refused",
        }
    }
}

impl VerdictResult {
    /// All results.
    pub const ALL: [Self; 4] =
        [Self::Difference, Self::NoDifference, Self::NotEnough, Self::Superseded];

    fn of(verdict: &Verdict) -> Option<Self> {
        Some(match verdict.status {
            VerdictStatus::Open => return None,
            VerdictStatus::Done if verdict.comparisons.iter().any(|one| one.clear) => {
                Self::Difference
            }
            VerdictStatus::Done => Self::NoDifference,
            VerdictStatus::NotEnough => Self::NotEnough,
            VerdictStatus::Superseded => Self::Superseded,
        })
    }

    /// Returns the name in metrics and snapshots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::NoDifference => "no_difference",
            Self::NotEnough => "not_enough",
            Self::Superseded => "superseded",
        }
    }
}

impl ChangeCounts {
    /// Counts a change that was refused.
    pub fn count_refusal(&mut self, author: &Author) {
        self.add(AuthorKind::of(author), ChangeOutcome::Refused);
    }

    /// Counts a new entry, as far as it and its verdicts have ended.
    pub fn count_new(&mut self, entry: &JournalEntry) {
        if let Some(outcome) = ChangeOutcome::of(&entry.status) {
            self.add(AuthorKind::of(&entry.author), outcome);
        }
        for verdict in &entry.verdicts {
            self.add_verdict(verdict);
        }
    }

    /// Counts an entry that gets a new status, if that is its end.
    pub fn count_status(&mut self, entry: &JournalEntry, new: &ChangeStatus) {
        if ChangeOutcome::of(&entry.status).is_none()
            && let Some(outcome) = ChangeOutcome::of(new)
        {
            self.add(AuthorKind::of(&entry.author), outcome);
        }
    }

    /// Counts a verdict that replaces `old`, if that was open.
    pub fn count_verdict(&mut self, old: &Verdict, new: &Verdict) {
        if VerdictResult::of(old).is_none() {
            self.add_verdict(new);
        }
    }

    fn add_verdict(&mut self, verdict: &Verdict) {
        if let Some(result) = VerdictResult::of(verdict) {
            *self.verdicts.entry(result).or_default() += 1;
        }
    }

    fn add(&mut self, author: AuthorKind, outcome: ChangeOutcome) {
        *self.changes.entry(author).or_default().entry(outcome).or_default() += 1;
    }

    /// Returns the number of changes of an author that ended so.
    pub fn changes(&self, author: AuthorKind, outcome: ChangeOutcome) -> u64 {
        let outcomes = self.changes.get(&author);
        outcomes.and_then(|outcomes| outcomes.get(&outcome)).copied().unwrap_or(0)
    }

    /// Returns the number of verdicts with a result.
    pub fn verdicts(&self, result: VerdictResult) -> u64 {
        self.verdicts.get(&result).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::CallerName;

    #[test]
    fn change_counts_once_it_has_ended() {
        let building = JournalEntry {
            author: Author::Remote(CallerName::new("ci")),
            status: ChangeStatus::Building { ready: 0, total: 1 },
            ..JournalEntry::default()
        };
        let mut counts = ChangeCounts::default();
        counts.count_new(&building);
        assert_eq!(counts, ChangeCounts::default());
        counts.count_status(&building, &ChangeStatus::InForce);
        let done = JournalEntry { status: ChangeStatus::InForce, ..building.clone() };
        counts.count_status(&done, &ChangeStatus::InForce);
        assert_eq!(counts.changes(AuthorKind::Remote, ChangeOutcome::InForce), 1);
        counts.count_refusal(&done.author);
        assert_eq!(counts.changes(AuthorKind::Remote, ChangeOutcome::Refused), 1);
    }

    #[test]
    fn verdict_counts_once_it_is_closed() {
        let verdict = |status| Verdict {
            model: "m".to_owned(),
            status,
            samples_before: 0,
            samples_after: 0,
            counted: crate::telemetry::SampleKind::default(),
            comparisons: Vec::new(),
        };
        let (open, done) = (verdict(VerdictStatus::Open), verdict(VerdictStatus::Done));
        let mut counts = ChangeCounts::default();
        let entry = JournalEntry { verdicts: vec![open.clone()], ..JournalEntry::default() };
        counts.count_new(&entry);
        assert_eq!(counts.changes(AuthorKind::Api, ChangeOutcome::InForce), 1);
        assert!(counts.verdicts.is_empty());
        counts.count_verdict(&open, &done);
        counts.count_verdict(&done, &done);
        assert_eq!(counts.verdicts(VerdictResult::NoDifference), 1);
    }

    #[test]
    fn names_are_those_of_snapshots() {
        let json = |value| serde_json::to_string(&value).unwrap();
        for kind in AuthorKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), json(kind.name()));
        }
        for outcome in ChangeOutcome::ALL {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), json(outcome.name()));
        }
        for result in VerdictResult::ALL {
            assert_eq!(serde_json::to_string(&result).unwrap(), json(result.name()));
        }
    }
}

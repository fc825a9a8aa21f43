//! The source of a process row: the processes that it takes in, or the command that divvy starts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The source of a process row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessSource {
    /// The processes that belong to the row, each with its descendants.
    pub selector: ProcessSelector,
    /// Conditions that the processes must meet besides.
    #[serde(default, skip_serializing_if = "ProcessFilter::is_empty")]
    pub filter: ProcessFilter,
    /// The URL of the page where the program reports its own requests, in Prometheus' text format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
}

/// The choice of the processes of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProcessSelector {
    /// Every process whose executable has this file name, or this path if it is absolute.
    Exe(String),
    /// The process with this number.
    Pid(i32),
    /// Every process in this cgroup or below it, by its path in the hierarchy
    /// (`/system.slice/ollama.service`). Only selects: divvy writes to no cgroup of others.
    Cgroup(String),
    /// A process that divvy starts.
    Command(ProcessCommand),
}

/// A command that divvy starts, and what it does when the command ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessCommand {
    /// The program and its arguments, at least one.
    pub args: Vec<String>,
    /// The folder in which it runs; absolute once a layout has been loaded. `None` for divvy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Variables of its environment that differ from divvy's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The reaction to its end.
    #[serde(default)]
    pub restart: RestartPolicy,
}

/// The reaction to the end of a started process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It is not started again.
    #[default]
    Never,
    /// It is started again if it failed: a signal, or an exit code other than 0.
    OnFailure,
    /// It is always started again.
    Always,
}

impl RestartPolicy {
    /// Returns its name in a layout file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

/// Conditions that the processes of a row must meet; each that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessFilter {
    /// A text that the command line contains, its arguments joined by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// The owner, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The working folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
}

impl ProcessFilter {
    /// Returns true if it has no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ProcessSource {
    /// The source without conditions and metrics.
    pub fn new(selector: ProcessSelector) -> Self {
        Self { selector, filter: ProcessFilter::default(), metrics: None }
    }

    /// Returns a short description: "exe redis-server", "pid 4711", "cgroup /x", "python server.py".
    pub fn description(&self) -> String {
        match &self.selector {
            ProcessSelector::Exe(exe) => format!("exe {exe}"),
            ProcessSelector::Pid(pid) => format!("pid {pid}"),
            ProcessSelector::Cgroup(path) => format!("cgroup {path}"),
            ProcessSelector::Command(command) => command.args.join(" "),
        }
    }
}

//! The options of a process host.

use std::path::PathBuf;
use std::time::Duration;

/// The options of a process host.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// The folder of the records that outlive the run: started processes, and the settings that divvy
    /// found. `None` keeps no records.
    pub state: Option<PathBuf>,
    /// The name of the run, which names the record of the processes that it started: the next run of that
    /// name adopts those that live.
    pub name: String,
    /// The treatment of processes at the end.
    pub end: ProcessEnd,
    /// The permission to change processes.
    pub access: ProcessAccess,
    /// Time between two scans and samples.
    pub interval: Duration,
}

/// The permission to change processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProcessAccess {
    /// It changes what the layout asks for.
    #[default]
    Change,
    /// It only shows them.
    Observe,
}

/// The treatment of processes when divvy ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProcessEnd {
    /// Started processes end; the others get the settings back that divvy found.
    #[default]
    Restore,
    /// Everything stays as it is (`--keep`).
    Keep,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            state: None,
            name: "divvy".to_owned(),
            end: ProcessEnd::default(),
            access: ProcessAccess::default(),
            interval: Duration::from_secs(1),
        }
    }
}

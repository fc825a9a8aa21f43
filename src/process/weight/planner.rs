//! Plans the means that enforce the weights of the rows of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::group::GroupReader;
use super::plan::{OwnGroup, PlanContext, WeightPlan};
use crate::machine::{ForeignProcess, ProcessId};

/// Plans the means for the rows of a run.
#[derive(Debug)]
pub(in crate::process) struct WeightPlanner {
    pub(super) reader: GroupReader,
    pub(super) own: OwnGroup,
    /// The nice value of divvy's threads.
    pub(super) own_nice: i32,
    /// The folder of the cgroups that divvy made.
    own_cgroups: Option<PathBuf>,
    /// The processes of all autogroups, as read last.
    autogroups: Mutex<AutogroupTable>,
}

/// The processes of all autogroups, read once for all rows.
#[derive(Debug, Default)]
struct AutogroupTable {
    read: Option<Instant>,
    pids: BTreeMap<u64, Vec<i32>>,
}

/// Time for which the table is used.
const TABLE_AGE: Duration = Duration::from_millis(500);

impl WeightPlanner {
    /// The planner for the system below `root`.
    pub(in crate::process) fn new(root: &Path, own_cgroups: Option<PathBuf>) -> Self {
        let reader = GroupReader::new(root);
        let own_pid = std::process::id() as i32;
        let own = OwnGroup::read(&reader, own_pid);
        // Threads of a program with a negative nice value start at 0, as do divvy's models.
        let own_id = reader.files().stat(own_pid).map(|stat| stat.id);
        let own_nice = own_id.and_then(|id| first_thread_nice(&reader, id)).unwrap_or(0).max(0);
        Self { reader, own, own_nice, own_cgroups, autogroups: Mutex::default() }
    }

    /// Plans the means for these processes. Reads two files of each, and up to three of every process of
    /// the system if one is in another session: for the thread that samples, not for a change.
    ///
    /// # Errors
    /// The reason why no weight can be enforced.
    pub(in crate::process) fn plan(&self, members: &[ProcessId]) -> Result<WeightPlan, String> {
        let context = PlanContext {
            reader: &self.reader,
            own: &self.own,
            own_cgroups: self.own_cgroups.as_deref(),
            autogroup_pids: &|id| self.autogroup_pids(id),
        };
        WeightPlan::new(&context, members)
    }

    fn autogroup_pids(&self, id: u64) -> Vec<i32> {
        let mut table = self.autogroups.lock().unwrap_or_else(PoisonError::into_inner);
        if table.read.is_none_or(|at| at.elapsed() > TABLE_AGE) {
            table.pids = self.reader.autogroup_pids();
            table.read = Some(Instant::now());
        }
        table.pids.get(&id).cloned().unwrap_or_default()
    }
}

/// Returns the nice value of a process's first thread.
pub(super) fn first_thread_nice(reader: &GroupReader, id: ProcessId) -> Option<i32> {
    ForeignProcess::find(reader.files(), id)?.nice(id.pid).ok()
}

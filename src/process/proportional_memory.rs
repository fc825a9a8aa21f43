//! The thread that measures the proportional set size of the rows' processes. Reading it walks all pages of
//! a process, so it runs seldom and at the lowest priority.

use std::time::{Duration, Instant};

use super::host_shared::HostShared;
use crate::machine::{ForeignProcess, current_thread};

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_secs(30);

/// Time until the first measurement, when rows have found their processes.
const FIRST: Duration = Duration::from_secs(2);

/// The lowest priority.
const LOWEST: i32 = 19;

/// Measures until the host ends.
pub(super) fn run(host: &HostShared) {
    let own = host.files.stat(std::process::id() as i32);
    if let Some(own) = own.and_then(|own| ForeignProcess::find(&host.files, own.id)) {
        // Without it, the thread only competes more.
        let _ = own.set_nice(current_thread().tid, LOWEST);
    }
    let mut due = Instant::now() + FIRST;
    while host.pause_until(due) {
        for row in host.rows() {
            let members = row.members();
            let sizes = members.iter().filter_map(|id| host.files.proportional_memory(id.pid));
            let sizes: Vec<u64> = sizes.collect();
            row.set_proportional_memory((!sizes.is_empty()).then(|| sizes.iter().sum()));
        }
        due = Instant::now() + INTERVAL;
    }
}

//! The host of a run's process rows.

use std::sync::Arc;

use super::args::RunArgs;
use super::run_records::RunRecords;
use crate::process::{ProcessAccess, ProcessEnd, ProcessHost, ProcessOptions};

/// The name of the condition that is raised when there is no host.
const CONDITION: &str = "processes";

/// Starts the host, also without a process row: it reports what else uses the machine. The next run of this `name`
/// goes on with commands that live. `None` if the host cannot be started; process rows fail then.
pub(super) fn start(args: &RunArgs, records: &RunRecords, name: &str) -> Option<Arc<ProcessHost>> {
    let options = ProcessOptions {
        state: Some(records.folder().to_owned()),
        name: name.to_owned(),
        end: if args.processes.keep { ProcessEnd::Keep } else { ProcessEnd::Restore },
        access: if args.readonly { ProcessAccess::Observe } else { ProcessAccess::Change },
        ..ProcessOptions::default()
    };
    ProcessHost::start(options).map(Arc::new).map_or_else(
        |error| {
            let message = format!("no processes are shown or placed: {error}");
            tracing::warn!("{message}");
            records.conditions().raise(CONDITION, message);
            None
        },
        Some,
    )
}

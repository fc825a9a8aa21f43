//! `divvy restore`: restores the settings of processes that a killed run has left changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::CommandError;
use super::state_folder::StateDir;
use super::stdout::{print_json, print_text};
use crate::layout::counted;
use crate::process::{Leftover, ProcessHost};
use crate::telemetry::name_list;

/// Arguments of `divvy restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// List the processes, and change nothing.
    #[arg(long)]
    pub list: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state folder of the run.
    #[command(flatten)]
    pub state: StateDir,
}

/// The JSON of a restore.
#[derive(Serialize)]
struct RestoreReport {
    /// The processes that had other settings.
    processes: Vec<LeftoverReport>,
    /// True if they were restored, as far as `faults` do not say otherwise.
    restored: bool,
    /// One message per thread that keeps another setting.
    faults: Vec<String>,
}

/// One process in JSON.
#[derive(Serialize)]
struct LeftoverReport {
    row: String,
    pid: i32,
    name: String,
    cores_now: String,
    cores_before: String,
    threads: usize,
    other_weight: bool,
}

/// Lists the processes that runs have left changed, and restores them.
///
/// # Errors
/// [`CommandError::Failed`] if a thread keeps another setting.
pub fn run(args: &RestoreArgs) -> Result<(), CommandError> {
    let folder = args.state.folder()?;
    let found = ProcessHost::leftovers(&folder);
    let is_restored = !args.list && !found.is_empty();
    let faults = if is_restored { ProcessHost::restore_leftovers(&folder) } else { Vec::new() };
    if args.json {
        let processes = found.iter().map(LeftoverReport::of).collect();
        print_json(&RestoreReport { processes, restored: is_restored, faults: faults.clone() })?;
    } else {
        print_text(text(&found, is_restored))?;
    }
    match faults.as_slice() {
        [] => Ok(()),
        faults => Err(CommandError::Failed(faults.join("\ndivvy: "))),
    }
}

impl LeftoverReport {
    fn of(found: &Leftover) -> Self {
        Self {
            row: found.row.clone(),
            pid: found.process.pid,
            name: found.name.clone(),
            cores_now: found.now.to_string(),
            cores_before: found.before.to_string(),
            threads: found.threads,
            other_weight: found.has_other_weight,
        }
    }
}

/// Returns the offer to restore processes; `None` if there are none.
pub(super) fn offer(found: &[Leftover]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let rows: BTreeSet<&str> = found.iter().map(|left| left.row.as_str()).collect();
    let rows: Vec<&str> = rows.into_iter().collect();
    let processes = if found.len() == 1 { "process" } else { "processes" };
    Some(format!(
        "a run that did not end cleanly has left {} {processes} changed ({}); `divvy restore` restores them",
        found.len(),
        name_list(&rows)
    ))
}

/// Returns one line per process.
fn text(found: &[Leftover], is_restored: bool) -> String {
    if found.is_empty() {
        return "nothing to restore: no run has left a process changed\n".to_owned();
    }
    let mut text = String::new();
    for left in found {
        let Leftover { row, process, name, now, before, .. } = left;
        let threads = counted(left.threads, "thread");
        let [verb, link] = if is_restored { ["restored from", "to"] } else { ["on", "before on"] };
        let mut changes = Vec::new();
        if left.threads > 0 {
            changes.push(format!("{threads} {verb} CPU {now}, {link} CPU {before}"));
        }
        if left.has_other_weight {
            changes.push(format!("weight {}", if is_restored { "restored" } else { "changed" }));
        }
        // writing into a string does not fail
        let _ = writeln!(text, "{row}: process {} ({name}), {}", process.pid, changes.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ProcessId;

    fn left(row: &str, pid: i32) -> Leftover {
        Leftover {
            row: row.to_owned(),
            process: ProcessId { pid, start_ticks: 1 },
            name: "redis-server".to_owned(),
            now: "4-7".parse().unwrap(),
            before: "0-15".parse().unwrap(),
            threads: 6,
            has_other_weight: false,
        }
    }

    #[test]
    fn each_process_has_a_line() {
        let found = [left("redis", 7), left("redis", 8)];
        let listed = text(&found, false);
        assert!(
            listed.starts_with(
                "redis: process 7 (redis-server), 6 threads on CPU 4-7, before on CPU 0-15\n"
            ),
            "{listed}"
        );
        assert!(text(&found, true).contains("restored from CPU 4-7, to CPU 0-15"));
        let weight = Leftover { threads: 0, has_other_weight: true, ..left("redis", 7) };
        assert_eq!(text(&[weight], false), "redis: process 7 (redis-server), weight changed\n");
        assert!(text(&[], true).starts_with("nothing to restore"));
    }

    #[test]
    fn offer_names_the_rows_once() {
        let offer = offer(&[left("redis", 7), left("redis", 8), left("nginx", 9)]).unwrap();
        assert!(offer.contains("3 processes") && offer.contains("(nginx, redis)"), "{offer}");
        assert!(offer.contains("`divvy restore`"), "{offer}");
        assert_eq!(super::offer(&[]), None);
    }
}

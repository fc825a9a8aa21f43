//! The processes that belong to no row.

use std::collections::HashMap;
use std::time::Instant;

use super::catalog::ProcessCatalog;
use super::members::MemberOwners;
use super::sample_view::{entry, resident};
use super::scan::Scan;
use super::select::OwnProcesses;
use crate::machine::{CpuSet, ForeignProcess, ProcessFiles, ProcessId, ProcessStat};
use crate::telemetry::{OtherProcess, OtherProcesses};

/// The use of CPUs by the processes that belong to no row.
#[derive(Default)]
pub(super) struct OtherMeter {
    ticks: HashMap<ProcessId, u64>,
    last: Option<Instant>,
}

/// The inputs of a sample.
pub(super) struct OtherInputs<'a> {
    pub(super) scan: &'a Scan,
    pub(super) owners: &'a MemberOwners,
    pub(super) own: &'a OwnProcesses,
    /// The cores that rows have reserved.
    pub(super) reserved: CpuSet,
    pub(super) now: Instant,
}

impl OtherMeter {
    /// Takes a sample.
    pub(super) fn sample(
        &mut self,
        inputs: &OtherInputs<'_>,
        catalog: &mut ProcessCatalog,
    ) -> OtherProcesses {
        let before = std::mem::take(&mut self.ticks);
        let interval = self.last.map(|last| inputs.now.saturating_duration_since(last).as_nanos());
        let mut used: Vec<(u64, &ProcessStat)> = Vec::new();
        for process in inputs.scan.processes() {
            let id = process.id;
            self.ticks.insert(id, process.cpu_ticks);
            if inputs.owners.contains_key(&id) || id.pid == inputs.own.pid() {
                continue;
            }
            // All that a process has used counts if it has started since the last sample.
            let known = before.get(&id).copied().unwrap_or(0);
            let ticks = process.cpu_ticks.saturating_sub(known);
            used.push((if interval.is_some() { ticks } else { 0 }, process));
        }
        self.last = Some(inputs.now);
        let cores = |ticks: u64| match interval {
            Some(interval) if interval > 0 => {
                (ticks * ProcessFiles::tick_ns()) as f64 / interval as f64
            }
            _ => 0.0,
        };
        let total = used.iter().map(|(ticks, _)| ticks).sum();
        // The kernel's threads come last: they can be no rows, and are many.
        used.sort_by_key(|(ticks, process)| {
            (
                std::cmp::Reverse(*ticks),
                process.is_kernel_thread,
                std::cmp::Reverse(resident(process)),
            )
        });
        used.truncate(OtherProcesses::MOST_LISTED);
        let other = |(ticks, process): (u64, &ProcessStat)| OtherProcess {
            process: entry(process, cores(ticks), catalog),
            exe: catalog.exe_name(process),
            refused: inputs.own.refusal(process),
            on_reserved: is_on(&inputs.reserved, process, catalog.files()),
        };
        OtherProcesses { cpu: cores(total), busiest: used.into_iter().map(other).collect() }
    }
}

fn is_on(reserved: &CpuSet, process: &ProcessStat, files: &ProcessFiles) -> bool {
    if reserved.is_empty() || process.is_kernel_thread {
        return false;
    }
    let found = ForeignProcess::find(files, process.id);
    let mask = found.and_then(|found| found.affinity(process.id.pid).ok());
    mask.is_some_and(|mask| !mask.is_disjoint(reserved))
}

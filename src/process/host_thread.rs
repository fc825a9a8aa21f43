//! The thread of a process host: scans all processes, keeps the rows' threads placed, and samples them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::catalog::ProcessCatalog;
use super::host_shared::HostShared;
use super::leftovers::{self, EarlierSettings};
use super::measure::{MeterInputs, RowMeter};
use super::members::{MemberOwners, Members, RowNumber};
use super::options::ProcessAccess;
use super::other_meter::{OtherInputs, OtherMeter};
use super::reports::{BandwidthMonitor, ReportInputs, RowReports};
use super::row::ProcessRow;
use super::sample_view::SampleInputs;
use super::scan::Scan;
use super::select::{OwnProcesses, ProcessChooser};
use super::thread_meter::OpenFiles;
use crate::layout::{ProcessSelector, ProcessSource};
use crate::machine::{CallerRights, ProcessId, panic_message, request_short_slice};
use crate::process::ProcessSample;
use crate::telemetry::{ProcessState, ProcessView};

/// The least time between two scans, in durations of the last one: scans take at most two percent of a core.
const PAUSE_PER_SCAN: u32 = 50;

/// The same for early scans, which are few.
const EARLY_PAUSE_PER_SCAN: u32 = 5;

/// The thread of a process host.
pub(super) struct HostThread {
    host: Arc<HostShared>,
    catalog: ProcessCatalog,
    rights: CallerRights,
    boot: Option<SystemTime>,
    own: i32,
    rows: HashMap<RowNumber, RowWork>,
    owners: MemberOwners,
    others: OtherMeter,
    open: OpenFiles,
    records: Option<PathBuf>,
    earlier: EarlierSettings,
    bandwidth: BandwidthMonitor,
    /// True while the processes cannot be read, which is logged once.
    is_blind: bool,
}

/// The thread's state of one row.
#[derive(Default)]
struct RowWork {
    members: Members,
    meter: RowMeter,
    /// The process that the row's PID has meant.
    known: Option<ProcessId>,
    reports: RowReports,
}

impl HostThread {
    pub(super) fn new(host: Arc<HostShared>) -> Self {
        let files = host.files.clone();
        let records = host.records_folder();
        if let Some(folder) = records.as_deref()
            && host.options.access == ProcessAccess::Change
        {
            leftovers::restore_earlier_weights(folder, &files);
        }
        let earlier = records.as_deref().map(EarlierSettings::read);
        Self {
            rights: files.own_rights(),
            boot: files.boot_time(),
            own: std::process::id() as i32,
            catalog: ProcessCatalog::new(files),
            rows: HashMap::new(),
            owners: MemberOwners::new(),
            others: OtherMeter::default(),
            open: OpenFiles::new(),
            records,
            earlier: earlier.unwrap_or_default(),
            bandwidth: BandwidthMonitor::open(host.options.access),
            is_blind: false,
            host,
        }
    }

    /// Runs until the host ends.
    pub(super) fn run(mut self) {
        // A new thread is to be placed soon, while models keep every core busy.
        request_short_slice();
        loop {
            let start = Instant::now();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.tick(start))) {
                let reason = format!("divvy cannot read the processes: {}", panic_message(&*panic));
                for row in self.host.rows() {
                    row.set_sample(failed(&row.source(), reason.clone()));
                }
            }
            let took = start.elapsed();
            let next = start + self.host.options.interval.max(took * PAUSE_PER_SCAN);
            if !self.host.pause_until(start + took * EARLY_PAUSE_PER_SCAN)
                || !self.host.wait_until(next)
            {
                return;
            }
        }
    }

    /// Scans and samples once. A panic fails a row, not divvy.
    fn tick(&mut self, now: Instant) {
        let rows = self.host.rows();
        let scan = Scan::take(&self.host.files);
        let was_blind = std::mem::replace(&mut self.is_blind, scan.is_partial());
        if scan.is_partial() {
            // The processes have not ended: what divvy found of them must not be forgotten.
            if !was_blind {
                tracing::warn!(
                    "not all processes can be read from /proc; their rows stay as they are until it can: \
                     raise the limit of open files (ulimit -n)"
                );
            }
            return;
        }
        self.catalog.begin(&scan);
        self.owners.retain(|id, row| {
            scan.get(*id).is_some() && rows.iter().any(|known| known.number() == *row)
        });
        let open = &mut self.open;
        for (_, work) in self.rows.extract_if(|row, _| !rows.iter().any(|it| it.number() == *row)) {
            work.meter.close(open);
        }
        let own = OwnProcesses::new(&scan, self.own);
        for row in &rows {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.tick_row(row, &scan, &own, now)));
            if let Err(panic) = outcome {
                let reason = format!("divvy's sampling of it failed: {}", panic_message(&*panic));
                row.set_sample(failed(&row.source(), reason));
            }
        }
        let inputs = OtherInputs {
            scan: &scan,
            owners: &self.owners,
            own: &own,
            reserved: self.host.reserved(),
            now,
        };
        let others = self.others.sample(&inputs, &mut self.catalog);
        self.host.set_others(Arc::new(others));
        self.host.originals.retain(|id| self.owners.contains_key(&id));
    }

    fn tick_row(&mut self, row: &ProcessRow, scan: &Scan, own: &OwnProcesses, now: Instant) {
        let source = row.source();
        let number = row.number();
        let work = self.rows.entry(number).or_default();
        let command = row.command();
        if let ProcessSelector::Command(_) = source.selector
            && command.is_none()
        {
            let reason = "divvy runs with --readonly, so it starts nothing".to_owned();
            row.set_sample(failed(&source, reason));
            return;
        }
        let mut chooser = ProcessChooser { scan, catalog: &mut self.catalog, own };
        let chosen = match command {
            Some(command) => Ok(command.roots()),
            None => chooser.choose(&source, work.known),
        };
        let (roots, refused) = match chosen {
            Ok(roots) => (roots, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        if let ProcessSelector::Pid(_) = source.selector {
            work.known = work.known.or(roots.first().copied());
        }
        work.members.bar(own.pids());
        let joined = work.members.update(number, &roots, scan, &mut self.owners);
        let members = work.members.processes();
        if let Some(command) = command {
            command.set_members(members.to_vec());
        }
        row.set_read_only(read_only(members, scan, &mut self.catalog, self.rights));
        row.adopt(members, &joined, |id| self.earlier.get(id).cloned());
        if let Some(records) = self.records.as_deref().filter(|_| row.read_only().is_none()) {
            let taken: Vec<ProcessId> = joined.iter().map(|member| member.id).collect();
            self.earlier.remove(&taken, records, &self.host.files);
        }
        let (epoch, processes) = row.read(members);
        row.place(epoch, &processes);
        row.enforce_limits(members, now);
        let budget = row.budget();
        let inputs = MeterInputs { scan, processes: &processes, budget, now };
        let measured = work.meter.sample(&inputs, &self.catalog, &mut self.open);
        let state = match (refused, command) {
            (Some(reason), _) => ProcessState::Failed { reason },
            (None, _) if !members.is_empty() => ProcessState::Running,
            (None, Some(command)) => command.state(),
            (None, None) => match roots.first() {
                Some(root) => ProcessState::Failed {
                    reason: format!("process {root} belongs to another row already"),
                },
                None => ProcessState::Absent,
            },
        };
        let inputs = SampleInputs { row, measured, budget, state, boot: self.boot };
        let mut sample = inputs.sample(&mut self.catalog);
        let threads = processes.iter().flat_map(|process| &process.threads);
        let inputs = ReportInputs {
            name: &row.name(),
            url: source.metrics.as_deref(),
            percentile: row.percentile(),
            threads: &threads.map(|thread| thread.tid).collect::<Vec<_>>(),
            now,
        };
        work.reports.add_to(&mut sample, &self.bandwidth, row.use_record(), &inputs);
        row.set_sample(sample);
    }
}

/// Returns the reason why this user may not change a row's processes; `None` if it may.
fn read_only(
    members: &[ProcessId],
    scan: &Scan,
    catalog: &mut ProcessCatalog,
    rights: CallerRights,
) -> Option<String> {
    let processes = members.iter().filter_map(|id| scan.get(*id));
    let mut refused = processes
        .filter(|process| catalog.users(process).is_some_and(|users| !rights.may_change(users)));
    let process = refused.next()?;
    drop(refused);
    Some(format!(
        "process {} belongs to user {}: run divvy as that user or with CAP_SYS_NICE",
        process.id,
        catalog.user_name(process)
    ))
}

/// Returns the sample of a row whose processes cannot be chosen.
fn failed(source: &ProcessSource, reason: String) -> ProcessSample {
    let view = ProcessView {
        selector: source.description(),
        state: ProcessState::Failed { reason },
        ..ProcessView::default()
    };
    ProcessSample { view: Arc::new(view), ..ProcessSample::default() }
}

//! `divvy bench control`: a change over the control socket compared with one in process, and the size of a large
//! snapshot.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::apply::until_running;
use super::frame::scenario::{Figures, FrameScenario};
use super::pools::TIMEOUT;
use super::report::{Setting, Table, median, print, quantile};
use super::{BenchArgs, models};
use crate::command::CommandError;
use crate::control::api::ChangeBody;
use crate::control::{
    Access, Address, ControlClient, ControlHost, ControlListener, ControlServer, ControlSocket,
    NameChoice, RunIdentity, RunName, SnapshotParts, snapshot_json,
};
use crate::layout::{Change, CoreRequest, Edit, Layout};
use crate::load::LoadFollower;
use crate::machine::this_machine;
use crate::scheduler::{Control, Options, Scheduler};
use crate::telemetry::{Author, LogLines};

/// The large machine of the snapshot.
const MODELS: usize = 64;
const CORES: usize = 192;

/// Times that the snapshot is written.
const WRITES: usize = 200;

/// The pause between two changes: below the limit of changes per second that the scheduler takes.
const PAUSE: Duration = Duration::from_millis(2);

/// One way to make a call.
#[derive(Serialize)]
struct CallReport {
    name: &'static str,
    calls: usize,
    p50_us: f64,
    p99_us: f64,
}

/// One form of the snapshot.
#[derive(Serialize)]
struct SnapshotReport {
    include: String,
    bytes: usize,
    p50_us: f64,
    p99_us: f64,
}

#[derive(Serialize)]
struct ControlReport {
    #[serde(flatten)]
    setting: Setting,
    calls: Vec<CallReport>,
    /// Additional time of `apply` over the socket, at p50.
    added_p50_us: f64,
    snapshot_models: usize,
    snapshot_cores: usize,
    snapshots: Vec<SnapshotReport>,
}

impl Display for ControlReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting.title())?;
        let mut table = Table::new(&["call", "calls", "p50 us", "p99 us"]);
        for call in &self.calls {
            let times = [call.p50_us, call.p99_us].map(|us| format!("{us:.0}"));
            let cells = [call.name.to_owned(), call.calls.to_string()];
            table.row(cells.into_iter().chain(times).collect());
        }
        write!(f, "{table}")?;
        writeln!(f, "the socket adds {:.0} us at p50", self.added_p50_us)?;
        writeln!(
            f,
            "\nsnapshot of {} models, {} cores",
            self.snapshot_models, self.snapshot_cores
        )?;
        let mut table = Table::new(&["include", "bytes", "p50 us", "p99 us"]);
        for form in &self.snapshots {
            let include = if form.include.is_empty() { "(default)" } else { &form.include };
            let times = [form.p50_us, form.p99_us].map(|us| format!("{us:.0}"));
            let cells = [include.to_owned(), form.bytes.to_string()];
            table.row(cells.into_iter().chain(times).collect());
        }
        write!(f, "{table}")
    }
}

/// Runs the bench.
///
/// # Errors
/// [`CommandError`] if the models cannot be loaded or a change fails.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let machine = this_machine(None)?;
    let description = machine.describe();
    let mut models = models::budgets(args)?;
    for budget in &mut models {
        budget.cores = CoreRequest::Count(description.limits.allowed.len());
    }
    let layout = Layout { description: "bench control".to_owned(), models };
    let options = Options::new(machine, models::loader(args));
    let scheduler = Scheduler::start(&layout, options);
    let scheduler =
        Arc::new(scheduler.map_err(|refusal| CommandError::BadInput(refusal.to_string()))?);
    let engine = until_running(&scheduler)?;
    let load = LoadFollower::start(scheduler.loads())?;
    let folder = tempfile::tempdir()?;
    let failed = |error: &dyn Display| CommandError::Failed(error.to_string());
    let choice = NameChoice::Numbered(RunName::from_title("bench"));
    let socket =
        ControlSocket::bind(Some(folder.path()), &choice).map_err(|error| failed(&error))?;
    let address = Address::Socket(socket.path().to_owned());
    let host = ControlHost {
        control: scheduler.clone(),
        inspection: scheduler.clone(),
        layouts: None,
        recordings: None,
        log: Arc::new(LogLines::default()),
        machine: description.clone(),
        run: RunIdentity::default(),
        reload: Box::new(|| Err("nothing to reload".to_owned())),
        stop: Box::new(|| {}),
    };
    let server =
        ControlServer::start(host, vec![ControlListener::Socket(socket, Access::SameUser)])?;
    let client = ControlClient::new(address, "bench")?;
    let calls = measure_calls(args, &scheduler, &client, &layout)?;
    drop(server);
    load.stop(Duration::ZERO);
    scheduler.stop(TIMEOUT);
    let p50 =
        |name: &str| calls.iter().find(|call| call.name == name).map_or(0.0, |call| call.p50_us);
    let report = ControlReport {
        setting: Setting::new("control", args, &description, engine),
        added_p50_us: p50(SOCKET_APPLY) - p50(OWN_APPLY),
        calls,
        snapshot_models: MODELS,
        snapshot_cores: CORES,
        snapshots: measure_snapshots()?,
    };
    print(args, &report)
}

const OWN_APPLY: &str = "apply in process";
const SOCKET_APPLY: &str = "apply over the socket";

/// Makes each kind of call in turns, so that a busy machine disturbs them alike.
fn measure_calls(
    args: &BenchArgs,
    scheduler: &Scheduler,
    client: &ControlClient,
    layout: &Layout,
) -> Result<Vec<CallReport>, CommandError> {
    let model = layout.models.first().map(|row| row.name.clone()).unwrap_or_default();
    let mut weight = 2;
    let mut change = || {
        weight = if weight == 2 { 3 } else { 2 };
        Change::from(Edit::SetWeight { model: model.clone(), weight })
    };
    let [mut own, mut socket, mut own_plan, mut socket_plan, mut info] = [const { Vec::new() }; 5];
    let refused = |refusal: crate::layout::Refusal| CommandError::Failed(refusal.to_string());
    let end = Instant::now() + Duration::from_secs_f64(args.seconds);
    while Instant::now() < end {
        let next = change();
        let start = Instant::now();
        scheduler.plan(&next).map_err(refused)?;
        own_plan.push(micros(start));
        let start = Instant::now();
        scheduler.apply(next, Author::Api).map_err(refused)?;
        own.push(micros(start));
        std::thread::sleep(PAUSE);
        let next = ChangeBody::new(change());
        let start = Instant::now();
        client.plan(&next)?;
        socket_plan.push(micros(start));
        let start = Instant::now();
        client.apply(&next)?;
        socket.push(micros(start));
        let start = Instant::now();
        client.info()?;
        info.push(micros(start));
        std::thread::sleep(PAUSE);
    }
    let report = |name, times: &[f64]| CallReport {
        name,
        calls: times.len(),
        p50_us: median(times),
        p99_us: quantile(times, 0.99),
    };
    Ok(vec![
        report(OWN_APPLY, &own),
        report(SOCKET_APPLY, &socket),
        report("plan in process", &own_plan),
        report("plan over the socket", &socket_plan),
        report("info over the socket", &info),
    ])
}

fn measure_snapshots() -> Result<Vec<SnapshotReport>, CommandError> {
    let scenario = FrameScenario::new(MODELS, CORES, 12)?;
    let snapshot = scenario.snapshot(7, Figures { base: 7, rows: 0 });
    let windows = SnapshotParts { windows: true, ..SnapshotParts::default() };
    let measure = |parts: SnapshotParts| {
        let mut times = Vec::with_capacity(WRITES);
        let mut bytes = 0;
        for _ in 0..WRITES {
            let start = Instant::now();
            let line = snapshot_json(&snapshot, parts)
                .map_err(|error| CommandError::Failed(error.to_string()))?;
            times.push(micros(start));
            bytes = line.len();
        }
        let (p50_us, p99_us) = (median(&times), quantile(&times, 0.99));
        Ok(SnapshotReport { include: parts.list(), bytes, p50_us, p99_us })
    };
    let histograms = SnapshotParts { histograms: true, ..windows };
    [SnapshotParts::default(), windows, histograms, SnapshotParts::ALL]
        .into_iter()
        .map(measure)
        .collect()
}

fn micros(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}

//! The parts of the process's memory: each model alone and all together, with one and with four instances, each
//! case in a process of its own, so that none starts from what another left behind. The parts that
//! divvy accounts for are printed beside the resident set that the kernel counts.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::pools::TIMEOUT;
use super::report::{Setting, Table, print, ratio};
use super::{BenchArgs, BenchEngine, models};
use crate::command::CommandError;
use crate::engine::MemorySource;
use crate::layout::{Auto, Budget, CoreRequest, FileCheck, Layout, LoadSpec, QueuePolicy};
use crate::load::LoadFollower;
use crate::machine::this_machine;
use crate::scheduler::{Control, Options, Scheduler};
use crate::telemetry::{MemoryTable, ModelState, Snapshot};

/// Instances of a model that are compared with one.
const MANY: usize = 4;

/// Snapshots under load; the one with the median remainder is reported.
const LOOKS: usize = 9;

/// The case that a child process measures.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Case {
    /// The models, by name.
    models: Vec<String>,
    /// Instances of each.
    instances: usize,
}

/// The result of a child process.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    /// The models.
    models: Vec<String>,
    /// Instances of each.
    instances: usize,
    /// Requests completed before the snapshot.
    requests: u64,
    /// The engine's name and version.
    engine: String,
    /// The remainder as a share of the resident set.
    unattributed: f64,
    /// The parts, the sum and the resident set.
    table: MemoryTable,
}

/// The memory of four instances compared with one.
#[derive(Debug, Serialize)]
struct Sharing {
    model: String,
    instances: usize,
    one_bytes: u64,
    many_bytes: u64,
    /// Memory that the three further instances need for concurrent requests.
    activations_bytes: u64,
    /// `many` divided by the sum of `one` and those activations: 1 if the weights are shared.
    ratio: f64,
    /// `many` divided by `one`.
    plain_ratio: f64,
    /// Upper limit of `ratio`.
    target: f64,
}

/// The report.
#[derive(Debug, Serialize)]
struct MemoryReport {
    #[serde(flatten)]
    setting: Setting,
    cases: Vec<Measured>,
    sharing: Vec<Sharing>,
    /// Upper limit of `unattributed`, in either direction.
    target: f64,
}

/// Bytes as mebibytes.
fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

impl fmt::Display for MemoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; sizes in MiB, ~ is an estimate", self.setting.title())?;
        let mut table = Table::new(&["case", "part", "MiB", "copies"]);
        for case in &self.cases {
            parts(&mut table, case);
        }
        write!(f, "{table}")?;
        let mut table = Table::new(&["model", "1 instance", "4", "4 over 1", "target"]);
        for sharing in &self.sharing {
            table.row(vec![
                sharing.model.clone(),
                mib(sharing.one_bytes),
                mib(sharing.many_bytes),
                format!("{:.2}", sharing.ratio),
                format!("<= {}", sharing.target),
            ]);
        }
        write!(f, "{table}")
    }
}

fn parts(table: &mut Table, case: &Measured) {
    let is = &case.table;
    let title = format!("{} x {}", case.models.join(" + "), case.instances);
    let mut part = |name: String, bytes: String, copies: String| {
        table.row(vec![title.clone(), name, bytes, copies]);
    };
    let mark = |source| if source == MemorySource::Measured { "" } else { "~ " };
    for known in is.parts() {
        let name = format!("{}{}", mark(known.source), known.name);
        part(name, mib(known.bytes.cast_unsigned()), String::new());
    }
    for model in &is.models {
        let copies = model.copies.to_string();
        let name = |part: &str| format!("{} {part}", model.model);
        let weights = format!("{}{}", mark(model.weights_source), name("weights"));
        part(weights, mib(model.weights_bytes), copies);
        part(format!("~ {}", name("graph")), mib(model.graph_bytes), String::new());
        let arena = model.arena_bytes.map_or_else(|| "?".to_owned(), mib);
        let activations = format!("{}{}", mark(model.arena_source), name("activations"));
        part(activations, arena, String::new());
        let requests = model.requests_bytes + model.prepared_bytes;
        part(name("requests"), mib(requests), String::new());
    }
    part("sum".into(), mib(is.sum_bytes), String::new());
    part("resident set".into(), mib(is.process_bytes), String::new());
    let rest = format!("{:.1} %", case.unattributed * 100.0);
    part("unattributed".into(), rest, String::new());
    part("of it, in the heap".into(), mib(is.stray_bytes), String::new());
}

/// Runs it, or the case that a parent process asks for.
///
/// # Errors
/// [`CommandError::BadInput`] for a model that cannot be loaded, [`CommandError::Failed`] when a
/// case cannot be measured.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let budgets = budgets(args)?;
    if let Some(case) = &args.case {
        let case: Case = serde_json::from_str(case)
            .map_err(|error| CommandError::BadInput(format!("--case: {error}")))?;
        let json = serde_json::to_string(&measure(args, &budgets, &case)?)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        println!("{json}");
        return Ok(());
    }
    let names: Vec<String> = budgets.iter().map(|budget| budget.name.clone()).collect();
    let mut sets: Vec<Vec<String>> = names.iter().map(|name| vec![name.clone()]).collect();
    if names.len() > 1 {
        sets.push(names);
    }
    let count = (sets.len() * 2) as f64;
    let mut cases = Vec::new();
    for models in sets {
        for instances in [1, MANY] {
            cases.push(apart(args, &Case { models: models.clone(), instances }, count)?);
        }
    }
    let sharing = cases
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [one, many] if one.models.len() == 1 => Some(sharing(one, many)),
            _ => None,
        })
        .collect();
    let engine = cases.first().map_or_else(String::new, |case| case.engine.clone());
    let setting = Setting::new("memory", args, &this_machine(None)?.describe(), engine);
    print(args, &MemoryReport { setting, cases, sharing, target: 0.1 })
}

fn sharing(one: &Measured, many: &Measured) -> Sharing {
    let held = |case: &Measured| {
        case.table.models.first().map_or((0, 0), |model| {
            let activations = model.arena_bytes.unwrap_or(0);
            (model.weights_bytes + activations, activations)
        })
    };
    let ((one_bytes, activations), (many_bytes, _)) = (held(one), held(many));
    let activations_bytes = activations * (MANY as u64 - 1);
    Sharing {
        model: one.models.join(""),
        instances: MANY,
        one_bytes,
        many_bytes,
        activations_bytes,
        ratio: ratio(many_bytes as f64, (one_bytes + activations_bytes) as f64),
        plain_ratio: ratio(many_bytes as f64, one_bytes as f64),
        target: 1.2,
    }
}

/// The models of the command line, or those of a layout.
fn budgets(args: &BenchArgs) -> Result<Vec<Budget>, CommandError> {
    let is_layout =
        |path: &Path| path.extension().is_some_and(|it| it.eq_ignore_ascii_case("toml"));
    match args.models.as_slice() {
        [path] if is_layout(path) => {
            let document = Layout::read(path, FileCheck::Required)
                .map_err(|faults| CommandError::BadInput(faults.to_string()))?;
            Ok(document.layout().models.clone())
        }
        _ => models::budgets(args),
    }
}

/// Measures a case in a child process.
fn apart(args: &BenchArgs, case: &Case, cases: f64) -> Result<Measured, CommandError> {
    let failed =
        |words: String| CommandError::Failed(format!("{}: {words}", case.models.join(", ")));
    let json = serde_json::to_string(case).map_err(|error| failed(error.to_string()))?;
    let engine = match args.engine {
        BenchEngine::Auto | BenchEngine::Both => "auto",
        BenchEngine::Onnxruntime => "onnxruntime",
        BenchEngine::Rten => "rten",
        BenchEngine::Synthetic => "synthetic",
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "memory", "--engine", engine, "--case", &json]);
    command.args(["--seconds", &(args.seconds / cases).max(0.5).to_string()]);
    if let Some(library) = &args.ort_dylib {
        command.arg("--ort-dylib").arg(library);
    }
    command.arg("--").args(&args.models);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if output.status.code() == Some(2) {
        return Err(CommandError::BadInput("a model cannot be used; see above".to_owned()));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| failed(format!("its process gave no figures ({error}); see above")))
}

/// The case itself, in this process.
fn measure(args: &BenchArgs, budgets: &[Budget], case: &Case) -> Result<Measured, CommandError> {
    let machine = this_machine(None)?;
    let all = machine.describe().limits.allowed;
    let row = |budget: &Budget| Budget {
        cores: CoreRequest::List(all),
        reserve: false,
        threads: Auto::Exactly(1),
        concurrency: Auto::Exactly(case.instances),
        memory: None,
        queue: QueuePolicy::default(),
        load: Some(LoadSpec::Closed { clients: case.instances * 2, think: Duration::ZERO }),
        paused: false,
        ..budget.clone()
    };
    let wanted = budgets.iter().filter(|budget| case.models.contains(&budget.name));
    let models: Vec<Budget> = wanted.map(row).collect();
    let layout = Layout { description: String::new(), models };
    let mut options = Options::new(machine, models::loader(args));
    options.interval = Duration::from_millis(100);
    let scheduler = Scheduler::start(&layout, options)
        .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
    until(&scheduler, |snapshot| {
        snapshot.models.len() == layout.models.len()
            && snapshot.models.iter().all(|model| model.state == ModelState::Running)
    })?;
    let load = LoadFollower::start(scheduler.loads())?;
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let busy = until(&scheduler, |snapshot| {
        snapshot.models.iter().all(|model| model.counts.completed > 2 * case.instances as u64)
    })?;
    // activations change from one snapshot to the next
    let mut looks = vec![busy];
    while looks.len() < LOOKS {
        looks.push(until(&scheduler, |_| true)?);
    }
    load.stop(TIMEOUT);
    let share = |snapshot: &Snapshot| snapshot.memory_table.unattributed_share();
    looks.sort_by(|a, b| share(a).total_cmp(&share(b)));
    let busy = looks.swap_remove(LOOKS / 2);
    let table = busy.memory_table.clone();
    let engine = busy.models.first().map_or_else(String::new, |model| model.engine_title.clone());
    Ok(Measured {
        models: case.models.clone(),
        instances: case.instances,
        requests: busy.models.iter().map(|model| model.counts.completed).sum(),
        engine,
        unattributed: table.unattributed_share(),
        table,
    })
}

/// Waits for a snapshot, taken from now on, that is as asked.
fn until(
    scheduler: &Scheduler,
    done: impl Fn(&Snapshot) -> bool,
) -> Result<std::sync::Arc<Snapshot>, CommandError> {
    let snapshots = scheduler.snapshots();
    let seen = snapshots.borrow().sequence;
    let until = Instant::now() + TIMEOUT;
    loop {
        let snapshot = snapshots.borrow().clone();
        let failed = snapshot.models.iter().find_map(|model| match &model.state {
            ModelState::Failed { reason } => Some(format!("{}: {reason}", model.row.budget.name)),
            _ => None,
        });
        if let Some(reason) = failed {
            return Err(CommandError::BadInput(reason));
        }
        if snapshot.sequence > seen + 1 && done(&snapshot) {
            return Ok(snapshot);
        }
        if Instant::now() >= until {
            return Err(CommandError::Failed("the models are not ready".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

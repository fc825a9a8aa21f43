//! Time from the start of the program to the demo's first completed request, over several starts of
//! the real executable.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Serialize;

use super::BenchArgs;
use super::report::{Setting, Table, median, print};
use crate::command::CommandError;
use crate::machine::this_machine;
use crate::telemetry::Snapshot;

/// Number of starts, including the first one, for which file caches may be cold.
const STARTS: usize = 7;

/// Time between two snapshots of the started program: the resolution of the measurement.
const INTERVAL: &str = "50ms";

/// Target of the median, in milliseconds.
const TARGET_MS: f64 = 300.0;

/// The report.
#[derive(Debug, Serialize)]
struct StartReport {
    #[serde(flatten)]
    setting: Setting,
    starts: usize,
    /// Milliseconds until any model has completed a request, with a resolution of 50 ms.
    first_ms: Vec<f64>,
    median_ms: f64,
    worst_ms: f64,
    target_ms: f64,
}

impl fmt::Display for StartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} starts, resolution {INTERVAL}", self.setting.title(), self.starts)?;
        let mut table = Table::new(&["", "median ms", "worst ms", "target"]);
        table.row(vec![
            "first completed request".to_owned(),
            format!("{:.0}", self.median_ms),
            format!("{:.0}", self.worst_ms),
            format!("< {TARGET_MS}"),
        ]);
        write!(f, "{table}")
    }
}

/// Measures several starts.
///
/// # Errors
/// [`CommandError::Failed`] when the program cannot be started or completes nothing.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let description = this_machine(None)?.describe();
    let state = tempfile::tempdir()?;
    let mut first_ms = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--headless", "--json", "--for", "20s", "--interval", INTERVAL, "--state-dir"])
            .arg(state.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
        let took = lines.map_while(Result::ok).find_map(|line| {
            let snapshot: Snapshot = serde_json::from_str(&line).ok()?;
            let any = snapshot.models.iter().any(|model| model.counts.completed > 0);
            any.then(|| start.elapsed())
        });
        // it may have ended by itself after a failure
        let _ = child.kill();
        child.wait()?;
        let Some(took) = took else {
            return Err(CommandError::Failed("the demo completed no request in 20 s".to_owned()));
        };
        first_ms.push(took.as_secs_f64() * 1e3);
    }
    let report = StartReport {
        setting: Setting::new("start", args, &description, "auto".to_owned()),
        starts: STARTS,
        median_ms: median(&first_ms),
        worst_ms: first_ms.iter().copied().fold(0.0, f64::max),
        first_ms,
        target_ms: TARGET_MS,
    };
    print(args, &report)
}

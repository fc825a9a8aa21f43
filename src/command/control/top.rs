//! `divvy top`: the models of a running divvy as plain text.

use std::time::Duration;

use super::applied::OutputForm;
use super::select::RunSelection;
use crate::command::CommandError;
use crate::command::report::process_requests::ProcessRequests;
use crate::command::report::table::{line, number, titles, widths, with_name_title, words};
use crate::command::stdout::print_text;
use crate::control::{ClientError, SnapshotParts};
use crate::layout::{Bytes, short_name};
use crate::telemetry::{ModelState, ModelView, Snapshot, text};

/// Time between two tables.
const INTERVAL_US: u64 = 1_000_000;

/// The longest wait for a snapshot at a time.
const PATIENCE: Duration = Duration::from_mins(1);

/// Arguments of `divvy top`.
#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    /// Print one table instead of one per second.
    #[arg(long)]
    pub once: bool,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output: with --json one snapshot per line, without the parts that only the console needs.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Prints the models until the run ends.
///
/// # Errors
/// [`CommandError::Failed`] if the running divvy does not answer.
pub fn top(args: &TopArgs) -> Result<(), CommandError> {
    let client = args.run.client()?;
    if args.once {
        let snapshot = client.snapshot(SnapshotParts::default())?;
        return print(&snapshot, args.form);
    }
    let mut stream = client.snapshots(SnapshotParts::default())?;
    let mut printed = None;
    loop {
        let snapshot: Snapshot = match stream.next(PATIENCE) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => continue,
            // the run has ended
            Err(ClientError::Lost { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let is_due = printed.is_none_or(|last| snapshot.uptime_us >= last + INTERVAL_US);
        if is_due {
            print(&snapshot, args.form)?;
            printed = Some(snapshot.uptime_us);
        }
    }
}

fn print(snapshot: &Snapshot, form: OutputForm) -> Result<(), CommandError> {
    if form.json {
        let json = crate::control::snapshot_json(snapshot, SnapshotParts::default());
        return print_text(json.map_err(|error| CommandError::Failed(error.to_string()))?);
    }
    print_text(table(snapshot))
}

fn table(snapshot: &Snapshot) -> String {
    let columns = with_name_title(
        &[
            words("model", 12),
            words("state", 8),
            number("cores", 5),
            number("act", 3),
            number("done/s", 7),
            number("lost/s", 6),
            number("p50 ms", 7),
            number("p99 ms", 7),
            number("queue", 5),
            number("cpu", 5),
            number("mem", 8),
        ],
        snapshot,
    );
    let rows: Vec<Vec<String>> = snapshot.models.iter().map(row).collect();
    let widths = widths(&columns, &rows);
    let lines = rows.iter().map(|row| line(&columns, &widths, row));
    let alerts = snapshot.alerts.iter().map(|alert| match &alert.model {
        Some(model) if !alert.text.starts_with(model.as_str()) => {
            format!("! {}: {}\n", short_name(model), alert.text)
        }
        _ => format!("! {}\n", alert.text),
    });
    std::iter::once(titles(&columns, &widths)).chain(lines).chain(alerts).collect()
}

fn row(model: &ModelView) -> Vec<String> {
    if let Some(process) = &model.process {
        let (requests, none) = (ProcessRequests::of(process), || "-".to_owned());
        return vec![
            short_name(&model.row.budget.name).into_owned(),
            process.state.name().to_owned(),
            model.actual.cores.len().to_string(),
            none(),
            requests.per_s,
            none(),
            requests.p50,
            requests.p99,
            none(),
            format!("{:.2}", model.cpu),
            Bytes(process.rss_bytes).rounded(),
        ];
    }
    let total = model.minute.total;
    let millis = |us: u64| if total.count == 0 { "-".to_owned() } else { text::millis(us) };
    vec![
        short_name(&model.row.budget.name).into_owned(),
        state(&model.state).to_owned(),
        model.actual.cores.len().to_string(),
        model.actual.active.to_string(),
        text::rate(model.second.completed_per_s),
        text::rate(model.second.lost_per_s),
        millis(total.p50_us),
        millis(total.p99_us),
        (model.counts.queued + model.counts.blocked).to_string(),
        format!("{:.2}", model.cpu),
        Bytes(model.memory.total()).rounded(),
    ]
}

fn state(state: &ModelState) -> &'static str {
    match state {
        ModelState::Loading => "loading",
        ModelState::Running => "running",
        ModelState::Warming { .. } => "building",
        ModelState::Paused => "paused",
        ModelState::Failed { .. } => "failed",
        ModelState::Absent => "absent",
        ModelState::Draining => "draining",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_line_per_model() {
        let text = include_str!("../../../tests/recordings/version-1.ndjson");
        let snapshot: Snapshot = serde_json::from_str(text).unwrap();
        let text = table(&snapshot);
        let lines = 1 + snapshot.models.len() + snapshot.alerts.len();
        assert_eq!(text.lines().count(), lines, "{text}");
        let name = &snapshot.models[0].row.budget.name;
        assert!(text.lines().nth(1).unwrap().starts_with(name.as_str()), "{text}");
    }
}

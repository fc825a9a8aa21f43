//! `divvy wait`: waits for the verdict of a change.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::applied::OutputForm;
use super::select::RunSelection;
use crate::command::CommandError;
use crate::command::stdout::{print_json, print_text};
use crate::layout::{Layout, parse_duration};
use crate::telemetry::{ChangeStatus, JournalEntry, Metric, Verdict, VerdictStatus, text};

/// Time between two looks at the journal.
const POLL: Duration = Duration::from_millis(250);

/// Arguments of `divvy wait`.
#[derive(Clone, Debug, clap::Args)]
pub struct WaitArgs {
    /// The change, as `divvy apply` prints it.
    #[arg(value_name = "ID")]
    pub id: u64,
    /// The longest wait.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub timeout: Duration,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// The effect of a change on the rows that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// No row is clearly worse.
    Fine,
    /// A row is clearly worse.
    Worse,
    /// A row had too few requests for a verdict, and none is clearly worse.
    Unknown,
}

/// Waits until the verdict of a change is in, and prints it.
///
/// # Errors
/// [`CommandError::Worse`] if a row with an SLO is clearly worse (without any SLO: any row),
/// [`CommandError::NotEnough`] if there were too few requests for a verdict, and [`CommandError::Failed`] if the
/// change did not come into force or the time is over.
pub fn wait(args: &WaitArgs) -> Result<(), CommandError> {
    let client = args.run.client()?;
    let end = Instant::now() + args.timeout;
    let entry = loop {
        let entry = client.journal_entry(args.id)?;
        if is_decided(&entry) {
            break entry;
        }
        if Instant::now() > end {
            let status = text::entry_status(&entry);
            return Err(CommandError::Failed(format!(
                "the verdict of #{} is not in yet ({status}); wait longer with --timeout",
                args.id
            )));
        }
        sleep(POLL);
    };
    if args.form.json {
        print_json(&entry)?;
    } else {
        let verdicts: String =
            entry.verdicts.iter().map(|verdict| text::verdict_text(verdict) + "\n").collect();
        print_text(verdicts)?;
    }
    match &entry.status {
        ChangeStatus::InForce => {}
        other => {
            let status = text::status(other, 0);
            return Err(CommandError::Failed(format!("#{} is not in force: {status}", args.id)));
        }
    }
    match effect(&entry, &client.layout()?.layout) {
        Effect::Fine => Ok(()),
        Effect::Worse => {
            Err(CommandError::Worse(format!("#{} made a model clearly worse", args.id)))
        }
        Effect::Unknown => {
            Err(CommandError::NotEnough(format!("#{}: too few requests for a verdict", args.id)))
        }
    }
}

/// Returns true if nothing of a change is still under way.
fn is_decided(entry: &JournalEntry) -> bool {
    let is_building = matches!(entry.status, ChangeStatus::Building { .. });
    let is_open = |verdict: &Verdict| verdict.status == VerdictStatus::Open;
    !is_building && (entry.status != ChangeStatus::InForce || !entry.verdicts.iter().any(is_open))
}

/// Returns the effect on the rows with an SLO; without any, on all rows that the change affected.
fn effect(entry: &JournalEntry, layout: &Layout) -> Effect {
    let has_slo =
        |verdict: &&Verdict| layout.model(&verdict.model).is_some_and(|row| row.slo.is_some());
    let any_slo = entry.verdicts.iter().any(|verdict| has_slo(&verdict));
    let deciding: Vec<&Verdict> =
        entry.verdicts.iter().filter(|verdict| !any_slo || has_slo(verdict)).collect();
    if deciding.iter().any(|verdict| is_worse(verdict)) {
        Effect::Worse
    } else if deciding.iter().all(|verdict| verdict.status == VerdictStatus::Done) {
        Effect::Fine
    } else {
        Effect::Unknown
    }
}

/// Returns true if a row is clearly worse: its goodput, if that clearly differs, and otherwise one metric while no
/// other one is clearly better.
fn is_worse(verdict: &Verdict) -> bool {
    if verdict.status != VerdictStatus::Done {
        return false;
    }
    let clear = || verdict.comparisons.iter().filter(|comparison| comparison.clear);
    if let Some(goodput) = clear().find(|comparison| comparison.metric == Metric::Goodput) {
        return !text::better(goodput);
    }
    clear().next().is_some() && clear().all(|comparison| !text::better(comparison))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::layout::{Budget, ModelSource, Slo};
    use crate::telemetry::Comparison;

    fn verdict(model: &str, status: VerdictStatus, metrics: &[(Metric, f64)]) -> Verdict {
        let comparison = |(metric, change): &(Metric, f64)| Comparison {
            metric: *metric,
            before: 100.0,
            after: 100.0 * (1.0 + change),
            change: *change,
            low: change - 0.01,
            high: change + 0.01,
            clear: true,
        };
        Verdict {
            model: model.to_owned(),
            status,
            samples_before: 100,
            samples_after: 100,
            counted: crate::telemetry::SampleKind::default(),
            comparisons: metrics.iter().map(comparison).collect(),
        }
    }

    fn effect_of(verdicts: Vec<Verdict>, slos: &[&str]) -> Effect {
        let row = |name: &str| {
            let slo = Slo { percentile: 99.0, bound: Duration::from_millis(20) };
            Budget {
                slo: slos.contains(&name).then_some(slo),
                ..Budget::new(name, ModelSource::Embedded("ranker.onnx".into()))
            }
        };
        let layout = Layout { models: ["a", "b"].map(row).into(), ..Layout::default() };
        effect(&JournalEntry { verdicts, ..JournalEntry::default() }, &layout)
    }

    #[test]
    fn rows_with_an_slo_decide() {
        let done = VerdictStatus::Done;
        let slower = || verdict("a", done, &[(Metric::P99, 0.5)]);
        let same = || verdict("b", done, &[]);
        assert_eq!(effect_of(vec![slower(), same()], &[]), Effect::Worse);
        assert_eq!(effect_of(vec![slower(), same()], &["a"]), Effect::Worse);
        assert_eq!(effect_of(vec![slower(), same()], &["b"]), Effect::Fine);
    }

    #[test]
    fn too_few_requests_are_unknown() {
        let few = || verdict("a", VerdictStatus::NotEnough, &[]);
        let slower = verdict("b", VerdictStatus::Done, &[(Metric::Throughput, -0.5)]);
        assert_eq!(effect_of(vec![few()], &[]), Effect::Unknown);
        assert_eq!(effect_of(vec![few(), slower], &[]), Effect::Worse);
        assert_eq!(effect_of(Vec::new(), &[]), Effect::Fine);
    }

    #[test]
    fn goodput_decides_mixed_verdicts() {
        let done = VerdictStatus::Done;
        let mixed = [(Metric::P50, 0.5), (Metric::P99, -0.5)];
        assert!(!is_worse(&verdict("a", done, &mixed)));
        let worse = [(Metric::P99, -0.5), (Metric::Goodput, -0.5)];
        assert!(is_worse(&verdict("a", done, &worse)));
    }

    #[test]
    fn open_verdict_is_undecided() {
        let open = verdict("a", VerdictStatus::Open, &[]);
        let mut entry = JournalEntry { verdicts: vec![open], ..JournalEntry::default() };
        assert!(!is_decided(&entry));
        entry.status = ChangeStatus::RolledBack { reason: "no memory".to_owned() };
        assert!(is_decided(&entry));
    }
}

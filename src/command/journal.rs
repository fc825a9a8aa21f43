//! `divvy journal`: lists past changes with time, author and verdict.

use std::sync::Arc;

use std::io::{self, Write};

use jiff::tz::TimeZone;

use super::CommandError;
use super::clock::clock;
use super::state_folder::StateDir;
use super::stdout::print_text;
use crate::telemetry::journal_file::{Journal, Record, Run, RunJournal, read};
use crate::telemetry::{JournalEntry, text};

/// Arguments of `divvy journal`.
#[derive(Debug, Default, clap::Args)]
pub struct JournalArgs {
    /// Print the records as they are on disk, one JSON object per line.
    #[arg(long)]
    pub json: bool,
    /// Print only the newest N changes.
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub last: Option<usize>,
    /// Print only changes that affected this model.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Print only one run: its id, the beginning of its id, or `last` for the newest.
    #[arg(long, value_name = "ID", conflicts_with = "runs")]
    pub run: Option<String>,
    /// List the runs instead of their changes.
    #[arg(long)]
    pub runs: bool,
    /// Print the changes of a running divvy as they are made, and again when their verdict is in, until it ends.
    /// --run is its name, its process or its socket then.
    #[cfg(unix)]
    #[arg(long, conflicts_with = "runs")]
    pub follow: bool,
    /// The folder of the journal.
    #[command(flatten)]
    pub state: StateDir,
    /// The folders of running divvys, with --follow.
    #[cfg(unix)]
    #[command(flatten)]
    pub folders: super::control::FolderArgs,
}

/// Parses a number of changes.
fn whole_number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "must be a whole number, 0 or more".to_owned())
}

/// Prints the journal.
///
/// # Errors
/// [`CommandError::BadInput`] for an unknown run; [`CommandError::Failed`] when the journal cannot be
/// read.
pub fn run(args: &JournalArgs) -> Result<(), CommandError> {
    #[cfg(unix)]
    if args.follow {
        return follow(args);
    }
    let folder = args.state.folder()?;
    let journal = read(&folder)?;
    let mut stderr = io::stderr();
    for warning in &journal.warnings {
        writeln!(stderr, "divvy: {warning}")?;
    }
    if journal.runs.is_empty() {
        writeln!(stderr, "divvy: there is no journal in {} yet", folder.display())?;
    }
    print_text(format(&journal, args, &TimeZone::system())?)
}

/// Prints the changes of a running divvy until it ends.
#[cfg(unix)]
fn follow(args: &JournalArgs) -> Result<(), CommandError> {
    let run = super::control::RunSelection {
        run: args.run.clone(),
        control_token_file: None,
        folders: args.folders.clone(),
    };
    let zone = TimeZone::system();
    super::control::follow(&run, args.last, |entry| {
        if !affects(&entry, args.model.as_deref()) {
            return Ok(None);
        }
        if args.json {
            let line = serde_json::to_string(&entry);
            let line = line.map_err(|error| CommandError::Failed(error.to_string()))?;
            return Ok(Some(line + "\n"));
        }
        Ok(Some(change_text(&entry, &zone)))
    })
}

/// Returns true if a change affected the model, or any if none is named.
fn affects(entry: &JournalEntry, model: Option<&str>) -> bool {
    model.is_none_or(|model| entry.models.iter().any(|name| name == model))
}

/// Returns the selected runs and changes as text.
///
/// # Errors
/// [`CommandError::BadInput`] for an unknown run.
fn format(journal: &Journal, args: &JournalArgs, zone: &TimeZone) -> Result<String, CommandError> {
    let mut runs = select(journal, args)?;
    if let Some(last) = args.last {
        keep_newest(&mut runs, last);
    }
    let mut text = String::new();
    for (run, entries) in &runs {
        if args.runs {
            text += &if args.json { json(&Record::Run((*run).clone()))? } else { title(run, zone) };
            if !args.json {
                line(&mut text, "    ", &count(entries.len()));
            }
            continue;
        }
        if entries.is_empty() {
            continue;
        }
        if !args.json {
            text += &title(run, zone);
        }
        for entry in entries {
            text += &if args.json {
                let entry = Arc::new((*entry).clone());
                json(&Record::Entry { run: run.id.clone(), entry })?
            } else {
                change_text(entry, zone)
            };
        }
    }
    Ok(text)
}

type Selected<'a> = Vec<(&'a Run, Vec<&'a JournalEntry>)>;

fn select<'a>(journal: &'a Journal, args: &JournalArgs) -> Result<Selected<'a>, CommandError> {
    let newest = journal.runs.last().map(|run| run.run.id.as_str());
    let is_selected = |run: &&RunJournal| match args.run.as_deref() {
        None => true,
        Some("last") => Some(run.run.id.as_str()) == newest,
        Some(id) => run.run.id.starts_with(id),
    };
    let runs: Vec<&RunJournal> = journal.runs.iter().filter(is_selected).collect();
    if let Some(id) = args.run.as_deref().filter(|_| runs.is_empty()) {
        return Err(CommandError::BadInput(format!(
            "--run {id}: no run has an id that begins so; `divvy journal --runs` lists all runs"
        )));
    }
    let affects_model = |entry: &&JournalEntry| affects(entry, args.model.as_deref());
    Ok(runs
        .iter()
        .map(|run| (&run.run, run.entries.iter().filter(affects_model).collect()))
        .collect())
}

/// Keeps the newest `last` entries of all runs together.
fn keep_newest(runs: &mut Selected<'_>, last: usize) {
    let mut remaining = last;
    for (_, entries) in runs.iter_mut().rev() {
        let from = entries.len().saturating_sub(remaining);
        entries.drain(..from);
        remaining -= entries.len();
    }
}

fn json(record: &Record) -> Result<String, CommandError> {
    record.line().map_err(|error| CommandError::Failed(error.to_string()))
}

fn title(run: &Run, zone: &TimeZone) -> String {
    let mut parts = vec![clock(run.started_unix_ms, zone, "%Y-%m-%d %H:%M:%S")];
    if run.version.is_empty() {
        parts.push("its first lines were deleted with an older journal file".to_owned());
    } else {
        parts.push(format!("layout {}", run.layout));
        parts.push(run.machine.clone());
        parts.push(format!("divvy {}", run.version));
    }
    format!("run {}: {}\n", run.id, parts.join(", "))
}

fn count(entries: usize) -> String {
    match entries {
        1 => "1 change".to_owned(),
        _ => format!("{entries} changes"),
    }
}

fn line(text: &mut String, indent: &str, sentence: &str) {
    text.extend([indent, sentence, "\n"]);
}

/// Returns a change with its warnings and verdicts.
fn change_text(entry: &JournalEntry, zone: &TimeZone) -> String {
    let time = clock(entry.at_unix_ms, zone, "%H:%M:%S");
    let mut text = format!("  {time} {}\n", text::headline(entry));
    for warning in &entry.warnings {
        line(&mut text, "      ", warning);
    }
    for verdict in &entry.verdicts {
        line(&mut text, "      ", &text::verdict_text(verdict));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Auto, Edit};
    use crate::telemetry::{Author, ChangeStatus, Comparison, Metric, Verdict, VerdictStatus};

    fn entry(id: u64, model: &str) -> JournalEntry {
        let concurrency = Auto::Exactly(2);
        let clear = Comparison {
            metric: Metric::P99,
            before: 21_000.0,
            after: 14_200.0,
            change: -0.32,
            low: -0.4,
            high: -0.22,
            clear: true,
        };
        JournalEntry {
            id,
            at_unix_ms: 1_700_000_000_000 + id * 1000,
            uptime_us: 0,
            author: Author::Console,
            change: Edit::SetConcurrency { model: model.to_owned(), concurrency }.into(),
            summary: format!("{model} 1 -> 2 instances"),
            warnings: Vec::new(),
            models: vec![model.to_owned()],
            force_us: 41,
            status: ChangeStatus::InForce,
            built_us: None,
            undone: false,
            undoes: None,
            redoes: None,
            verdicts: vec![Verdict {
                model: model.to_owned(),
                status: VerdictStatus::Done,
                samples_before: 812,
                samples_after: 790,
                counted: crate::telemetry::SampleKind::default(),
                comparisons: vec![clear],
            }],
        }
    }

    fn journal() -> Journal {
        let run = |id: &str, entries| RunJournal {
            run: Run {
                format: 0,
                id: id.to_owned(),
                started_unix_ms: 1_700_000_000_000,
                version: "0.1.0".to_owned(),
                machine: "4 cores".to_owned(),
                layout: "demo".to_owned(),
            },
            entries,
        };
        let runs = vec![
            run("one", vec![entry(1, "ocr"), entry(2, "detector")]),
            run("two", vec![entry(1, "detector")]),
            run("three", Vec::new()),
        ];
        Journal { runs, warnings: Vec::new() }
    }

    fn formatted(args: &JournalArgs) -> String {
        format(&journal(), args, &TimeZone::UTC).unwrap()
    }

    #[test]
    fn change_shows_author_time_verdict() {
        let text = formatted(&JournalArgs { last: Some(1), ..JournalArgs::default() });
        assert_eq!(
            text,
            "run two: 2023-11-14 22:13:20, layout demo, 4 cores, divvy 0.1.0\n  \
             22:13:21 #1 console: detector 1 -> 2 instances, in force in 41 us\n      \
             detector: p99 21.0 -> 14.2 ms (-32 %, between -40 % and -22 %); 812 and 790 requests\n"
        );
    }

    #[test]
    fn selects_by_count_model_run() {
        let count = |args: JournalArgs| formatted(&args).matches("in force").count();
        assert_eq!(count(JournalArgs::default()), 3);
        assert_eq!(count(JournalArgs { last: Some(2), ..JournalArgs::default() }), 2);
        let model = Some("detector".to_owned());
        assert_eq!(count(JournalArgs { model: model.clone(), ..JournalArgs::default() }), 2);
        let run = Some("on".to_owned());
        assert_eq!(count(JournalArgs { model, run, ..JournalArgs::default() }), 1);
        let last = Some("last".to_owned());
        assert_eq!(count(JournalArgs { run: last, ..JournalArgs::default() }), 0);
        let unknown = JournalArgs { run: Some("gone".to_owned()), ..JournalArgs::default() };
        let error = format(&journal(), &unknown, &TimeZone::UTC).unwrap_err();
        assert!(error.to_string().contains("--runs"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn json_prints_records_as_on_disk() {
        let runs = formatted(&JournalArgs { runs: true, ..JournalArgs::default() });
        assert_eq!(runs.lines().count(), 6);
        assert!(runs.contains("1 change\n") && runs.contains("0 changes\n"), "{runs}");
        let text = formatted(&JournalArgs { json: true, ..JournalArgs::default() });
        let records: Vec<Record> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let first = Record::Entry { run: "one".to_owned(), entry: Arc::new(entry(1, "ocr")) };
        assert_eq!(records.len(), 3);
        assert_eq!(records[0], first);
    }
}

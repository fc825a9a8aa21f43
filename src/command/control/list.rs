//! `divvy ls` and `divvy layout`: what runs.

use serde::Serialize;

use super::applied::OutputForm;
use super::select::{CLIENT, FolderArgs, RunSelection};
use crate::command::CommandError;
use crate::command::clock::clock;
use crate::command::report::table::{line, number, titles, widths, words};
use crate::command::run::lasting;
use crate::command::stdout::{print_json, print_text};
use crate::control::api::RunInfo;
use crate::control::{Address, ControlClient, FoundRun, RunState, find_runs};
use crate::layout::Document;
use crate::telemetry::text;

/// Arguments of `divvy ls`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ListArgs {
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
    /// The folders to search.
    #[command(flatten)]
    pub folders: FolderArgs,
}

/// Arguments of `divvy layout`.
#[derive(Clone, Debug, clap::Args)]
pub struct LiveLayoutArgs {
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// One running divvy in JSON.
#[derive(Serialize)]
struct ListedRun<'r> {
    name: &'r str,
    socket: String,
    /// Its description; `None` if it does not answer.
    info: Option<&'r RunInfo>,
}

/// Lists the running divvys.
///
/// # Errors
/// [`CommandError::Failed`] when the output cannot be written.
pub fn list(args: &ListArgs) -> Result<(), CommandError> {
    let runs = find_runs(&args.folders.search());
    if args.form.json {
        let listed: Vec<ListedRun<'_>> = runs
            .iter()
            .map(|run| ListedRun {
                name: &run.name,
                socket: run.socket.display().to_string(),
                info: run.info(),
            })
            .collect();
        return print_json(&listed);
    }
    print_text(table(&runs))
}

/// Prints the live layout as a layout file.
///
/// # Errors
/// [`CommandError::Failed`] if the running divvy does not answer.
pub fn layout(args: &LiveLayoutArgs) -> Result<(), CommandError> {
    let address = args.run.address("--run")?;
    let is_local = matches!(address, Address::Socket(_));
    let live = ControlClient::new(address, CLIENT)?.layout()?;
    if args.form.json {
        return print_json(&live);
    }
    // only this machine's process numbers say something here
    let layout = if is_local { lasting(&live.layout) } else { live.layout };
    let document =
        Document::from_layout(layout).map_err(|error| CommandError::Failed(error.to_string()))?;
    print_text(document.text())
}

fn table(runs: &[FoundRun]) -> String {
    if runs.is_empty() {
        return "no divvy of this user is running\n".to_owned();
    }
    let columns = [
        words("name", 4),
        number("pid", 3),
        words("layout", 6),
        number("models", 6),
        number("done/s", 6),
        words("since", 5),
    ];
    let row = |run: &FoundRun| match &run.state {
        RunState::Answers(info) => vec![
            run.name.clone(),
            info.pid.to_string(),
            info.layout.clone(),
            info.models.to_string(),
            text::rate(info.completed_per_s),
            clock(info.started_unix_ms, &jiff::tz::TimeZone::system(), "%Y-%m-%d %H:%M:%S"),
        ],
        RunState::Silent(reason) => vec![run.name.clone(), String::new(), reason.clone()],
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    let widths = widths(&columns, &rows);
    let lines = rows.iter().map(|row| line(&columns, &widths, row));
    std::iter::once(titles(&columns, &widths)).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_line_per_run() {
        let info = RunInfo { pid: 7, layout: "night".to_owned(), models: 3, ..RunInfo::default() };
        let run =
            |name: &str, state| FoundRun { name: name.to_owned(), socket: "/x".into(), state };
        let text = table(&[
            run("demo", RunState::Answers(Box::new(info))),
            run("late", RunState::Silent("no answer".to_owned())),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with("demo") && lines[1].contains("night"), "{text}");
        assert!(lines[2].contains("no answer"), "{text}");
        assert!(table(&[]).contains("no divvy"));
    }
}

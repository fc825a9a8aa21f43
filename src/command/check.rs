//! `divvy check`: validates layout files against their format, their models and this machine.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CommandError;
use super::model_names::{NameScope, read_model_names};
use super::stdout::{print_json, print_text};
use crate::layout::{Document, Fault, Faults, FileCheck, Layout, ReportStyle, Warning, schema};
use crate::machine::{CpuSet, Description, this_machine};
use crate::telemetry::gpu;

/// The argument that stands for standard input.
const STDIN: &str = "-";

/// Arguments of `divvy check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Layout files to check, or - for standard input.
    #[arg(value_name = "LAYOUT", required_unless_present = "schema")]
    pub layouts: Vec<PathBuf>,
    /// Print one JSON object per file, with the place of every fault.
    #[arg(long)]
    pub json: bool,
    /// Print the JSON Schema of layout files instead.
    #[arg(long, exclusive = true)]
    pub schema: bool,
    /// Scale down core lists and counts that exceed this machine, and report the changes.
    #[arg(long)]
    pub fit: bool,
    /// Check as if the process could use only these CPUs, for example 0-7.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CpuSet>,
}

/// The JSON of one checked file.
#[derive(Debug, Default, Serialize)]
struct CheckReport {
    file: String,
    ok: bool,
    /// Number of models in the layout; 0 if it cannot be read.
    models: usize,
    /// Number of process rows in the layout; 0 if it cannot be read.
    processes: usize,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
    /// Changes by `--fit`.
    fitted: Vec<String>,
}

/// Checks all files and prints the results.
///
/// # Errors
/// [`CommandError::BadInput`] when a file has a fault.
pub fn run(args: &CheckArgs) -> Result<(), CommandError> {
    if args.schema {
        return print_json(&schema());
    }
    let mut machine = this_machine(args.cores)?.describe();
    let layouts: Vec<(String, Result<Document, Faults>)> =
        args.layouts.iter().map(|path| (title(path), read(path))).collect();
    // the driver is asked only if a layout names a GPU
    let names_gpu =
        |document: &Document| document.layout().models.iter().any(|row| row.gpu.is_some());
    if layouts.iter().any(|(_, read)| read.as_ref().is_ok_and(names_gpu)) {
        machine.gpus = gpu::list().known();
    }
    let all = layouts.len();
    let mut invalid = 0;
    for (file, read) in layouts {
        let checked = read.and_then(|document| check(document, &machine, args.fit));
        invalid += usize::from(checked.is_err());
        if args.json {
            print_report(&file, checked)?;
        } else {
            print_result(&file, checked, &machine)?;
        }
    }
    match (invalid, all) {
        (0, _) => Ok(()),
        (_, 1) => Err(CommandError::BadInput("this layout is invalid".to_owned())),
        _ => Err(CommandError::BadInput(format!("{invalid} of {all} layouts are invalid"))),
    }
}

fn title(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".to_owned() } else { path.display().to_string() }
}

fn read(path: &Path) -> Result<Document, Faults> {
    if path == Path::new(STDIN) {
        return Layout::read_stdin(FileCheck::Skipped);
    }
    // a layout with other faults is read again, to report missing files together with them
    Layout::read(path, FileCheck::Skipped).or_else(|_| Layout::read(path, FileCheck::Required))
}

/// A valid layout.
struct ValidLayout {
    document: Document,
    warnings: Vec<Warning>,
    /// Changes by `--fit`.
    fitted: Vec<String>,
}

fn check(mut document: Document, machine: &Description, fit: bool) -> Result<ValidLayout, Faults> {
    let mut changes = Vec::new();
    if fit {
        let fitted = document.fit(machine);
        if let Ok(scaled) = document.with_layout(&fitted.layout) {
            document = scaled;
            changes = fitted.changes;
        }
    }
    let warnings = document.check(machine)?;
    let names = read_model_names(document.layout(), NameScope::AllRows);
    document.check_files_and_models(&names)?;
    Ok(ValidLayout { document, warnings, fitted: changes })
}

/// Prints one line of JSON.
fn print_report(file: &str, checked: Result<ValidLayout, Faults>) -> Result<(), CommandError> {
    let file = file.to_owned();
    let report = match checked {
        Ok(valid) => CheckReport {
            file,
            ok: true,
            models: valid.count(RowKind::Model),
            processes: valid.count(RowKind::Process),
            warnings: valid.warnings,
            fitted: valid.fitted,
            ..CheckReport::default()
        },
        Err(faults) => {
            CheckReport { file, faults: faults.faults().to_vec(), ..CheckReport::default() }
        }
    };
    let line = serde_json::to_string(&report).map_err(io::Error::other)?;
    print_text(format!("{line}\n"))
}

/// Prints faults and warnings to standard error, and a summary of a valid layout to standard output.
fn print_result(
    file: &str,
    checked: Result<ValidLayout, Faults>,
    machine: &Description,
) -> Result<(), CommandError> {
    let mut stderr = io::stderr().lock();
    let style =
        ReportStyle::for_terminal(stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match checked {
        Ok(valid) => {
            if !valid.warnings.is_empty() {
                let text = valid.document.render_warnings(&valid.warnings, style);
                writeln!(stderr, "{text}\n")?;
            }
            print_text(valid.summary(file, machine))
        }
        Err(faults) => Ok(writeln!(stderr, "{}\n", faults.render(style))?),
    }
}

/// The kind of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowKind {
    Model,
    Process,
}

impl ValidLayout {
    /// Returns the number of rows of a kind.
    fn count(&self, kind: RowKind) -> usize {
        let rows = self.document.layout().models.iter();
        rows.filter(|row| row.is_process() == (kind == RowKind::Process)).count()
    }

    /// Returns a line such as "x.toml: OK, 3 models on 8 cores, 1 warning", and the changes by
    /// `--fit`.
    fn summary(&self, file: &str, machine: &Description) -> String {
        let plural = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let rows = match (self.count(RowKind::Model), self.count(RowKind::Process)) {
            (models, 0) => plural(models, "model"),
            (0, processes) => plural(processes, "process row"),
            (models, processes) => {
                format!("{} and {}", plural(models, "model"), plural(processes, "process row"))
            }
        };
        let mut text =
            format!("{file}: OK, {rows} on {}", plural(machine.limits.allowed.len(), "core"));
        if !self.warnings.is_empty() {
            let _ = write!(text, ", {}", plural(self.warnings.len(), "warning"));
        }
        text.push('\n');
        for change in &self.fitted {
            let _ = writeln!(text, "  fitted {change}");
        }
        text
    }
}

//! `divvy check`: validates layout files against their format and against this machine.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CommandError;
use crate::layout::{Document, Fault, Faults, Layout, Warning, schema};
use crate::machine::{CpuSet, Description, this_machine};
use crate::telemetry::gpu;

/// Arguments of `divvy check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Layout files; all of them are checked.
    #[arg(value_name = "LAYOUT", required_unless_present = "schema")]
    pub layouts: Vec<PathBuf>,
    /// One JSON object a file, with every fault's place.
    #[arg(long)]
    pub json: bool,
    /// Prints the JSON Schema of layout files instead.
    #[arg(long, exclusive = true)]
    pub schema: bool,
    /// Scales lists and counts that this machine lacks, and says what it changed.
    #[arg(long)]
    pub fit: bool,
    /// Checks as if the process were allowed on these CPUs alone.
    #[arg(long, value_name = "LIST")]
    pub cores: Option<CpuSet>,
}

/// What was found out about one file.
#[derive(Debug, Default, Serialize)]
struct Report {
    file: String,
    ok: bool,
    /// Models of the layout; 0 where it could not be read.
    models: usize,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
    /// What `--fit` changed.
    fitted: Vec<String>,
}

/// Checks all files and prints what it found.
///
/// # Errors
/// [`CommandError::BadInput`] when any file has a fault.
pub fn run(args: &CheckArgs) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    if args.schema {
        let text = serde_json::to_string_pretty(&schema()).map_err(io::Error::other)?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    let mut machine = description(args.cores)?;
    // the driver is asked only where a layout names a GPU
    let names_gpu = |path: &PathBuf| {
        Layout::read(path)
            .is_ok_and(|document| document.layout().models.iter().any(|row| row.gpu.is_some()))
    };
    if args.layouts.iter().any(names_gpu) {
        machine.gpus = gpu::list().known();
    }
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut errors = io::stderr().lock();
    let mut faulty = 0;
    for file in &args.layouts {
        let checked = check(file, &machine, args.fit);
        faulty += usize::from(checked.is_err());
        if args.json {
            let report = match checked {
                Ok(sound) => sound.report(file),
                Err(faults) => Report {
                    file: file.display().to_string(),
                    faults: faults.faults().to_vec(),
                    ..Report::default()
                },
            };
            let line = serde_json::to_string(&report).map_err(io::Error::other)?;
            writeln!(out, "{line}")?;
            continue;
        }
        match checked {
            Ok(sound) => {
                if !sound.warnings.is_empty() {
                    let text = sound.document.render_warnings(&sound.warnings, color);
                    writeln!(errors, "{text}\n")?;
                }
                write!(out, "{}", sound.summary(file, &machine))?;
            }
            Err(faults) => writeln!(errors, "{}\n", faults.render(color))?,
        }
    }
    match (faulty, args.layouts.len()) {
        (0, _) => Ok(()),
        (_, 1) => Err(CommandError::BadInput("this layout has faults".to_owned())),
        (_, all) => Err(CommandError::BadInput(format!("{faulty} of {all} layouts have faults"))),
    }
}

/// A layout without a fault.
struct Sound {
    document: Document,
    warnings: Vec<Warning>,
    fitted: Vec<String>,
}

fn check(file: &Path, machine: &Description, fit: bool) -> Result<Sound, Faults> {
    let mut document = Layout::read(file)?;
    let mut changes = Vec::new();
    if fit {
        let fitted = document.fit(machine);
        if let Ok(scaled) = document.with_layout(&fitted.layout) {
            document = scaled;
            changes = fitted.changes;
        }
    }
    let warnings = document.check(machine)?;
    Ok(Sound { document, warnings, fitted: changes })
}

impl Sound {
    fn report(self, file: &Path) -> Report {
        Report {
            file: file.display().to_string(),
            ok: true,
            models: self.document.layout().models.len(),
            faults: Vec::new(),
            warnings: self.warnings,
            fitted: self.fitted,
        }
    }

    /// "x.toml: OK, 3 models on 8 cores, 1 warning", and what was fitted.
    fn summary(&self, file: &Path, machine: &Description) -> String {
        let models = self.document.layout().models.len();
        let plural = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let mut text = format!(
            "{}: OK, {} on {}",
            file.display(),
            plural(models, "model"),
            plural(machine.limits.allowed.len(), "core")
        );
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

/// The machine to check against.
fn description(cores: Option<CpuSet>) -> Result<Description, CommandError> {
    Ok(this_machine(cores)?.describe())
}

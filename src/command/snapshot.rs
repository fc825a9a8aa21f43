//! `divvy snapshot`: the console's frame as a picture, from a recorded run.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CommandError;
use crate::console::{ConsoleOptions, ThemeName, picture};
use crate::telemetry::Snapshot;

/// Arguments of `divvy snapshot`.
#[derive(Debug, clap::Args)]
pub struct SnapshotArgs {
    /// A run recorded by `divvy --headless --json`; `-` reads standard input.
    #[arg(value_name = "RUN.ndjson")]
    pub run: PathBuf,
    /// Where the picture goes.
    #[arg(long, value_name = "FILE")]
    pub svg: PathBuf,
    /// The frame's size in cells.
    #[arg(long, value_name = "COLUMNSxROWS", default_value = "120x36", value_parser = size)]
    pub size: (u16, u16),
    /// The name that the header shows.
    #[arg(long, default_value = "demo")]
    pub title: String,
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let parsed = text.split_once('x').and_then(|(columns, rows)| {
        Some((columns.parse::<u16>().ok()?, rows.parse::<u16>().ok()?))
    });
    parsed
        .filter(|(columns, rows)| (1..=1000).contains(columns) && (1..=1000).contains(rows))
        .ok_or_else(|| "not a size like 120x36, each side 1 to 1000".to_owned())
}

/// Draws the last frame of a recorded run.
///
/// # Errors
/// [`CommandError::BadInput`] when the recording cannot be read or a line of it is no snapshot.
pub fn run(args: &SnapshotArgs) -> Result<(), CommandError> {
    let snapshots = if args.run == Path::new("-") {
        read(io::stdin().lock(), "standard input")?
    } else {
        let name = args.run.display().to_string();
        let file = File::open(&args.run)
            .map_err(|error| CommandError::BadInput(format!("{name}: {error}")))?;
        read(BufReader::new(file), &name)?
    };
    let options = ConsoleOptions {
        profile: Some(args.title.clone()),
        theme: ThemeName::Truecolor,
        zone: jiff::tz::TimeZone::UTC,
        ..ConsoleOptions::default()
    };
    let (columns, rows) = args.size;
    let text = picture(snapshots, &options, columns, rows);
    std::fs::write(&args.svg, text)
        .map_err(|error| CommandError::Failed(format!("{}: {error}", args.svg.display())))
}

fn read(lines: impl BufRead, name: &str) -> Result<Vec<Arc<Snapshot>>, CommandError> {
    let mut snapshots = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let bad = |reason: String| {
            CommandError::BadInput(format!(
                "{name}, line {}: {reason}; record a run with divvy --headless --for 30s --json",
                number + 1
            ))
        };
        let line = line.map_err(|error| bad(error.to_string()))?;
        if !line.trim().is_empty() {
            let snapshot: Snapshot =
                serde_json::from_str(&line).map_err(|error| bad(error.to_string()))?;
            snapshots.push(Arc::new(snapshot));
        }
    }
    if snapshots.is_empty() {
        return Err(CommandError::BadInput(format!("{name} holds no snapshot")));
    }
    Ok(snapshots)
}

//! `divvy snapshot`: the console's frame as a picture, from a recorded run.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CommandError;
use crate::console::state::Screen;
use crate::console::{ConsoleOptions, GlyphSet, ThemeName, picture};
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
    /// The screen: board, detail (of the first model), machine, memory or journal.
    #[arg(long, value_name = "NAME", default_value = "board", value_parser = screen)]
    pub screen: Screen,
    /// The colours: ansi, truecolor, colour-blind or mono.
    #[arg(long, value_name = "NAME", default_value_t = ThemeName::Truecolor)]
    pub theme: ThemeName,
    /// The characters: block, braille or ascii.
    #[arg(long, value_name = "NAME", default_value_t = GlyphSet::default())]
    pub glyphs: GlyphSet,
    /// The name that the header shows.
    #[arg(long, default_value = "demo")]
    pub title: String,
}

/// The screens that a recording has figures for.
const SCREENS: [(&str, Screen); 5] = [
    ("board", Screen::Board),
    ("detail", Screen::Detail),
    ("machine", Screen::Machine),
    ("memory", Screen::Memory),
    ("journal", Screen::Journal),
];

fn screen(text: &str) -> Result<Screen, String> {
    let found = SCREENS.iter().find(|(name, _)| *name == text).map(|(_, screen)| *screen);
    found.ok_or_else(|| {
        let names = SCREENS.map(|(name, _)| name).join(", ");
        format!("not one of the screens that a recording fills: {names}")
    })
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
        theme: args.theme,
        glyphs: args.glyphs,
        screen: args.screen,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_screen_theme_and_glyph_set_gives_its_own_picture_and_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run.ndjson");
        let snapshot = Snapshot { uptime_us: 5_000_000, ..Snapshot::default() };
        std::fs::write(&run, serde_json::to_string(&snapshot).unwrap()).unwrap();
        let pictured = |screen: Screen, theme: ThemeName, glyphs: GlyphSet| {
            let svg = folder.path().join("frame.svg");
            let title = "demo".to_owned();
            let args = SnapshotArgs {
                run: run.clone(),
                svg: svg.clone(),
                size: (80, 24),
                screen,
                theme,
                glyphs,
                title,
            };
            super::run(&args).map_err(|error| error.to_string()).unwrap();
            std::fs::read_to_string(&svg).unwrap()
        };
        let (theme, glyphs) = (ThemeName::Truecolor, GlyphSet::default());
        let mut seen: Vec<String> =
            SCREENS.iter().map(|(_, screen)| pictured(*screen, theme, glyphs)).collect();
        seen.push(pictured(Screen::Board, ThemeName::Mono, glyphs));
        seen.push(pictured(Screen::Board, theme, GlyphSet::Ascii));
        assert_eq!(seen[0], pictured(Screen::Board, theme, glyphs));
        for (at, one) in seen.iter().enumerate() {
            assert!(!seen[..at].contains(one), "picture {at} is another's");
        }
        assert!(screen("attic").unwrap_err().contains("board, detail, machine"));
    }
}

//! `divvy snapshot`: the console's frame as a picture, from a recorded run.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CommandError;
use super::run::LayoutFolders;
use crate::console::state::Screen;
use crate::console::{ConsoleOptions, GlyphSet, ThemeName, picture};
use crate::machine::{replace_file, special_file_kind};
use crate::scheduler::LayoutStore;
use crate::telemetry::{LogLevel, LogLines, Snapshot};

/// Arguments of `divvy snapshot`.
#[derive(Debug, clap::Args)]
pub struct SnapshotArgs {
    /// A run recorded by `divvy --headless --json`; `-` reads standard input.
    #[arg(value_name = "RUN.ndjson")]
    pub run: PathBuf,
    /// The SVG file to write.
    #[arg(long, value_name = "FILE")]
    pub svg: PathBuf,
    /// The frame's size in cells.
    #[arg(long, value_name = "COLUMNSxROWS", default_value = "120x36", value_parser = size)]
    pub size: (u16, u16),
    /// The screen: board, detail (of the first model), machine, memory, connections,
    /// journal, layouts, log or alerts.
    #[arg(long, value_name = "NAME", default_value = "board", value_parser = screen)]
    pub screen: Screen,
    /// The colours: ansi, truecolor, colour-blind or mono.
    #[arg(long, value_name = "NAME", default_value_t = ThemeName::Truecolor)]
    pub theme: ThemeName,
    /// The characters: block, braille or ascii.
    #[arg(long, value_name = "NAME", default_value_t = GlyphSet::default())]
    pub glyphs: GlyphSet,
    /// The layout's name in the header.
    #[arg(long, default_value = "demo")]
    pub title: String,
    /// The folder of saved layouts for the layouts screen.
    #[arg(long, value_name = "DIR")]
    pub layouts: Option<PathBuf>,
    /// The log file for the log screen, such as divvy.log in the state folder.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// The screens that can be drawn.
const SCREENS: [(&str, Screen); 9] = [
    ("board", Screen::Board),
    ("detail", Screen::Detail),
    ("machine", Screen::Machine),
    ("memory", Screen::Memory),
    ("connections", Screen::Connections),
    ("journal", Screen::Journal),
    ("layouts", Screen::Layouts),
    ("log", Screen::Log),
    ("alerts", Screen::Alerts),
];

fn screen(text: &str) -> Result<Screen, String> {
    let found = SCREENS.iter().find(|(name, _)| *name == text).map(|(_, screen)| *screen);
    found.ok_or_else(|| {
        let names = SCREENS.map(|(name, _)| name).join(", ");
        format!("unknown screen; use one of {names}")
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
/// [`CommandError::BadInput`] if the recording, the layouts or the log cannot be read, or if the
/// screen needs an option that is missing.
pub fn run(args: &SnapshotArgs) -> Result<(), CommandError> {
    let snapshots = if args.run == Path::new("-") {
        read(io::stdin().lock(), "standard input")?
    } else {
        let name = args.run.display().to_string();
        read(BufReader::new(open(&args.run, "a recording; `-` reads standard input")?), &name)?
    };
    let profiles = layout_store(args)?;
    let options = ConsoleOptions {
        profiles,
        log: Arc::new(log_lines(args)?),
        profile: Some(args.title.clone()),
        theme: args.theme,
        glyphs: args.glyphs,
        screen: args.screen,
        zone: jiff::tz::TimeZone::UTC,
        ..ConsoleOptions::default()
    };
    let (columns, rows) = args.size;
    let text = picture(snapshots, &options, columns, rows);
    // such as /dev/stdout
    let is_special = special_file_kind(&args.svg).is_some();
    let written = if is_special {
        std::fs::write(&args.svg, text)
    } else {
        replace_file(&args.svg, text.as_bytes())
    };
    written.map_err(|error| CommandError::Failed(format!("{}: {error}", args.svg.display())))
}

/// Opens a file of the user's. Refuses pipes and devices, which could block forever.
///
/// # Errors
/// [`CommandError::BadInput`] with the path and the reason.
fn open(path: &Path, expected: &str) -> Result<File, CommandError> {
    let name = path.display();
    if let Some(kind) = special_file_kind(path) {
        return Err(CommandError::BadInput(format!("{name}: this is {kind}, not {expected}")));
    }
    File::open(path).map_err(|error| CommandError::BadInput(format!("{name}: {error}")))
}

/// Returns the saved layouts for the layouts screen.
fn layout_store(args: &SnapshotArgs) -> Result<Option<Arc<dyn LayoutStore>>, CommandError> {
    match (&args.layouts, args.screen) {
        (None, Screen::Layouts) => Err(CommandError::BadInput(
            "the layouts screen needs the folder of saved layouts: add --layouts DIR".to_owned(),
        )),
        (None, _) => Ok(None),
        (Some(folder), _) if !folder.is_dir() => Err(CommandError::BadInput(format!(
            "{}: not a folder; --layouts takes the folder of saved layouts",
            folder.display()
        ))),
        (Some(folder), _) => {
            let store = LayoutFolders::new(Some(folder.clone())).map_err(CommandError::BadInput)?;
            Ok(Some(Arc::new(store)))
        }
    }
}

/// Returns the lines of the log file for the log screen.
fn log_lines(args: &SnapshotArgs) -> Result<LogLines, CommandError> {
    let lines = LogLines::default();
    let Some(path) = &args.log else {
        return match args.screen {
            Screen::Log => Err(CommandError::BadInput(
                "the log screen needs a log file: add --log FILE".to_owned(),
            )),
            _ => Ok(lines),
        };
    };
    let text = io::read_to_string(open(path, "a log file")?)
        .map_err(|error| CommandError::BadInput(format!("{}: {error}", path.display())))?;
    for line in text.lines() {
        if let Some((at_unix_ms, level, from, text)) = parse_log_line(line) {
            lines.push(at_unix_ms, level, from, text);
        }
    }
    Ok(lines)
}

/// Splits a line of divvy.log into its time, level, module and text; `None` if it is none.
fn parse_log_line(line: &str) -> Option<(u64, LogLevel, &str, &str)> {
    let (time, rest) = line.split_once(' ')?;
    let at: jiff::Timestamp = time.parse().ok()?;
    let (level, rest) = rest.trim_start().split_once(' ')?;
    let (from, text) = rest.split_once(": ")?;
    let levels =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let level = levels.into_iter().find(|known| known.name() == level)?;
    Some((at.as_millisecond().try_into().ok()?, level, from, text))
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
    use crate::telemetry::{ConnectionView, ListenerView, Protocol, ServerView};

    /// Writes a recording of one snapshot, and returns the arguments that draw a screen of it beside it.
    fn recorded(folder: &Path, snapshot: &Snapshot, screen: Screen) -> SnapshotArgs {
        let run = folder.join("run.ndjson");
        std::fs::write(&run, serde_json::to_string(snapshot).unwrap()).unwrap();
        SnapshotArgs {
            run,
            svg: folder.join("frame.svg"),
            size: (80, 24),
            screen,
            theme: ThemeName::Truecolor,
            glyphs: GlyphSet::default(),
            title: "demo".to_owned(),
            layouts: None,
            log: None,
        }
    }

    fn pictured(args: &SnapshotArgs) -> String {
        super::run(args).map_err(|error| error.to_string()).unwrap();
        std::fs::read_to_string(&args.svg).unwrap()
    }

    #[test]
    fn each_screen_has_its_own_picture() {
        let folder = tempfile::tempdir().unwrap();
        let layouts = folder.path().join("layouts");
        std::fs::create_dir(&layouts).unwrap();
        std::fs::write(layouts.join("night.toml"), "description = \"for the night\"\n").unwrap();
        let log = folder.path().join("divvy.log");
        let line = "2026-11-26T17:42:24.095101Z  INFO divvy::command::run: begins with demo";
        std::fs::write(&log, line).unwrap();
        let snapshot = Snapshot { uptime_us: 5_000_000, ..Snapshot::default() };
        let of = |screen: Screen| SnapshotArgs {
            layouts: Some(layouts.clone()),
            log: Some(log.clone()),
            ..recorded(folder.path(), &snapshot, screen)
        };
        let mut seen: Vec<String> =
            SCREENS.iter().map(|(_, screen)| pictured(&of(*screen))).collect();
        seen.push(pictured(&SnapshotArgs { theme: ThemeName::Mono, ..of(Screen::Board) }));
        seen.push(pictured(&SnapshotArgs { glyphs: GlyphSet::Ascii, ..of(Screen::Board) }));
        assert_eq!(seen[0], pictured(&of(Screen::Board)));
        for (at, one) in seen.iter().enumerate() {
            assert!(!seen[..at].contains(one), "picture {at} is another's");
        }
        assert!(pictured(&of(Screen::Layouts)).contains("night"), "the saved layout is listed");
        let log = pictured(&of(Screen::Log));
        assert!(log.contains("begins") && log.contains("17:42:24"), "the log is shown");
        assert!(screen("attic").unwrap_err().contains("board, detail, machine"));
    }

    #[test]
    fn connections_screen_lists_recorded_clients() {
        let folder = tempfile::tempdir().unwrap();
        let client = ConnectionView {
            id: 1,
            peer: "127.0.0.1:50123".to_owned(),
            protocol: Protocol::Http,
            model: "detector".to_owned(),
            age_us: 2_000_000,
            requests: 9,
            requests_per_s: 4.5,
            open_requests: 1,
            received_bytes: 0,
            sent_bytes: 0,
        };
        let address = "127.0.0.1:8000".to_owned();
        let server = ServerView {
            listeners: vec![ListenerView { protocol: Protocol::Http, address }],
            connections: 1,
            busiest: vec![client],
            ..ServerView::default()
        };
        let of = |server: Option<ServerView>| {
            let snapshot = Snapshot { server: server.map(Arc::new), ..Snapshot::default() };
            let screen = screen("connections").unwrap();
            let args = recorded(folder.path(), &snapshot, screen);
            pictured(&SnapshotArgs { size: (120, 24), ..args })
        };
        let picture = of(Some(server));
        for text in ["127.0.0.1:8000", "127.0.0.1:50123", "detector"] {
            assert!(picture.contains(text), "{text} is missing: {picture}");
        }
        let without = of(None);
        assert!(without.contains("--listen") && !without.contains("127.0.0.1:50123"), "{without}");
    }

    #[test]
    fn log_lines_are_split_into_their_parts() {
        let line = "2026-11-26T17:42:24.095Z  WARN divvy::pool: m1: late";
        let (at, level, from, text) = parse_log_line(line).unwrap();
        assert_eq!((at, level), (1_795_714_944_095, LogLevel::Warn));
        assert_eq!((from, text), ("divvy::pool", "m1: late"));
        assert!(parse_log_line("no log line").is_none());
    }
}

//! divvy's log: a file in the state folder while the console uses the terminal, else standard error.
//!
//! `DIVVY_LOG` sets the level, as in `DIVVY_LOG=debug` or `DIVVY_LOG=divvy=trace`. Without it, standard
//! error gets warnings, and the output of commands that divvy starts (`divvy::output`).

use std::fmt::{Debug, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::command::CommandError;
use crate::telemetry::{LogLevel, LogLines};

/// The variable that sets the level.
const VARIABLE: &str = "DIVVY_LOG";

/// Bytes at which the log is renamed to `divvy.log.1`; one older file is kept.
const MAX_BYTES: u64 = 4 << 20;

/// Starts the log: in `divvy.log` of this folder, or on standard error without one. With a folder, the
/// newest lines are also kept in `lines` for the console. Does nothing if the process has a log
/// already.
///
/// # Errors
/// [`CommandError::BadInput`] for an invalid `DIVVY_LOG`; [`CommandError::Failed`] when the file
/// cannot be opened: `lines` are kept nevertheless.
pub(super) fn start(folder: Option<&Path>, lines: &LogLines) -> Result<(), CommandError> {
    let filter = filter(if folder.is_some() { "info" } else { "warn,divvy::output=info" })?;
    let Some(folder) = folder else {
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        // they would go to standard error too, and end the thread when its terminal is gone
        let log = log.log_internal_errors(false);
        // an error means that the process has a log already
        let _ = log.try_init();
        return Ok(());
    };
    let file = LogFile::open(folder.join("divvy.log"), MAX_BYTES);
    let (file, error) = match file {
        Ok(file) => (Some(fmt::layer().with_writer(Mutex::new(file))), None),
        Err(error) => (None, Some(format!("no log is written in {}: {error}", folder.display()))),
    };
    let all =
        tracing_subscriber::registry().with(filter).with(file).with(LogLinesLayer(lines.clone()));
    let _ = all.try_init();
    error.map_or(Ok(()), |reason| Err(CommandError::Failed(reason)))
}

/// Keeps the newest lines for the console.
struct LogLinesLayer(LogLines);

impl<S: Subscriber> Layer<S> for LogLinesLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = EventText::default();
        event.record(&mut text);
        let meta = event.metadata();
        let level = match *meta.level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at_unix_ms = since.map_or(0, |since| since.as_millis() as u64);
        self.0.push(at_unix_ms, level, meta.target(), &format!("{}{}", text.message, text.fields));
    }
}

/// The text of an event: its message and its fields.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // writing to a string cannot fail
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn filter(default: &str) -> Result<EnvFilter, CommandError> {
    let value = std::env::var_os(VARIABLE).unwrap_or_default();
    let value = if value.is_empty() { default.into() } else { value };
    let text = value.to_string_lossy();
    EnvFilter::try_new(&text).map_err(|error| {
        CommandError::BadInput(format!(
            "{VARIABLE}={text}: {error}; use a level (error, warn, info, debug, trace) or a list \
             such as divvy=debug,onnxruntime=warn"
        ))
    })
}

/// A log file that is rotated when it reaches its size limit.
struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    max_bytes: u64,
}

impl LogFile {
    fn open(path: PathBuf, max_bytes: u64) -> io::Result<Self> {
        let file = append_to(&path)?;
        let written = file.metadata()?.len();
        let mut log = Self { path, file, written, max_bytes };
        if written >= max_bytes {
            log.rotate()?;
        }
        Ok(log)
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, self.path.with_extension("log.1"))?;
        self.file = append_to(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written >= self.max_bytes {
            self.rotate()?;
        }
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_keep_level_target_fields() {
        let lines = LogLines::default();
        let all = tracing_subscriber::registry().with(LogLinesLayer(lines.clone()));
        tracing::subscriber::with_default(all, || {
            tracing::warn!(thread = "ocr/0", "it {}", "failed");
            tracing::debug!(target: "divvy::stderr", "plain");
        });
        let lines = lines.after(0);
        let texts: Vec<(LogLevel, &str, &str)> =
            lines.iter().map(|line| (line.level, line.from.as_str(), line.text.as_str())).collect();
        let own = module_path!();
        assert_eq!(
            texts,
            [
                (LogLevel::Warn, own, "it failed thread=\"ocr/0\""),
                (LogLevel::Debug, "divvy::stderr", "plain"),
            ]
        );
        assert!(lines.iter().all(|line| line.at_unix_ms > 1_500_000_000_000));
    }

    #[test]
    fn full_log_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("divvy.log");
        let mut log = LogFile::open(path.clone(), 8).unwrap();
        for line in ["first line\n", "second line\n", "third line\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "third line\n");
        let older = folder.path().join("divvy.log.1");
        assert_eq!(fs::read_to_string(&older).unwrap(), "second line\n");
        drop(LogFile::open(path.clone(), 8).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert_eq!(fs::read_to_string(&older).unwrap(), "third line\n");
    }
}

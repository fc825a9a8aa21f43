//! Where divvy's own log goes: to a file in the state folder while the console has the screen, else
//! to standard error. `DIVVY_LOG` sets the level, as in `DIVVY_LOG=debug` or `DIVVY_LOG=divvy=trace`.

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

/// Bytes at which the log is moved to `divvy.log.1` and begun anew; one older file is kept.
const BOUND: u64 = 4 << 20;

/// Starts the log: in `divvy.log` of this folder, or, without one, on standard error. With a folder,
/// its newest lines are kept in `lines` too, for the console. Does nothing where the program that
/// embeds divvy has a log of its own.
///
/// # Errors
/// [`CommandError::BadInput`] for a `DIVVY_LOG` that is no filter; [`CommandError::Failed`] when the
/// file cannot be opened: the lines are kept all the same.
pub(super) fn start(folder: Option<&Path>, lines: &LogLines) -> Result<(), CommandError> {
    let filter = filter(if folder.is_some() { "info" } else { "warn" })?;
    let Some(folder) = folder else {
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        // An error says that there is a log already.
        let _ = log.try_init();
        return Ok(());
    };
    let file = LogFile::open(folder.join("divvy.log"), BOUND);
    let (file, error) = match file {
        Ok(file) => (Some(fmt::layer().with_writer(Mutex::new(file))), None),
        Err(error) => (None, Some(format!("no log in {}: {error}", folder.display()))),
    };
    let all = tracing_subscriber::registry().with(filter).with(file).with(Keeper(lines.clone()));
    let _ = all.try_init();
    error.map_or(Ok(()), |reason| Err(CommandError::Failed(reason)))
}

/// Keeps the newest lines for the console.
struct Keeper(LogLines);

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
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
        self.0.push(at_unix_ms, level, meta.target(), &format!("{}{}", told.message, told.fields));
    }
}

/// An event in words: its message, then its fields.
#[derive(Default)]
struct Told {
    message: String,
    fields: String,
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // writing into a string does not fail
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn filter(usual: &str) -> Result<EnvFilter, CommandError> {
    let wanted = std::env::var_os(VARIABLE).unwrap_or_default();
    let wanted = if wanted.is_empty() { usual.into() } else { wanted };
    let text = wanted.to_string_lossy();
    EnvFilter::try_new(&text).map_err(|error| {
        CommandError::BadInput(format!(
            "{VARIABLE}={text}: {error}; use a level (error, warn, info, debug, trace) or a list \
             such as divvy=debug,onnxruntime=warn"
        ))
    })
}

/// A log that begins anew when it has reached its bound.
struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    bound: u64,
}

impl LogFile {
    fn open(path: PathBuf, bound: u64) -> io::Result<Self> {
        let file = append_to(&path)?;
        let written = file.metadata()?.len();
        let mut log = Self { path, file, written, bound };
        if written >= bound {
            log.begin_anew()?;
        }
        Ok(log)
    }

    fn begin_anew(&mut self) -> io::Result<()> {
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
        if self.written >= self.bound {
            self.begin_anew()?;
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
    fn events_are_kept_with_their_level_place_and_fields() {
        let lines = LogLines::default();
        let all = tracing_subscriber::registry().with(Keeper(lines.clone()));
        tracing::subscriber::with_default(all, || {
            tracing::warn!(thread = "ocr/0", "it {}", "stumbled");
            tracing::debug!(target: "divvy::stderr", "plain");
        });
        let kept = lines.after(0);
        let told: Vec<(LogLevel, &str, &str)> =
            kept.iter().map(|line| (line.level, line.from.as_str(), line.text.as_str())).collect();
        let own = module_path!();
        assert_eq!(
            told,
            [
                (LogLevel::Warn, own, "it stumbled thread=\"ocr/0\""),
                (LogLevel::Debug, "divvy::stderr", "plain"),
            ]
        );
        assert!(kept.iter().all(|line| line.at_unix_ms > 1_500_000_000_000));
    }

    #[test]
    fn a_log_begins_anew_past_its_bound_and_keeps_one_older_file() {
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

//! Where divvy's own log goes: to a file in the state folder while the console has the screen, else
//! to standard error. `DIVVY_LOG` sets the level, as in `DIVVY_LOG=debug` or `DIVVY_LOG=divvy=trace`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::command::CommandError;

/// The variable that sets the level.
const VARIABLE: &str = "DIVVY_LOG";

/// Bytes at which the log is moved to `divvy.log.1` and begun anew; one older file is kept.
const BOUND: u64 = 4 << 20;

/// Starts the log: in `divvy.log` of this folder, or, without one, on standard error. Does nothing
/// where the program that embeds divvy has a log of its own.
///
/// # Errors
/// [`CommandError::BadInput`] for a `DIVVY_LOG` that is no filter; [`CommandError::Failed`] when the
/// file cannot be opened.
pub fn start(folder: Option<&Path>) -> Result<(), CommandError> {
    let filter = filter(if folder.is_some() { "info" } else { "warn" })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    // An error says that there is a log already.
    let _ = match folder {
        Some(folder) => {
            let file = LogFile::open(folder.join("divvy.log"), BOUND).map_err(|error| {
                CommandError::Failed(format!("no log in {}: {error}", folder.display()))
            })?;
            log.with_writer(Mutex::new(file)).try_init()
        }
        None => log.with_writer(io::stderr).try_init(),
    };
    Ok(())
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

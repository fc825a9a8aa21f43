//! Redirects stderr while the console uses the screen: native libraries, such as ONNX Runtime's
//! logger, write to it. A file receives their output, and a thread copies it to the log. A file,
//! unlike a pipe, keeps the last output of a library that ends the process.
#![cfg_attr(not(unix), allow(dead_code, unused_imports))]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::telemetry::without_escapes;

/// Maximum length of a line in bytes. Longer lines are split.
const LONGEST: usize = 8 << 10;

/// File size in bytes at which the file is truncated after it was copied to the log. A longer file
/// of an earlier run is kept as the older file.
const BOUND: u64 = 1 << 20;

/// Interval between two reads of the file.
const PACE: Duration = Duration::from_millis(250);

/// A redirect of stderr to a file. Dropping it restores stderr.
pub(super) struct StderrRedirect {
    #[cfg(unix)]
    before: std::os::fd::OwnedFd,
    /// Holds the lock of the file, and reads its final length.
    #[cfg(unix)]
    file: File,
    /// The position up to which the file is copied; set at the end.
    #[cfg(unix)]
    end: Sender<u64>,
    /// The path of the file, if it has a name.
    path: Option<PathBuf>,
}

impl StderrRedirect {
    /// Redirects stderr to the file and the log if it is the terminal; a redirect by the user is
    /// kept. Uses an unnamed file if there is no path or the file cannot be opened.
    ///
    /// # Errors
    /// Fails if the system cannot create a file or a thread. stderr is then unchanged.
    #[cfg(unix)]
    pub(super) fn start(path: Option<&Path>) -> io::Result<Option<Self>> {
        use std::io::IsTerminal;
        use std::os::fd::AsFd;

        if !io::stderr().is_terminal() {
            return Ok(None);
        }
        let before = io::stderr().as_fd().try_clone_to_owned()?;
        let (file, path) = match path.map(|path| open(path).map(|file| (file, path))) {
            Some(Ok((file, path))) => (file, Some(path.to_owned())),
            Some(Err(error)) => {
                tracing::warn!("what libraries write is not kept after a crash: {error}");
                (nameless()?, None)
            }
            None => (nameless()?, None),
        };
        let mut follower = StderrFollower::new(file.try_clone()?)?;
        let (end, until) = channel();
        let named = std::thread::Builder::new().name("console-stderr".to_owned());
        named.spawn(move || follower.run(&until))?;
        rustix::stdio::dup2_stderr(&file)?;
        Ok(Some(Self { before, file, end, path }))
    }

    /// Returns the path of the file, if it has a name. The file remains after a crash.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Does nothing on other systems.
    ///
    /// # Errors
    /// Never fails.
    #[cfg(not(unix))]
    pub fn start(_: Option<&Path>) -> io::Result<Option<Self>> {
        Ok(None)
    }
}

#[cfg(unix)]
impl Drop for StderrRedirect {
    fn drop(&mut self) {
        // if the terminal is gone, the error cannot be shown either
        let _ = rustix::stdio::dup2_stderr(&self.before);
        // unlock now, before the thread closes the file: the terminal may be set up again at once
        let _ = self.file.unlock();
        if let Ok(found) = self.file.metadata() {
            // the thread may have ended after an error
            let _ = self.end.send(found.len());
        }
    }
}

/// Opens and locks the file, so that output of another run does not get into this run's log.
fn open(path: &Path) -> io::Result<File> {
    let with_path = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
    let open = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.try_lock()?;
        Ok(file)
    };
    let file = open().map_err(with_path)?;
    if file.metadata().map_err(with_path)?.len() < BOUND {
        return Ok(file);
    }
    fs::rename(path, path.with_extension("log.1")).map_err(with_path)?;
    open().map_err(with_path)
}

/// Creates an unnamed file, which is deleted when it is closed.
fn nameless() -> io::Result<File> {
    Ok(tempfile::Builder::new().append(true).tempfile()?.into_file())
}

/// Copies new lines of the file to the log.
#[cfg(unix)]
struct StderrFollower {
    file: File,
    at: u64,
    /// An incomplete line.
    line: Vec<u8>,
}

#[cfg(unix)]
impl StderrFollower {
    fn new(file: File) -> io::Result<Self> {
        let at = file.metadata()?.len();
        Ok(Self { file, at, line: Vec::new() })
    }

    fn run(&mut self, until: &Receiver<u64>) {
        loop {
            let end = until.recv_timeout(PACE);
            let to = *end.as_ref().unwrap_or(&u64::MAX);
            let read = self.read(to, &mut tell);
            if read.is_err() || !matches!(end, Err(RecvTimeoutError::Timeout)) {
                return self.flush(&mut tell);
            }
            if self.at >= BOUND && self.line.is_empty() {
                // everything was copied to the log; writers continue at the start of the file
                match self.file.set_len(0) {
                    Ok(()) => self.at = 0,
                    Err(_) => return,
                }
            }
        }
    }

    /// Reads the new content, up to a position.
    fn read(&mut self, to: u64, log: &mut dyn FnMut(&str)) -> io::Result<()> {
        use std::os::unix::fs::FileExt;

        let mut buffer = [0; LONGEST];
        if self.file.metadata()?.len() < self.at {
            // the file was truncated
            self.at = 0;
        }
        loop {
            let room = to.saturating_sub(self.at).min(LONGEST as u64) as usize;
            let buffer = buffer.get_mut(..room).unwrap_or_default();
            let count = match self.file.read_at(buffer, self.at) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.at += count as u64;
            for byte in buffer.iter().take(count) {
                self.line.push(*byte);
                if *byte == b'\n' || self.line.len() >= LONGEST {
                    self.flush(log);
                }
            }
        }
    }

    fn flush(&mut self, log: &mut dyn FnMut(&str)) {
        let line = without_escapes(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        if !line.trim().is_empty() {
            log(&line);
        }
    }
}

/// Writes a line to the log, at the level in ONNX Runtime's mark.
fn tell(line: &str) {
    const TARGET: &str = "divvy::stderr";
    let marked = |letters: &str| {
        letters.chars().any(|letter| line.contains(&format!("[{letter}:onnxruntime")))
    };
    if marked("EF") {
        tracing::error!(target: TARGET, "{line}");
    } else if marked("IV") {
        tracing::info!(target: TARGET, "{line}");
    } else {
        tracing::warn!(target: TARGET, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn colour_sequences_are_removed() {
        let line = "\u{1b}[0;93m2026-01-02 [W:onnxruntime:, x.cc:1] odd [3]\u{1b}[m\n";
        assert_eq!(without_escapes(line), "2026-01-02 [W:onnxruntime:, x.cc:1] odd [3]");
        assert_eq!(without_escapes("nothing to do\r\n"), "nothing to do");
        assert_eq!(without_escapes("cut \u{1b}[0;9"), "cut ");
    }

    #[cfg(unix)]
    #[test]
    fn only_new_lines_are_logged() {
        let mut file = nameless().unwrap();
        file.write_all(b"an older run\n").unwrap();
        let mut follower = StderrFollower::new(file.try_clone().unwrap()).unwrap();
        let mut lines = Vec::new();
        let mut log = |line: &str| lines.push(line.to_owned());
        for part in ["one\n\ntw", "o\nthr"] {
            file.write_all(part.as_bytes()).unwrap();
            follower.read(u64::MAX, &mut log).unwrap();
        }
        // stop at the position: later content belongs to another follower
        let end = file.metadata().unwrap().len() + 2;
        file.write_all(b"ee\nfour\n").unwrap();
        follower.read(end, &mut log).unwrap();
        follower.flush(&mut log);
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[cfg(unix)]
    #[test]
    fn long_file_is_truncated_after_reading() {
        let mut file = nameless().unwrap();
        let mut follower = StderrFollower::new(file.try_clone().unwrap()).unwrap();
        let line = [b"x".repeat(1000), b"\n".to_vec()].concat();
        for _ in 0..=BOUND / 1000 {
            file.write_all(&line).unwrap();
        }
        let (end, until) = channel();
        let thread = std::thread::spawn(move || follower.run(&until));
        while file.metadata().unwrap().len() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        file.write_all(b"after it\n").unwrap();
        assert_eq!(file.metadata().unwrap().len(), 9);
        end.send(9).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn file_belongs_to_a_single_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stderr.log");
        let mut first = open(&path).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("stderr.log"));
        first.write_all(b"last words\n").unwrap();
        drop(first);
        let mut second = open(&path).unwrap();
        assert_eq!(second.metadata().unwrap().len(), 11);
        second.write_all(&vec![b'x'; BOUND as usize]).unwrap();
        drop(second);
        assert_eq!(open(&path).unwrap().metadata().unwrap().len(), 0);
        let older = fs::read(folder.path().join("stderr.log.1")).unwrap();
        assert!(older.starts_with(b"last words\n"));
    }
}

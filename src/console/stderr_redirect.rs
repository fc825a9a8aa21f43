//! What native libraries write to standard error while the console has the screen: led into a file
//! instead of over the frame, and from there into the log. A file and no pipe, so that the last words
//! of a library that ends the process are still there after it. ONNX Runtime's own logger is one
//! that writes there.
#![cfg_attr(not(unix), allow(dead_code, unused_imports))]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The longest line that is taken as one, in bytes.
const LONGEST: usize = 8 << 10;

/// Bytes at which the file is begun anew, once all of them are in the log; what a run finds that is
/// longer is kept as one older file.
const BOUND: u64 = 1 << 20;

/// From one look into the file to the next.
const PACE: Duration = Duration::from_millis(250);

/// Standard error while it is led elsewhere. Dropping it gives it back.
pub(super) struct StderrRedirect {
    #[cfg(unix)]
    before: std::os::fd::OwnedFd,
    /// Keeps the file this run's own, and tells its length at the end.
    #[cfg(unix)]
    file: File,
    /// Up to where it is to be followed.
    #[cfg(unix)]
    end: Sender<u64>,
    /// Its name, where it has one.
    path: Option<PathBuf>,
}

impl StderrRedirect {
    /// Leads standard error into the file and the log, where it is the terminal: a file that the
    /// user named is left to them. Without a path, or where that file cannot be had, into one without
    /// a name.
    ///
    /// # Errors
    /// When the system gives no file or no thread; standard error is then as it was.
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

    /// The file, where it has a name: it is still there after a crash.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Elsewhere it stays where it is.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn start(_: Option<&Path>) -> io::Result<Option<Self>> {
        Ok(None)
    }
}

#[cfg(unix)]
impl Drop for StderrRedirect {
    fn drop(&mut self) {
        // a terminal that is gone takes no error either
        let _ = rustix::stdio::dup2_stderr(&self.before);
        // at once, not when the thread has closed it: the terminal may be taken again right now
        let _ = self.file.unlock();
        if let Ok(found) = self.file.metadata() {
            // the thread may have ended by an error of its own
            let _ = self.end.send(found.len());
        }
    }
}

/// Opens the file for this run alone: what another one writes would come into this one's log.
fn open(path: &Path) -> io::Result<File> {
    let told = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
    let open = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.try_lock()?;
        Ok(file)
    };
    let file = open().map_err(told)?;
    if file.metadata().map_err(told)?.len() < BOUND {
        return Ok(file);
    }
    fs::rename(path, path.with_extension("log.1")).map_err(told)?;
    open().map_err(told)
}

/// A file that is gone with its last user.
fn nameless() -> io::Result<File> {
    Ok(tempfile::Builder::new().append(true).tempfile()?.into_file())
}

/// Reads what is added to the file, line by line, into the log.
#[cfg(unix)]
struct StderrFollower {
    file: File,
    at: u64,
    /// A line that has no end yet.
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
                // what was read is in the log; writers go on at the start
                match self.file.set_len(0) {
                    Ok(()) => self.at = 0,
                    Err(_) => return,
                }
            }
        }
    }

    /// Reads what there is, up to a place.
    fn read(&mut self, to: u64, tell: &mut dyn FnMut(&str)) -> io::Result<()> {
        use std::os::unix::fs::FileExt;

        let mut buffer = [0; LONGEST];
        if self.file.metadata()?.len() < self.at {
            // it was emptied
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
                    self.flush(tell);
                }
            }
        }
    }

    fn flush(&mut self, tell: &mut dyn FnMut(&str)) {
        let line = plain(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        if !line.trim().is_empty() {
            tell(&line);
        }
    }
}

/// Writes a line to the log, at the level that ONNX Runtime marks in it.
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

/// The line without the sequences that colour it on a terminal.
fn plain(line: &str) -> String {
    let mut parts = line.trim_end().split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| {
        let end = part.find(|letter: char| ('@'..='~').contains(&letter));
        told + end.and_then(|end| part.get(end + 1..)).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn colours_are_taken_out() {
        let line = "\u{1b}[0;93m2026-01-02 [W:onnxruntime:, x.cc:1] odd [3]\u{1b}[m\n";
        assert_eq!(plain(line), "2026-01-02 [W:onnxruntime:, x.cc:1] odd [3]");
        assert_eq!(plain("nothing to do\r\n"), "nothing to do");
        assert_eq!(plain("cut \u{1b}[0;9"), "cut ");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_added_is_followed_by_lines_and_what_was_there_before_is_not() {
        let mut file = nameless().unwrap();
        file.write_all(b"an older run\n").unwrap();
        let mut follower = StderrFollower::new(file.try_clone().unwrap()).unwrap();
        let mut told = Vec::new();
        let mut tell = |line: &str| told.push(line.to_owned());
        for part in ["one\n\ntw", "o\nthr"] {
            file.write_all(part.as_bytes()).unwrap();
            follower.read(u64::MAX, &mut tell).unwrap();
        }
        // up to a place and no further: what comes then is another follower's
        let end = file.metadata().unwrap().len() + 2;
        file.write_all(b"ee\nfour\n").unwrap();
        follower.read(end, &mut tell).unwrap();
        follower.flush(&mut tell);
        assert_eq!(told, ["one", "two", "three"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_has_grown_is_begun_anew_once_it_was_read() {
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
    fn the_file_is_one_runs_alone_and_a_long_one_is_set_aside() {
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

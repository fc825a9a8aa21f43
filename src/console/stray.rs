//! What native libraries write to standard error while the console has the screen: led into the
//! log instead of over the frame. ONNX Runtime's own logger is one that does.

use std::io::{self, BufRead, BufReader, PipeReader, Read};

/// The longest line that is taken as one, in bytes.
const LONGEST: u64 = 8 << 10;

/// Standard error while it is led elsewhere. Dropping it gives it back.
pub struct Diverted {
    #[cfg(unix)]
    before: std::os::fd::OwnedFd,
}

impl Diverted {
    /// Leads standard error into the log, where it is the terminal: a file that the user named is
    /// left to them.
    ///
    /// # Errors
    /// When the system gives no pipe or no thread; standard error is then as it was.
    #[cfg(unix)]
    pub fn start() -> io::Result<Option<Self>> {
        use std::io::IsTerminal;
        use std::os::fd::AsFd;

        if !io::stderr().is_terminal() {
            return Ok(None);
        }
        let before = io::stderr().as_fd().try_clone_to_owned()?;
        let (from, to) = io::pipe()?;
        let named = std::thread::Builder::new().name("console-stderr".to_owned());
        // ends when the last writer is gone, which is when standard error is given back
        named.spawn(move || follow(from))?;
        rustix::stdio::dup2_stderr(&to)?;
        Ok(Some(Self { before }))
    }

    /// Elsewhere it stays where it is.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn start() -> io::Result<Option<Self>> {
        Ok(None)
    }
}

#[cfg(unix)]
impl Drop for Diverted {
    fn drop(&mut self) {
        // a terminal that is gone takes no error either
        let _ = rustix::stdio::dup2_stderr(&self.before);
    }
}

fn follow(from: PipeReader) {
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match from.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => tell(&plain(&String::from_utf8_lossy(&line))),
        }
    }
}

/// Writes a line to the log, at the level that ONNX Runtime marks in it.
fn tell(line: &str) {
    const TARGET: &str = "divvy::stderr";
    if line.trim().is_empty() {
        return;
    }
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
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        let line = "\u{1b}[0;93m2026-01-02 [W:onnxruntime:, x.cc:1] odd [3]\u{1b}[m\n";
        assert_eq!(plain(line), "2026-01-02 [W:onnxruntime:, x.cc:1] odd [3]");
        assert_eq!(plain("nothing to do\r\n"), "nothing to do");
        assert_eq!(plain("cut \u{1b}[0;9"), "cut ");
    }
}

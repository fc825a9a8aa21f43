//! Bounds the file that receives the standard error of a run in the background.
//!
//! Libraries and the handler of a crash write to the descriptor itself, so the file is replaced under it: the last
//! words of a run are always in the newest file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::telemetry::Snapshot;

/// Bytes at which the file is renamed to `detached-NAME.log.1`; one older file is kept.
const MAX_BYTES: u64 = 4 << 20;

/// The file of standard error of a run in the background.
pub(super) struct DetachedLog {
    /// The file, and the name that it has until the models are ready.
    paths: [PathBuf; 2],
    /// True once a rotation has failed, so that the reason is logged once.
    has_failed: bool,
}

impl DetachedLog {
    /// Returns the file of the run of this name.
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        // the process that started the run renames its file
        let paths = [path_of(folder, name), path_of(folder, std::os::unix::process::parent_id())];
        Self { paths, has_failed: false }
    }

    /// Starts to check the size with each snapshot, until the run ends.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn follow(
        mut self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        std::thread::Builder::new().name("divvy-stderr".to_owned()).spawn(move || {
            while runtime.block_on(snapshots.changed()).is_ok() {
                snapshots.borrow_and_update();
                self.bound();
            }
        })?;
        Ok(())
    }

    /// Replaces the file if it is full.
    fn bound(&mut self) {
        let rotated = self.replace_full(MAX_BYTES).and_then(|file| match file {
            Some(file) => Ok(rustix::stdio::dup2_stderr(&file)?),
            None => Ok(()),
        });
        match rotated {
            Ok(()) => self.has_failed = false,
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!("the file of standard error grows without a limit: {error}");
            }
            Err(_) => {}
        }
    }

    /// Renames the file that standard error goes to if it has at least `max` bytes. Returns the one that takes its
    /// place; `None` if it is shorter, or has none of the names that `--detach` gives.
    fn replace_full(&self, max: u64) -> io::Result<Option<File>> {
        let stderr = rustix::fs::fstat(rustix::stdio::stderr())?;
        if u64::try_from(stderr.st_size).unwrap_or_default() < max {
            return Ok(None);
        }
        self.replace((stderr.st_dev, stderr.st_ino))
    }

    /// Renames the file of this device and inode, and creates one in its place.
    fn replace(&self, (device, inode): (u64, u64)) -> io::Result<Option<File>> {
        let is_it = |path: &&PathBuf| {
            fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (device, inode))
        };
        let Some(path) = self.paths.iter().find(is_it) else { return Ok(None) };
        // first the new file: without one, the full one keeps its name
        let next = path.with_extension("log.next");
        let file = OpenOptions::new().append(true).create(true).open(&next)?;
        fs::rename(path, path.with_extension("log.1"))?;
        fs::rename(&next, path)?;
        Ok(Some(file))
    }
}

/// Returns the file of the run of this name, or the one that a process starts.
pub(super) fn path_of(folder: &Path, name: impl std::fmt::Display) -> PathBuf {
    folder.join(format!("detached-{name}.log"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn full_file_gives_way_to_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let log = DetachedLog::new(folder.path(), "night");
        let path = folder.path().join("detached-night.log");
        let id = |file: &File| file.metadata().map(|found| (found.dev(), found.ino())).unwrap();
        let mut file = File::create(&path).unwrap();
        for words in ["first", "second", "third"] {
            file.write_all(words.as_bytes()).unwrap();
            file = log.replace(id(&file)).unwrap().unwrap();
        }
        file.write_all(b"last words").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "last words");
        let older = folder.path().join("detached-night.log.1");
        assert_eq!(fs::read_to_string(older).unwrap(), "third");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let log = DetachedLog::new(folder.path(), "night");
        let other = File::create(folder.path().join("redirected")).unwrap();
        let found = other.metadata().unwrap();
        assert!(log.replace((found.dev(), found.ino())).unwrap().is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

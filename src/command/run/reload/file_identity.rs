//! The identity of one version of a file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One version of a file: its place on the disk, its size and its times. A file that another one has replaced,
/// as editors do when they save, has another identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

impl FileIdentity {
    /// Reads the identity of a file; `None` if there is none.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: (meta.dev(), meta.ino()),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        })
    }
}

/// Detects changes of a file by polling. A change counts once the file is the same in two polls, so that a file
/// is not read while it is being written.
#[derive(Debug, Default)]
pub(super) struct FileWatch {
    handled: Option<FileIdentity>,
    seen: Option<FileIdentity>,
}

impl FileWatch {
    /// Returns true once per new version. A file that is missing has none.
    pub(super) fn is_changed(&mut self, now: Option<FileIdentity>) -> bool {
        let is_settled = now.is_some() && now == self.seen;
        self.seen = now;
        let is_new = is_settled && now != self.handled;
        if is_new {
            self.handled = now;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(size: u64) -> FileIdentity {
        FileIdentity { inode: (1, 2), size, modified: (3, 4) }
    }

    #[test]
    fn change_counts_when_it_has_settled() {
        let mut watch = FileWatch::default();
        let mut is_changed = |version: Option<FileIdentity>| watch.is_changed(version);
        assert!(!is_changed(Some(version(1))));
        assert!(is_changed(Some(version(1))));
        for unsettled in [Some(version(2)), None, Some(version(3))] {
            assert!(!is_changed(unsettled));
        }
        assert!(is_changed(Some(version(3))));
        assert!(!is_changed(Some(version(3))));
    }

    #[test]
    fn replaced_file_has_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&path, "1").unwrap();
        let before = FileIdentity::read(&path);
        assert_eq!(FileIdentity::read(&path), before);
        std::fs::write(&new, "1").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert_ne!(FileIdentity::read(&path), before);
        assert_eq!(FileIdentity::read(&new), None);
    }
}

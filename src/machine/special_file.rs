//! Paths that are neither regular files nor folders.

use std::fs;
use std::path::Path;

/// Returns the kind of a path that is neither a regular file nor a folder, such as "a named pipe
/// (FIFO)"; `None` for files, folders, and paths that do not exist.
///
/// Opening or reading such a path can block forever, so check before opening a path from the user.
pub fn special_file_kind(path: &Path) -> Option<&'static str> {
    let kind = fs::metadata(path).ok()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a named pipe (FIFO)");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    Some("not a regular file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_paths_are_not_special() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(special_file_kind(file.path()), None);
        assert_eq!(special_file_kind(file.path().parent().unwrap()), None);
        assert_eq!(special_file_kind(Path::new("/no/such/file")), None);
    }

    #[cfg(unix)]
    #[test]
    fn device_is_special() {
        assert_eq!(special_file_kind(Path::new("/dev/null")), Some("a device"));
    }
}

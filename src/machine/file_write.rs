//! Writes whole files: a temporary file in the same folder, fsync, rename, fsync of the folder. A
//! write that fails before the rename, as on a full disk, leaves no part of the new file and keeps the
//! old one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::special_file_kind;

/// Replaces the content of a file, or of the target of a symlink, and keeps its permissions.
///
/// # Errors
/// The system's error. The file is unchanged then.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// Creates a file.
///
/// # Errors
/// The system's error; [`io::ErrorKind::AlreadyExists`] if there is one of that name.
pub(crate) fn create_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary_file(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path));
    Ok(())
}

/// As [`replace_file`], with a function that writes the content.
fn replace_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let target = target(path)?;
    let folder = folder_of(&target);
    let old = match fs::metadata(&target) {
        Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) => Some(meta.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // a rename would replace a device, and a file that its owner has made read-only
    if let Some(kind) = special_file_kind(&target) {
        return Err(io::Error::other(format!("this is {kind}, not a file")));
    }
    if old.as_ref().is_some_and(fs::Permissions::readonly) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut file = temporary_file(folder)?;
    write(file.as_file_mut())?;
    if let Some(permissions) = old {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    sync_folder(folder);
    Ok(())
}

/// Writes the entries of a folder to the disk. Some file systems cannot; the rename is done anyway.
fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns a file that is removed unless it gets a name.
fn temporary_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".divvy-").suffix(".tmp");
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt as _;
        // reduced by the umask, as for any new file
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    builder.tempfile_in(folder)
}

/// Follows symlinks to a file, also to one that does not exist yet.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    // the kernel follows as many before it returns ELOOP
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Returns the advice for an error of the system.
pub(crate) fn write_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some space, or save elsewhere; the old file is unchanged"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "this user may not write there: save elsewhere; the old file is unchanged"
        }
        io::ErrorKind::NotFound => "its folder does not exist: create it first",
        io::ErrorKind::IsADirectory => "this is a folder: choose a file inside it",
        _ => "the old file is unchanged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn failed_write_leaves_only_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs::write(&path, "old").unwrap();
        let error = replace_with(&path, |file| {
            file.write_all(b"half of the ne")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert!(write_advice(&error).contains("disk is full"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(files(folder.path()), ["a.toml"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_device_is_reported_as_full_disk() {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = (&full).write_all(b"x").unwrap_err();
        assert!(write_advice(&error).contains("disk is full"), "{error}");
    }

    #[test]
    fn created_file_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        create_file(&path, b"first").unwrap();
        let error = create_file(&path, b"second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(files(folder.path()), ["a.svg"]);
    }

    #[cfg(unix)]
    #[test]
    fn device_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("full.toml");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let error = replace_file(&link, b"x").unwrap_err();
        assert!(error.to_string().contains("device"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn follows_symlinks() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        let real = folder.path().join("real/a.toml");
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link.toml");
        symlink("real/a.toml", &link).unwrap();
        replace_file(&link, b"new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        let dangling = folder.path().join("new.toml");
        symlink("real/b.toml", &dangling).unwrap();
        replace_file(&dangling, b"first").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("real/b.toml")).unwrap(), "first");
        symlink("loop", folder.path().join("loop")).unwrap();
        assert!(replace_file(&folder.path().join("loop"), b"x").is_err());
    }

    #[test]
    fn rejects_folders() {
        let folder = tempfile::tempdir().unwrap();
        let error = replace_file(folder.path(), b"x").unwrap_err();
        assert!(write_advice(&error).contains("folder"), "{error}");
        let error = replace_file(&folder.path().join("no/a.toml"), b"x").unwrap_err();
        assert!(write_advice(&error).contains("create it"), "{error}");
    }
}

//! The folders of control sockets.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::socket::SocketError;

/// The folder of the sockets that a group can read.
const READERS: &str = "/run/divvy-readers";

/// The folders in which running divvys are looked for.
#[derive(Clone, Debug, Default)]
pub struct SearchFolders {
    /// The folder of `--control-dir`; without it, all default folders.
    pub control: Option<PathBuf>,
    /// The folder of `--readers-dir`; without it, the default one, unless `control` is set.
    pub readers: Option<PathBuf>,
}

impl SearchFolders {
    /// Returns the folders, the most private one first.
    pub fn list(&self) -> Vec<PathBuf> {
        let mut folders = match &self.control {
            Some(folder) => vec![folder.clone()],
            None => default_folders(),
        };
        match &self.readers {
            Some(folder) => folders.push(folder.clone()),
            None if self.control.is_none() => folders.push(READERS.into()),
            None => {}
        }
        folders.dedup();
        folders
    }
}

/// Returns the folder in which a run of this user creates its socket: `divvy` in `XDG_RUNTIME_DIR`, else
/// `/run/divvy` for root, else `/tmp/divvy-UID`.
pub fn default_folder() -> PathBuf {
    default_folders().into_iter().next().unwrap_or_else(temporary_folder)
}

/// Returns the default folder of the sockets that a group can read.
pub(super) fn default_readers_folder() -> PathBuf {
    READERS.into()
}

/// Returns the default folders of this user in the order in which they are tried.
fn default_folders() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // `sudo` can leave the variable of another user
    let runtime = runtime.filter(|folder| folder.is_absolute() && is_own_folder(folder));
    let root = own_uid() == 0;
    let mut folders: Vec<PathBuf> =
        runtime.map(|folder| folder.join("divvy")).into_iter().collect();
    folders.extend(root.then(|| PathBuf::from("/run/divvy")));
    folders.push(temporary_folder());
    folders
}

fn temporary_folder() -> PathBuf {
    format!("/tmp/divvy-{}", own_uid()).into()
}

/// Returns the user of this process.
pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_own_folder(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|meta| meta.is_dir() && meta.uid() == own_uid())
}

/// Creates the folder of this user's sockets, unless it exists. A default folder is private: nobody else
/// can put a socket there.
///
/// # Errors
/// [`SocketError::Folder`] if it cannot be created, or is another user's.
pub(super) fn create_private(folder: &Path) -> Result<(), SocketError> {
    create(folder, 0o700)?;
    require_own(folder)?;
    set_mode(folder, 0o700)
}

/// Creates a folder that the user has named, unless it exists; one that exists keeps its permissions.
///
/// # Errors
/// [`SocketError::Folder`] if it cannot be created.
pub(super) fn create_named(folder: &Path) -> Result<(), SocketError> {
    create(folder, 0o700)
}

/// Creates the folder of the sockets that a group can read.
///
/// # Errors
/// [`SocketError::Folder`] if it cannot be created or given to the group, or is another user's.
pub(super) fn create_for_group(folder: &Path, group: u32) -> Result<(), SocketError> {
    create(folder, 0o750)?;
    require_own(folder)?;
    chown(folder, None, Some(group)).map_err(|error| fault(folder, &error))?;
    set_mode(folder, 0o750)
}

fn create(folder: &Path, mode: u32) -> Result<(), SocketError> {
    match DirBuilder::new().recursive(true).mode(mode).create(folder) {
        Err(error) => Err(fault(folder, &error)),
        Ok(()) => Ok(()),
    }
}

/// Refuses a link, so that nobody else decides where the sockets are.
fn require_own(folder: &Path) -> Result<(), SocketError> {
    let meta = fs::symlink_metadata(folder).map_err(|error| fault(folder, &error))?;
    let reason = if !meta.is_dir() {
        "it is not a folder"
    } else if meta.uid() != own_uid() {
        "it belongs to another user"
    } else {
        return Ok(());
    };
    Err(SocketError::Folder { folder: folder.to_owned(), reason: reason.to_owned() })
}

fn set_mode(folder: &Path, mode: u32) -> Result<(), SocketError> {
    fs::set_permissions(folder, Permissions::from_mode(mode)).map_err(|error| fault(folder, &error))
}

fn fault(folder: &Path, error: &io::Error) -> SocketError {
    SocketError::Folder { folder: folder.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_folder_is_only_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("a/divvy");
        create_private(&own).unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o777)).unwrap();
        create_private(&own).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn link_is_no_private_folder() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let error = create_private(&link).unwrap_err().to_string();
        assert!(error.contains("not a folder") && error.contains("link"), "{error}");
    }

    #[test]
    fn given_folder_is_the_only_one_searched() {
        let given = SearchFolders { control: Some("/x".into()), readers: None };
        assert_eq!(given.list(), [PathBuf::from("/x")]);
        let both = SearchFolders { control: Some("/x".into()), readers: Some("/y".into()) };
        assert_eq!(both.list(), [PathBuf::from("/x"), PathBuf::from("/y")]);
        let all = SearchFolders::default().list();
        assert!(all.contains(&default_folder()) && all.contains(&READERS.into()), "{all:?}");
    }
}

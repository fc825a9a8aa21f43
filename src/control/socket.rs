//! The Unix sockets of a run: their names, permissions and removal.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use thiserror::Error;

use super::caller::group_id;
use super::folders;
use super::run_name::RunName;

/// The extension of sockets.
pub(super) const EXTENSION: &str = "sock";

/// The file that a program locks while it creates a socket.
const LOCK: &str = ".lock";

/// The longest path of a socket, in bytes; the kernel's limit.
const LONGEST_PATH: usize = 107;

/// The most runs of one layout that get a number.
const MOST_NUMBERS: u32 = 999;

/// Attempts to lock the folder, and the time between two of them.
const LOCK_ATTEMPTS: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The error of a socket that cannot be created.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The folder cannot be used.
    #[error("the folder {folder} cannot be used: {reason}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Another run has the name.
    #[error("--name {0}: a running divvy has this name; choose another one (`divvy ls` lists all)")]
    Taken(RunName),
    /// The path is too long for the kernel.
    #[error("the path of the socket is longer than 107 bytes: {0}")]
    TooLong(PathBuf),
    /// The group does not exist.
    #[error("there is no group {0} in /etc/group")]
    NoGroup(String),
    /// Another error of the system.
    #[error("cannot create the control socket {path}: {error}")]
    System {
        /// The socket.
        path: PathBuf,
        /// The system's message.
        error: io::Error,
    },
}

/// The name of a new socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameChoice {
    /// This one.
    Exactly(RunName),
    /// This one, or with a number behind it if a running divvy has it.
    Numbered(RunName),
}

/// A socket that clients can connect to. Dropping it removes its file.
#[derive(Debug)]
pub struct ControlSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
    name: RunName,
    /// Device and inode of the file, so that only this socket's file is removed.
    file: (u64, u64),
}

/// The state of the file of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocketFile {
    /// There is none.
    Missing,
    /// Nobody listens on it any more.
    Stale,
    /// A program listens on it, or it is something else than a socket.
    Taken,
}

impl ControlSocket {
    /// Binds the socket of a run, which only its user and root can connect to. Removes stale sockets of the
    /// same name. `folder` is the one of `--control-dir`; `None` for the default one.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(folder: Option<&Path>, choice: &NameChoice) -> Result<Self, SocketError> {
        let folder = if let Some(folder) = folder {
            folders::create_named(folder)?;
            folder.to_owned()
        } else {
            let folder = folders::default_folder();
            folders::create_private(&folder)?;
            folder
        };
        Self::bind_in(&folder, choice, None)
    }

    /// Binds the socket on which a group can read but not change. `folder` is the one of `--readers-dir`;
    /// `None` for the default one.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind_for_readers(
        folder: Option<&Path>,
        name: &RunName,
        group: &str,
    ) -> Result<Self, SocketError> {
        let group = group_id(group).ok_or_else(|| SocketError::NoGroup(group.to_owned()))?;
        let folder = folder.map_or_else(folders::default_readers_folder, Path::to_owned);
        folders::create_for_group(&folder, group)?;
        Self::bind_in(&folder, &NameChoice::Numbered(name.clone()), Some(group))
    }

    fn bind_in(
        folder: &Path,
        choice: &NameChoice,
        group: Option<u32>,
    ) -> Result<Self, SocketError> {
        let _lock = lock(folder)?;
        let (name, path) = free_name(folder, choice)?;
        let system = |error| SocketError::System { path: path.clone(), error };
        let listener = UnixListener::bind(&path).map_err(system)?;
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        if group.is_some() {
            chown(&path, None, group).map_err(system)?;
        }
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(system)?;
        listener.set_nonblocking(true).map_err(system)?;
        let meta = fs::symlink_metadata(&path).map_err(system)?;
        let file = (meta.dev(), meta.ino());
        Ok(Self { listener: Some(listener), path, name, file })
    }

    /// Returns the name that the run got.
    pub fn name(&self) -> &RunName {
        &self.name
    }

    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the listener; `None` the second time.
    pub(super) fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let meta = fs::symlink_metadata(&self.path);
        if meta.is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file) {
            // a socket that stays is removed as stale by the next run of its name
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns a name that no running divvy has, and removes the stale socket of that name.
fn free_name(folder: &Path, choice: &NameChoice) -> Result<(RunName, PathBuf), SocketError> {
    let (name, is_numbered) = match choice {
        NameChoice::Exactly(name) => (name, false),
        NameChoice::Numbered(name) => (name, true),
    };
    let numbered = (2..=MOST_NUMBERS).filter(|_| is_numbered).map(|number| name.numbered(number));
    for candidate in std::iter::once(name.clone()).chain(numbered) {
        let path = folder.join(format!("{candidate}.{EXTENSION}"));
        let path = std::path::absolute(&path).unwrap_or(path);
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(SocketError::TooLong(path));
        }
        match socket_file(&path) {
            SocketFile::Missing => {}
            SocketFile::Stale => fs::remove_file(&path)
                .map_err(|error| SocketError::System { path: path.clone(), error })?,
            SocketFile::Taken => continue,
        }
        return Ok((candidate, path));
    }
    Err(SocketError::Taken(name.clone()))
}

/// Removes the socket of a program that was killed, unless another program is creating one in the folder.
pub(super) fn remove_stale(path: &Path) {
    let Some(lock) = path.parent().and_then(|folder| open_lock(folder).ok()) else { return };
    if lock.try_lock().is_ok() && socket_file(path) == SocketFile::Stale {
        // it is only a convenience; the next run of its name removes it otherwise
        let _ = fs::remove_file(path);
    }
}

/// Finds out whether a program listens on a socket, without waiting for it to accept.
fn socket_file(path: &Path) -> SocketFile {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {}
        Ok(_) => return SocketFile::Taken,
        Err(_) => return SocketFile::Missing,
    }
    let connected = SocketAddrUnix::new(path).and_then(|address| {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &address)
    });
    match connected {
        Err(Errno::CONNREFUSED) => SocketFile::Stale,
        Err(Errno::NOENT) => SocketFile::Missing,
        // a program that is stopped, or whose backlog is full, still has the name
        _ => SocketFile::Taken,
    }
}

/// Locks a folder, so that two programs do not remove each other's new socket.
fn lock(folder: &Path) -> Result<File, SocketError> {
    let fault = |reason: String| SocketError::Folder { folder: folder.to_owned(), reason };
    let file = open_lock(folder).map_err(|error| fault(error.to_string()))?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(error)) => return Err(fault(error.to_string())),
        }
    }
    Err(fault(format!("another program holds {LOCK} in it")))
}

fn open_lock(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).open(folder.join(LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RunName {
        text.parse().unwrap()
    }

    fn bind(folder: &Path, choice: &NameChoice) -> Result<ControlSocket, SocketError> {
        ControlSocket::bind(Some(folder), choice)
    }

    #[test]
    fn taken_name_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let numbered = NameChoice::Numbered(name("demo"));
        let first = bind(folder.path(), &numbered).unwrap();
        let second = bind(folder.path(), &numbered).unwrap();
        assert_eq!((first.name().as_str(), second.name().as_str()), ("demo", "demo-2"));
        let exactly = NameChoice::Exactly(name("demo-2"));
        let error = bind(folder.path(), &exactly).unwrap_err().to_string();
        assert!(error.contains("demo-2") && error.contains("divvy ls"), "{error}");
        drop(second);
        assert!(bind(folder.path(), &exactly).is_ok());
    }

    #[test]
    fn stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.sock");
        // a socket whose program was killed stays as a file
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(socket_file(&path), SocketFile::Stale);
        let socket = bind(folder.path(), &NameChoice::Numbered(name("demo"))).unwrap();
        assert_eq!(socket.name().as_str(), "demo");
        assert_eq!(socket_file(&path), SocketFile::Taken);
        drop(socket);
        assert_eq!(socket_file(&path), SocketFile::Missing);
    }

    #[test]
    fn other_files_are_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.sock");
        fs::write(&path, "notes").unwrap();
        let socket = bind(folder.path(), &NameChoice::Numbered(name("demo"))).unwrap();
        assert_eq!(socket.name().as_str(), "demo-2");
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
    }

    #[test]
    fn socket_of_another_run_stays() {
        let folder = tempfile::tempdir().unwrap();
        let socket = bind(folder.path(), &NameChoice::Exactly(name("demo"))).unwrap();
        fs::remove_file(socket.path()).unwrap();
        let other = bind(folder.path(), &NameChoice::Exactly(name("demo"))).unwrap();
        drop(socket);
        assert!(other.path().exists());
    }

    #[test]
    fn socket_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let socket = bind(folder.path(), &NameChoice::Exactly(name("demo"))).unwrap();
        assert_eq!(fs::metadata(socket.path()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn long_path_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("x".repeat(100));
        let error = bind(&folder, &NameChoice::Exactly(name("demo"))).unwrap_err();
        assert!(matches!(error, SocketError::TooLong(_)), "{error}");
    }
}

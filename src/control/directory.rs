//! Finds the running divvys by their sockets.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::api::RunInfo;
use super::client::{ClientError, ControlClient};
use super::connection::Address;
use super::folders::SearchFolders;
use super::socket::{EXTENSION, remove_stale};

/// The longest time for a run to answer while all are listed.
const PATIENCE: Duration = Duration::from_secs(1);

/// A running divvy.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRun {
    /// The name of its socket.
    pub name: String,
    /// Its socket.
    pub socket: PathBuf,
    /// Its state.
    pub state: RunState,
}

/// The state of a run that was found.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It answers.
    Answers(Box<RunInfo>),
    /// It does not answer, for this reason.
    Silent(String),
}

impl FoundRun {
    /// Returns its description, if it answers.
    pub fn info(&self) -> Option<&RunInfo> {
        match &self.state {
            RunState::Answers(info) => Some(info),
            RunState::Silent(_) => None,
        }
    }
}

/// Returns the running divvys, sorted by name. Removes the sockets of this user's runs that were killed. A run
/// with two sockets that this user can use is listed once.
pub fn find_runs(folders: &SearchFolders) -> Vec<FoundRun> {
    let mut runs: Vec<FoundRun> = Vec::new();
    for socket in folders.list().iter().flat_map(|folder| sockets(folder)) {
        let Some(run) = find(socket) else { continue };
        let pid = run.info().map(|info| info.pid);
        let is_known = |other: &FoundRun| pid.is_some() && other.info().map(|info| info.pid) == pid;
        if !runs.iter().any(is_known) {
            runs.push(run);
        }
    }
    runs.sort_by(|a, b| a.name.cmp(&b.name));
    runs
}

/// Returns the running divvy of this process, if it answers.
pub fn find_run(folders: &SearchFolders, pid: u32) -> Option<FoundRun> {
    let sockets = folders.list().into_iter().flat_map(|folder| sockets(&folder));
    let is_it = |run: &FoundRun| run.info().is_some_and(|info| info.pid == pid);
    sockets.filter_map(find).find(is_it)
}

/// Asks the program behind a socket; `None` if there is none, or it is another user's.
fn find(socket: PathBuf) -> Option<FoundRun> {
    let name = socket.file_stem()?.to_str()?.to_owned();
    let client = ControlClient::new(Address::Socket(socket.clone()), "ls").ok()?;
    let state = match client.with_timeout(PATIENCE).info() {
        Ok(info) => RunState::Answers(Box::new(info)),
        Err(ClientError::Unreachable { error, .. }) => {
            if error.kind() == std::io::ErrorKind::ConnectionRefused {
                remove_stale(&socket);
            }
            return None;
        }
        Err(ClientError::Silent(_)) => {
            RunState::Silent("no answer: it is loading its models, or suspended".to_owned())
        }
        Err(error) => RunState::Silent(error.to_string()),
    };
    Some(FoundRun { name, socket, state })
}

fn sockets(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut sockets: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|it| it == EXTENSION)).collect();
    sockets.sort();
    sockets
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_of_killed_runs_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let folders = SearchFolders { control: Some(folder.path().to_owned()), readers: None };
        let path = folder.path().join("dead.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(find_runs(&folders), []);
        assert!(!path.exists());
    }

    #[test]
    fn silent_run_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let folders = SearchFolders { control: Some(folder.path().to_owned()), readers: None };
        let _listener = UnixListener::bind(folder.path().join("busy.sock")).unwrap();
        let runs = find_runs(&folders);
        assert_eq!(runs.len(), 1);
        assert!(matches!(runs[0].state, RunState::Silent(_)), "{runs:?}");
    }
}

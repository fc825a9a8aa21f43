//! The choice of a running divvy on the command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::command::CommandError;
use crate::control::api::ErrorKind;
use crate::control::{
    Address, ClientError, ControlClient, FoundRun, RunState, SearchFolders, find_runs,
};
use crate::machine::AccessToken;

/// The name of this client in the journal: all command-line calls of one user are one caller.
pub(super) const CLIENT: &str = "cli";

/// The running divvy.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunSelection {
    /// The running divvy: its name, its process, its socket, or its address of --control (127.0.0.1:7000).
    /// Needed if several run.
    #[arg(long, value_name = "NAME|PID|SOCKET|ADDRESS")]
    pub run: Option<String>,
    /// The file of its token, for an address.
    #[arg(long, value_name = "FILE", requires = "run")]
    pub control_token_file: Option<PathBuf>,
    /// The folders to search.
    #[command(flatten)]
    pub folders: FolderArgs,
}

/// The folders of control sockets.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FolderArgs {
    /// The folder of the control sockets, if a running divvy was started with one.
    #[arg(long, value_name = "FOLDER")]
    pub control_dir: Option<PathBuf>,
    /// The folder of the sockets of runs that let a group watch them.
    #[arg(long, value_name = "FOLDER")]
    pub readers_dir: Option<PathBuf>,
}

impl FolderArgs {
    /// Returns the folders to search.
    pub(super) fn search(&self) -> SearchFolders {
        SearchFolders { control: self.control_dir.clone(), readers: self.readers_dir.clone() }
    }
}

impl RunSelection {
    /// Returns a client of the running divvy.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] with the list of the running divvys if it is not clear which one is meant.
    pub(in crate::command) fn client(&self) -> Result<ControlClient, CommandError> {
        Ok(ControlClient::new(self.address("--run")?, CLIENT)?)
    }

    /// Returns the address of the running divvy. `argument` names the choice in messages.
    ///
    /// # Errors
    /// As [`RunSelection::client`].
    pub(super) fn address(&self, argument: &str) -> Result<Address, CommandError> {
        let run = self.run.as_deref();
        Ok(match run.and_then(|run| run.parse().ok()) {
            Some(address) => Address::Tcp(address, self.token(argument, address)?),
            None => Address::Socket(match run {
                Some(path) if path.contains('/') => PathBuf::from(path),
                name => select(argument, name, find_runs(&self.folders.search()))?,
            }),
        })
    }

    fn token(&self, argument: &str, address: SocketAddr) -> Result<AccessToken, CommandError> {
        let Some(file) = &self.control_token_file else {
            return Err(CommandError::BadInput(format!(
                "{argument} {address}: an address needs --control-token-file FILE"
            )));
        };
        AccessToken::from_file(file)
            .map_err(|error| CommandError::BadInput(format!("--control-token-file {error}")))
    }
}

/// Selects one of the running divvys.
fn select(
    argument: &str,
    name: Option<&str>,
    runs: Vec<FoundRun>,
) -> Result<PathBuf, CommandError> {
    let count = runs.len();
    let list = runs.iter().map(describe).collect::<Vec<_>>().join(", ");
    let is_named = |run: &FoundRun| {
        let Some(name) = name else { return true };
        let pid = run.info().map(|info| info.pid.to_string());
        run.name == name || pid.as_deref() == Some(name) || run.socket == Path::new(name)
    };
    let mut named: Vec<PathBuf> = runs.into_iter().filter(is_named).map(|run| run.socket).collect();
    let message = match (name, named.len()) {
        (_, 1) => return named.pop().ok_or_else(|| CommandError::Failed(String::new())),
        (_, 0) if count == 0 => "no divvy of this user is running".to_owned(),
        (Some(name), 0) => {
            format!("{argument} {name}: no running divvy has this name; there are: {list}")
        }
        (Some(name), _) => {
            format!(
                "{argument} {name}: several running divvys have this name; pass a socket: {list}"
            )
        }
        (None, _) => format!("{count} divvys are running; choose one with {argument}: {list}"),
    };
    Err(CommandError::BadInput(message))
}

fn describe(run: &FoundRun) -> String {
    match &run.state {
        RunState::Answers(info) => format!("{} ({})", run.name, info.pid),
        RunState::Silent(_) => format!("{} (no answer)", run.name),
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused(detail)
                if matches!(detail.kind, ErrorKind::BadRequest | ErrorKind::NotFound) =>
            {
                Self::BadInput(error.to_string())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::api::RunInfo;

    fn run(name: &str, pid: u32) -> FoundRun {
        FoundRun {
            name: name.to_owned(),
            socket: format!("/run/{name}.sock").into(),
            state: RunState::Answers(Box::new(RunInfo { pid, ..RunInfo::default() })),
        }
    }

    #[test]
    fn run_is_chosen_by_name_or_pid() {
        let runs = vec![run("demo", 7), run("night", 8)];
        for name in ["night", "8"] {
            assert_eq!(
                select("--run", Some(name), runs.clone()).unwrap(),
                Path::new("/run/night.sock")
            );
        }
        assert_eq!(
            select("--run", None, vec![run("demo", 7)]).unwrap(),
            Path::new("/run/demo.sock")
        );
    }

    #[test]
    fn unclear_choice_lists_the_runs() {
        let runs = vec![run("demo", 7), run("night", 8)];
        for name in [None, Some("day")] {
            let error = select("--run", name, runs.clone()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains("demo (7), night (8)") && text.contains("--run"), "{text}");
        }
        let error = select("--run", None, Vec::new()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}

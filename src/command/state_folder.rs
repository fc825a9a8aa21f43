//! The folder of everything that outlives a run: the journal, the live layout, the log.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::CommandError;
use crate::machine::special_file_kind;

/// The option that names the state folder.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct StateDir {
    /// The folder of the journal, the live layout and the log.
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
}

impl StateDir {
    /// Returns the named folder, or `divvy` in the user's state folder (`XDG_STATE_HOME`, else
    /// `~/.local/state`; the user's data folder on systems without one). It need not exist.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] when no folder is named and the user has no home folder, when the
    /// path is not a folder, or when it contains a pipe, a device or a socket, which could block divvy.
    pub fn folder(&self) -> Result<PathBuf, CommandError> {
        let folder = self.path()?;
        if folder.exists() && !folder.is_dir() {
            return Err(CommandError::BadInput(format!(
                "{}: this is not a folder, so divvy cannot keep its state there; name another folder \
                 with --state-dir",
                folder.display()
            )));
        }
        check_entries(&folder)?;
        Ok(folder)
    }

    fn path(&self) -> Result<PathBuf, CommandError> {
        if let Some(folder) = &self.state_dir {
            return std::path::absolute(folder).map_err(|error| {
                CommandError::BadInput(format!("--state-dir {}: {error}", folder.display()))
            });
        }
        let user = etcetera::choose_base_strategy().map_err(|error| {
            CommandError::BadInput(format!(
                "no folder for the journal and the live layout: {error}; name one with --state-dir"
            ))
        })?;
        Ok(user.state_dir().unwrap_or_else(|| user.data_dir()).join("divvy"))
    }
}

/// Rejects a folder with an entry that blocks when it is opened.
fn check_entries(folder: &Path) -> Result<(), CommandError> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if let Some(kind) = special_file_kind(&path) {
            return Err(CommandError::BadInput(format!(
                "{}: this is {kind} in the state folder, where divvy keeps regular files; remove \
                 it, or name another folder with --state-dir",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Creates the folder.
///
/// # Errors
/// A message for the user.
pub fn create(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| {
        format!(
            "cannot create the state folder {}: {error}; name another one with --state-dir",
            folder.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_folder_becomes_absolute() {
        let named = StateDir { state_dir: Some("some/where".into()) };
        let folder = named.folder().unwrap();
        assert!(folder.is_absolute() && folder.ends_with("some/where"));
    }
}

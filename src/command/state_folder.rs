//! Where divvy keeps what outlives a run: the journal, the live layout, the log.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::CommandError;

/// The option that names the folder, shared by the commands that have it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct StateDir {
    /// The folder of the journal, the live layout and the log.
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
}

impl StateDir {
    /// The folder: the one that was named, or `divvy` in the user's state folder (`XDG_STATE_HOME`,
    /// else `~/.local/state`; where the system has none, the user's data folder). It need not exist.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] when none was named and the user has no home folder.
    pub fn folder(&self) -> Result<PathBuf, CommandError> {
        if let Some(folder) = &self.state_dir {
            return std::path::absolute(folder).map_err(|error| {
                CommandError::BadInput(format!("--state-dir {}: {error}", folder.display()))
            });
        }
        let user = etcetera::choose_base_strategy().map_err(|error| {
            CommandError::BadInput(format!(
                "no place for the journal: {error}; name a folder with --state-dir"
            ))
        })?;
        Ok(user.state_dir().unwrap_or_else(|| user.data_dir()).join("divvy"))
    }
}

/// Makes the folder; a sentence where it cannot be made.
///
/// # Errors
/// The sentence.
pub fn make(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| {
        format!(
            "cannot make the state folder {}: {error}; --state-dir names another",
            folder.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_folder_is_used_as_it_is_and_absolute() {
        let named = StateDir { state_dir: Some("some/where".into()) };
        let folder = named.folder().unwrap();
        assert!(folder.is_absolute() && folder.ends_with("some/where"));
    }
}

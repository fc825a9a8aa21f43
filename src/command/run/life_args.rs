//! Arguments of the life of a run: its start, its end, and its layout file.

use super::startup_layout::StartupLayout;
use crate::command::CommandError;

/// Arguments of the life of a run.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Life of the run")]
pub struct LifeArgs {
    /// Run in the background, apart from this terminal: divvy returns when every model is ready, and prints how
    /// to attach. If models fail, the exit code is 1 and the run goes on; with --strict it ends with 2.
    #[arg(long, conflicts_with = "no_control")]
    pub detach: bool,
    /// Follow the layout file: apply its changes when another program has saved it, as `divvy reload` does.
    #[arg(long, conflicts_with_all = ["demo", "readonly"])]
    pub watch: bool,
    /// Start with the layout of the last run of this --name, as it was changed in that run. The first run of a
    /// name starts with LAYOUT.
    #[arg(long, requires = "name", conflicts_with = "last")]
    pub resume: bool,
    /// This is the run that --detach has started.
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub detached: bool,
}

impl LifeArgs {
    /// Checks the arguments against the layout that has been opened.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] for a layout without a file to watch.
    pub(super) fn check(&self, opened: &StartupLayout) -> Result<(), CommandError> {
        if self.watch && opened.path.is_none() {
            return Err(CommandError::BadInput(format!(
                "--watch: {} has no file to watch; pass a layout file",
                opened.title
            )));
        }
        Ok(())
    }
}

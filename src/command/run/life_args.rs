//! Arguments of the life of a run: its start, its end, and its layout file.

/// Arguments of the life of a run.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Life of the run")]
pub struct LifeArgs {
    /// Run in the background, apart from this terminal: divvy returns when every model is ready, and prints how
    /// to attach. If models fail, the exit code is 1 and the run goes on; with --strict it ends with 2.
    #[arg(long, conflicts_with = "no_control")]
    pub detach: bool,
    /// This is the run that --detach has started.
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub detached: bool,
}

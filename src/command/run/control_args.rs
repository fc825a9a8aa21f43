//! Arguments of the control socket.

use std::path::PathBuf;

use crate::control::RunName;
use crate::server::ListenAddress;

/// Arguments of the control socket.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Control")]
pub struct ControlArgs {
    /// The name of this run, by which `divvy ls` and `--run` know it [default: the layout's name, with a number
    /// behind it if a running divvy has it].
    #[arg(long, value_name = "NAME")]
    pub name: Option<RunName>,
    /// The folder of the control socket [default: divvy in `$XDG_RUNTIME_DIR`, else /run/divvy for root,
    /// else /tmp/divvy-UID].
    #[arg(long, value_name = "FOLDER")]
    pub control_dir: Option<PathBuf>,
    /// Open no control socket: no other program can watch or change this run.
    #[arg(long, conflicts_with_all = ["name", "control_dir"])]
    pub no_control: bool,
    /// Let this group watch the run, but not change it, on a second socket.
    #[arg(long, value_name = "GROUP", conflicts_with = "no_control")]
    pub readers: Option<String>,
    /// The folder of that socket [default: /run/divvy-readers].
    #[arg(long, value_name = "FOLDER", requires = "readers")]
    pub readers_dir: Option<PathBuf>,
    /// Offer the control interface on this TCP address too: a port of this machine, or an IP address and a port.
    /// Repeatable.
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "control_token_file",
        conflicts_with = "no_control"
    )]
    pub control: Vec<ListenAddress>,
    /// The file of the token that clients of --control send (Authorization: Bearer TOKEN). Not the one of
    /// --token-file.
    #[arg(long, value_name = "FILE", requires = "control")]
    pub control_token_file: Option<PathBuf>,
    /// Let changes over TCP name model files, processes, commands and metrics pages that the layout did not name at
    /// the start.
    #[arg(long, requires = "control")]
    pub allow_remote_paths: bool,
}

//! Arguments of the control socket.

use std::path::PathBuf;

use crate::control::RunName;

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
}

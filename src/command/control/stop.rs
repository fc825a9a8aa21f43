//! `divvy stop`: ends a running divvy in order.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::applied::OutputForm;
use super::select::RunSelection;
use crate::command::CommandError;
use crate::command::stdout::{print_json, print_text};
use crate::control::ClientError;
use crate::layout::parse_duration;

/// Time between two looks at the run.
const POLL: Duration = Duration::from_millis(100);

/// Arguments of `divvy stop`.
#[derive(Clone, Debug, clap::Args)]
pub struct StopArgs {
    /// The longest wait for the end. The run gets no second signal; a drain takes at most its --drain.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub timeout: Duration,
    /// The running divvy.
    #[command(flatten)]
    pub run: RunSelection,
    /// The output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// Ends a run as SIGTERM does, and waits until it has ended.
///
/// # Errors
/// [`CommandError::Failed`] if it has not ended in time.
pub fn stop(args: &StopArgs) -> Result<(), CommandError> {
    let client = args.run.client()?;
    let name = client.info()?.name;
    let stopping = client.stop()?;
    if !args.form.json {
        writeln!(std::io::stderr(), "divvy: {name} ({}) finishes its requests", stopping.pid)?;
    }
    let client = client.with_timeout(Duration::from_secs(5));
    let end = Instant::now() + args.timeout;
    loop {
        match client.info() {
            // another run may have its name by now
            Ok(info) if info.pid == stopping.pid => {}
            // its last threads are ending
            Err(ClientError::Silent(_)) => {}
            Ok(_) | Err(_) => break,
        }
        if Instant::now() > end {
            return Err(CommandError::Failed(format!(
                "{name} ({}) has not ended yet; a signal (kill {}) ends its drain",
                stopping.pid, stopping.pid
            )));
        }
        sleep(POLL);
    }
    if args.form.json { print_json(&stopping) } else { print_text(format!("{name} has ended\n")) }
}

//! Commands that divvy starts: their start, output, restarts, end, and adoption by the next run.
//!
//! A [`StartedCommand`] has one thread, the [supervisor](supervisor), which decides; one thread per process
//! that it starts, which waits for its end; and two that pass its output to the log.

mod command_tree;
mod end_tree;
mod line_limit;
mod line_splitter;
mod output;
mod output_source;
mod records;
mod restart_pauses;
mod spawn;
mod spawn_error;
mod started_command;
mod supervisor;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

pub(in crate::process) use records::CommandRecords;
pub(in crate::process) use started_command::{CommandContext, StartedCommand};

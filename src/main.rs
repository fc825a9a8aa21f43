//! The `divvy` executable: parses the command line, runs the command, sets the exit code.

use std::process::ExitCode;

use clap::Parser;
use divvy::cli::Cli;
use divvy::machine::allocation::CountingAllocator;

/// Counts memory per model.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("divvy: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

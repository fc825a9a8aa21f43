//! The `divvy` executable: parses the command line, runs the command, sets the exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use divvy::cli::{Cli, end_beside_engines};
use divvy::machine::allocation::CountingAllocator;

/// Counts memory per model.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    let result = Cli::parse().run();
    let code = result.err().map_or(0, |error| {
        // a terminal that is gone must not change the exit code
        let _ = writeln!(std::io::stderr(), "divvy: {error}");
        error.exit_code()
    });
    end_beside_engines(code);
    ExitCode::from(code)
}

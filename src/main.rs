//! The `divvy` executable: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use divvy::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("divvy: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

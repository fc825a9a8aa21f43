//! `divvy man`: generates the manual pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use super::CommandError;
use super::stdout::print_text;
use crate::machine::replace_file;

/// Arguments of `divvy man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write divvy.1 and one page per subcommand into this folder, instead of divvy.1 to standard
    /// output.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the page of `command`, or writes all pages into a folder.
///
/// # Errors
/// [`CommandError::Failed`] when the folder or standard output cannot be written.
pub fn run(args: &ManArgs, command: Command) -> Result<(), CommandError> {
    match &args.out {
        Some(folder) => write_pages(folder, command),
        None => print_text(page(command)?),
    }
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

fn write_pages(folder: &Path, command: Command) -> Result<(), CommandError> {
    let failed = |path: &Path, error: &io::Error| {
        CommandError::Failed(format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut command = command.disable_help_subcommand(true);
    // `build` gives subcommands the names of their pages ("divvy-man")
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for command in pages {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let path = folder.join(format!("{name}.1"));
        replace_file(&path, &page(command.clone())?).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwritable_folder_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let args = ManArgs { out: Some(file.path().join("man")) };
        let error = run(&args, Command::new("divvy")).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
    }
}

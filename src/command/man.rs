//! `divvy man`: the manual pages, from the one definition of the command line.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::CommandError;
use crate::cli::Cli;

/// Arguments of `divvy man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write divvy.1 and a page for each subcommand into this folder, instead of divvy.1 to stdout.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints or writes the pages.
///
/// # Errors
/// When the folder or stdout cannot be written; a stdout that is closed early is no error.
pub fn run(args: &ManArgs) -> Result<(), CommandError> {
    if let Some(folder) = &args.out {
        return write_pages(folder);
    }
    match io::stdout().write_all(&page(Cli::command())?) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

fn write_pages(folder: &Path) -> Result<(), CommandError> {
    let failed = |path: &Path, error: &io::Error| {
        CommandError::Failed(format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    // built commands carry the names of their own pages ("divvy-man")
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for command in pages {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(command.clone())?).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gets_a_page_for_each_subcommand() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("man");
        run(&ManArgs { out: Some(out.clone()) }).unwrap();
        let mut expected: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|command| format!("divvy-{}.1", command.get_name()))
            .collect();
        expected.push("divvy.1".to_owned());
        expected.sort();
        let mut written: Vec<String> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        written.sort();
        assert_eq!(written, expected);
        let page = fs::read_to_string(out.join("divvy-man.1")).unwrap();
        assert!(page.contains(".TH divvy-man 1"), "{page}");
        assert!(page.contains("DIR"), "{page}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = run(&ManArgs { out: Some(file.path().join("man")) }).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
    }
}

//! `divvy config`: the console's config file, where it is looked for and what can stand in it.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::CommandError;
use crate::console::{Config, default_config};
use crate::machine::special_file_kind;

/// Names the config file, where `--config` does not.
pub const VARIABLE: &str = "DIVVY_CONFIG";

/// Arguments of `divvy config`.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct ConfigArgs {
    /// Print the default config file, every setting commented out.
    #[arg(long)]
    pub print: bool,
    /// Print where the config file is looked for.
    #[arg(long)]
    pub path: bool,
}

/// Prints what was asked for.
///
/// # Errors
/// [`CommandError::BadInput`] when the user has no home folder, [`CommandError::Failed`] when
/// standard output cannot be written.
pub fn run(args: &ConfigArgs) -> Result<(), CommandError> {
    let text = if args.path {
        let place = place(None, std::env::var_os(VARIABLE))?;
        format!("{}\n", place.path.display())
    } else {
        default_config()
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // the reader of a pipe has seen enough
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Where the config file is.
struct Place {
    path: PathBuf,
    /// Whether the user named it: then it must be there.
    named: bool,
}

/// `--config`, else the variable, else `divvy/config.toml` in the user's configuration folder.
fn place(given: Option<&Path>, variable: Option<OsString>) -> Result<Place, CommandError> {
    let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = given.map(Path::to_owned).or(variable) {
        return Ok(Place { path, named: true });
    }
    let user = etcetera::choose_base_strategy().map_err(|error| {
        CommandError::BadInput(format!(
            "no place for a config file: {error}; name one with --config"
        ))
    })?;
    Ok(Place { path: user.config_dir().join("divvy/config.toml"), named: false })
}

/// Reads the config file: the named one, else the user's, which need not be there.
///
/// # Errors
/// [`CommandError::BadInput`] with file, line and column when it is no valid config, or when a file
/// that was named is not there.
pub fn read(given: Option<&Path>) -> Result<Config, CommandError> {
    read_from(&place(given, std::env::var_os(VARIABLE))?)
}

fn read_from(place: &Place) -> Result<Config, CommandError> {
    let name = place.path.display();
    if let Some(kind) = special_file_kind(&place.path) {
        return Err(CommandError::BadInput(format!(
            "{name}: this is {kind}, not a config file; name a regular file with --config"
        )));
    }
    let text = match std::fs::read_to_string(&place.path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !place.named => {
            return Ok(Config::default());
        }
        Err(error) => {
            return Err(CommandError::BadInput(format!(
                "{name}: {error}; `divvy config --print` shows what can stand in a config file"
            )));
        }
    };
    text.parse().map_err(|reason| CommandError::BadInput(format!("{name}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Place { path, named: false })
    }

    #[test]
    fn the_argument_wins_over_the_variable_and_both_must_be_there() {
        let given = place(Some(Path::new("a.toml")), Some("b.toml".into())).unwrap();
        assert_eq!(given.path, Path::new("a.toml"));
        let variable = place(None, Some("/nowhere/b.toml".into())).unwrap();
        assert_eq!(variable.path, Path::new("/nowhere/b.toml"));
        let error = read_from(&variable).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("/nowhere/b.toml"), "{error}");
        let own = place(None, Some(OsString::new())).unwrap();
        assert!(!own.named && own.path.ends_with("divvy/config.toml"));
    }

    #[test]
    fn a_file_that_is_not_there_leaves_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { path: folder.path().join("config.toml"), named: false };
        assert_eq!(read_from(&place).unwrap(), Config::default());
        let (_kept, place) = file(&default_config());
        assert_eq!(read_from(&place).unwrap(), Config::default());
    }

    #[test]
    fn a_fault_is_told_with_file_line_and_column() {
        let (_kept, place) = file("mouse = true\ntheme = \"beige\"\n");
        let error = read_from(&place).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        for word in ["config.toml", "line 2", "column 9", "beige"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

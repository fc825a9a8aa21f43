//! `divvy config`: the path and the default content of the console's config file.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::CommandError;
use super::stdout::print_text;
use crate::console::{Config, default_config};
use crate::machine::special_file_kind;

/// The variable that names the config file; `--config` overrides it.
pub const VARIABLE: &str = "DIVVY_CONFIG";

/// Arguments of `divvy config`.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct ConfigArgs {
    /// Print the default config file, with every setting commented out.
    #[arg(long)]
    pub print: bool,
    /// Print the path of the config file that the console reads.
    #[arg(long)]
    pub path: bool,
}

/// Prints the default config file, or the path.
///
/// # Errors
/// [`CommandError::BadInput`] when the user has no home folder, [`CommandError::Failed`] when
/// standard output cannot be written.
pub fn run(args: &ConfigArgs) -> Result<(), CommandError> {
    let text = if args.path {
        let file = config_file(None, std::env::var_os(VARIABLE))?;
        format!("{}\n", file.path.display())
    } else {
        default_config()
    };
    print_text(text)
}

/// The config file.
struct ConfigFile {
    path: PathBuf,
    /// True if the user named it: then it must exist.
    named: bool,
}

/// Returns `--config`, else the variable, else `divvy/config.toml` in the user's configuration
/// folder.
fn config_file(
    given: Option<&Path>,
    variable: Option<OsString>,
) -> Result<ConfigFile, CommandError> {
    let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = given.map(Path::to_owned).or(variable) {
        return Ok(ConfigFile { path, named: true });
    }
    let user = etcetera::choose_base_strategy().map_err(|error| {
        CommandError::BadInput(format!(
            "no folder for the config file: {error}; name the file with --config"
        ))
    })?;
    Ok(ConfigFile { path: user.config_dir().join("divvy/config.toml"), named: false })
}

/// Reads the config file: the named one, else the user's, which need not exist.
///
/// # Errors
/// [`CommandError::BadInput`] with file, line and column when it is not a valid config file, or when
/// a named file does not exist.
pub fn read(given: Option<&Path>) -> Result<Config, CommandError> {
    read_from(&config_file(given, std::env::var_os(VARIABLE))?)
}

fn read_from(file: &ConfigFile) -> Result<Config, CommandError> {
    let name = file.path.display();
    if let Some(kind) = special_file_kind(&file.path) {
        return Err(CommandError::BadInput(format!(
            "{name}: this is {kind}, not a config file; name a regular file with --config"
        )));
    }
    let text = match std::fs::read_to_string(&file.path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !file.named => {
            return Ok(Config::default());
        }
        Err(error) => {
            return Err(CommandError::BadInput(format!(
                "{name}: cannot read the config file: {error}; `divvy config --print` prints a default one"
            )));
        }
    };
    text.parse().map_err(|reason| CommandError::BadInput(format!("{name}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, ConfigFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (folder, ConfigFile { path, named: false })
    }

    #[test]
    fn argument_overrides_variable() {
        let given = config_file(Some(Path::new("a.toml")), Some("b.toml".into())).unwrap();
        assert_eq!(given.path, Path::new("a.toml"));
        let variable = config_file(None, Some("/nowhere/b.toml".into())).unwrap();
        assert_eq!(variable.path, Path::new("/nowhere/b.toml"));
        let error = read_from(&variable).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("/nowhere/b.toml"), "{error}");
        let own = config_file(None, Some(OsString::new())).unwrap();
        assert!(!own.named && own.path.ends_with("divvy/config.toml"));
    }

    #[test]
    fn missing_file_means_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = ConfigFile { path: folder.path().join("config.toml"), named: false };
        assert_eq!(read_from(&file).unwrap(), Config::default());
        let (_folder, file) = written(&default_config());
        assert_eq!(read_from(&file).unwrap(), Config::default());
    }

    #[test]
    fn fault_names_file_line_column() {
        let (_folder, file) = written("mouse = true\ntheme = \"beige\"\n");
        let error = read_from(&file).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        for word in ["config.toml", "line 2", "column 9", "beige"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

//! The tokens of a run's clients and the files from which a reload reads them again.

use std::path::{Path, PathBuf};

use crate::machine::{AccessToken, SharedToken};

/// A token in force, its file, and the option that names the file.
#[derive(Clone, Debug)]
pub(super) struct TokenFile {
    /// The option.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The token.
    pub token: SharedToken,
}

/// The tokens of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct RunTokens {
    /// The token of clients of the models (`--token-file`).
    pub clients: Option<TokenFile>,
    /// The token of clients of the control interface (`--control-token-file`).
    pub control: Option<TokenFile>,
}

/// The tokens that the files have now. They are not in force yet.
pub(super) struct NewTokens {
    clients: Option<AccessToken>,
    control: Option<AccessToken>,
}

/// The tokens that differ from those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplacedTokens {
    /// True if clients of the models need another token.
    pub clients: bool,
    /// True if clients of the control interface need another token.
    pub control: bool,
}

impl RunTokens {
    /// Reads the files again.
    ///
    /// # Errors
    /// A message that names the option of a file that cannot be used.
    pub(super) fn reread(&self) -> Result<NewTokens, String> {
        let read = |file: &Option<TokenFile>| {
            file.as_ref().map(|file| read_token(file.option, &file.path)).transpose()
        };
        let new = NewTokens { clients: read(&self.clients)?, control: read(&self.control)? };
        if let (Some(clients), Some(control), Some(file)) =
            (&new.clients, &new.control, &self.control)
        {
            check_apart(clients, control, &file.path)?;
        }
        Ok(new)
    }

    /// Puts new tokens in force.
    pub(super) fn replace(&self, new: NewTokens) -> ReplacedTokens {
        let replace = |file: &Option<TokenFile>, token: Option<AccessToken>| {
            file.as_ref().zip(token).is_some_and(|(file, token)| file.token.replace(token))
        };
        ReplacedTokens {
            clients: replace(&self.clients, new.clients),
            control: replace(&self.control, new.control),
        }
    }
}

/// Reads the token of an option.
///
/// # Errors
/// A message that names the option.
pub(super) fn read_token(option: &str, path: &Path) -> Result<AccessToken, String> {
    AccessToken::from_file(path).map_err(|error| format!("{option} {error}"))
}

/// Checks that clients of the models cannot control the run.
///
/// # Errors
/// A message if both tokens are the same.
pub(super) fn check_apart(
    clients: &AccessToken,
    control: &AccessToken,
    control_file: &Path,
) -> Result<(), String> {
    if clients != control {
        return Ok(());
    }
    Err(format!(
        "--control-token-file {}: this is the token of the clients of the models (--token-file); write another \
         one, so that they cannot control this run",
        control_file.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a token file with this token, which is in force.
    fn token_file(option: &'static str, path: PathBuf, token: &str) -> TokenFile {
        std::fs::write(&path, token).unwrap();
        TokenFile { option, path, token: SharedToken::new(AccessToken::new(token)) }
    }

    #[test]
    fn same_new_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |option, name: &str, token| token_file(option, folder.path().join(name), token);
        let tokens = RunTokens {
            clients: Some(file("--token-file", "clients", "0123456789abcdef")),
            control: Some(file("--control-token-file", "control", "fedcba9876543210")),
        };
        let write = |name, token| std::fs::write(folder.path().join(name), token).unwrap();
        write("control", "0123456789abcdef");
        let error = tokens.reread().err().unwrap();
        assert!(error.contains("--control-token-file") && error.contains("another one"), "{error}");
        write("control", "short");
        assert!(tokens.reread().err().unwrap().contains("16 characters"));
        write("control", "0011223344556677");
        let replaced = tokens.replace(tokens.reread().unwrap());
        assert_eq!(replaced, ReplacedTokens { clients: false, control: true });
        let control = tokens.control.unwrap().token;
        assert!(control.allows(Some(b"Bearer 0011223344556677")));
        assert!(!control.allows(Some(b"Bearer fedcba9876543210")));
    }
}

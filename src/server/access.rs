//! The check of a client's token.

use std::path::Path;

use thiserror::Error;

use crate::machine::{AccessToken, AccessTokenError};

/// The clients that may use the server: all of them, or those that know a token. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Access {
    token: Option<AccessToken>,
}

/// The reason why a token file cannot be used.
#[derive(Debug, Error)]
#[error("--token-file {0}")]
pub struct AccessError(#[from] AccessTokenError);

impl Access {
    /// Returns the access of all clients.
    pub fn open() -> Self {
        Self::default()
    }

    /// Returns the access of clients that send this token.
    pub fn with_token(token: &str) -> Self {
        Self { token: Some(AccessToken::new(token)) }
    }

    /// Reads the token from a file, as [`AccessToken::from_file`] does.
    ///
    /// # Errors
    /// [`AccessError`] if the file cannot be used.
    pub fn from_file(path: &Path) -> Result<Self, AccessError> {
        Ok(Self { token: Some(AccessToken::from_file(path)?) })
    }

    /// Returns true if clients need a token.
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Checks the value of an `Authorization` header, in a time that does not depend on the token.
    pub fn allows(&self, authorization: Option<&[u8]>) -> bool {
        self.token.as_ref().is_none_or(|token| token.allows(authorization))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_the_option() {
        let error = Access::from_file(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.starts_with("--token-file /nowhere: "), "{error}");
        assert!(Access::open().allows(None));
        assert!(!Access::with_token("0123456789abcdef").allows(None));
    }
}

//! The check of a client's token.

use std::path::Path;

use thiserror::Error;

use crate::machine::{AccessToken, AccessTokenError, SharedToken};

/// The clients that may use the server: all of them, or those that know a token. Cheap to clone; copies share
/// the token.
#[derive(Clone, Debug, Default)]
pub struct Access {
    token: Option<SharedToken>,
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
        Self::of(AccessToken::new(token))
    }

    /// Reads the token from a file, as [`AccessToken::from_file`] does.
    ///
    /// # Errors
    /// [`AccessError`] if the file cannot be used.
    pub fn from_file(path: &Path) -> Result<Self, AccessError> {
        Ok(Self::of(AccessToken::from_file(path)?))
    }

    fn of(token: AccessToken) -> Self {
        Self { token: Some(SharedToken::new(token)) }
    }

    /// Returns the token, which can be replaced while the server runs; `None` if clients need none.
    pub fn token(&self) -> Option<SharedToken> {
        self.token.clone()
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

    #[test]
    fn copies_share_a_new_token() {
        let access = Access::with_token("0123456789abcdef");
        let copy = access.clone();
        assert!(access.token().unwrap().replace(AccessToken::new("fedcba9876543210")));
        assert!(copy.allows(Some(b"Bearer fedcba9876543210")));
        assert!(!copy.allows(Some(b"Bearer 0123456789abcdef")));
        assert!(Access::open().token().is_none());
    }
}

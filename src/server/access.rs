//! The check of a client's token.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::machine::{AccessToken, AccessTokenError};

/// The clients that may use the server: all of them, or those that know a token. Cheap to clone; copies share
/// the token.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Shared by all copies, so that another token is in force everywhere at once.
    token: Option<Arc<ArcSwap<AccessToken>>>,
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
        Self { token: Some(Arc::new(ArcSwap::from_pointee(token))) }
    }

    /// Replaces the token of clients that need one. Requests with the old one are refused from then on. Returns
    /// false if it is the same.
    pub fn replace(&self, token: AccessToken) -> bool {
        let Some(present) = &self.token else { return false };
        let is_new = **present.load() != token;
        if is_new {
            present.store(Arc::new(token));
        }
        is_new
    }

    /// Returns true if clients need a token.
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Checks the value of an `Authorization` header, in a time that does not depend on the token.
    pub fn allows(&self, authorization: Option<&[u8]>) -> bool {
        self.token.as_ref().is_none_or(|token| token.load().allows(authorization))
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
        assert!(!access.replace(AccessToken::new("0123456789abcdef")));
        assert!(access.replace(AccessToken::new("fedcba9876543210")));
        assert!(copy.allows(Some(b"Bearer fedcba9876543210")));
        assert!(!copy.allows(Some(b"Bearer 0123456789abcdef")));
        assert!(!Access::open().replace(AccessToken::new("fedcba9876543210")));
    }
}

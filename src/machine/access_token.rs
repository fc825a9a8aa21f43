//! Secret tokens of clients: read from files, compared in a time that does not depend on them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use thiserror::Error;

/// The fewest characters of a token.
const SHORTEST: usize = 16;

/// A token that clients send. Cheap to clone.
#[derive(Clone)]
pub struct AccessToken(Arc<[u8]>);

/// The reason why a token file cannot be used.
#[derive(Debug, Error)]
pub enum AccessTokenError {
    /// It cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's message.
        reason: String,
    },
    /// Its token is too short.
    #[error("{0}: the token is shorter than 16 characters; write a longer one into the file")]
    Short(String),
}

impl AccessToken {
    /// Makes a token of its text.
    pub fn new(token: &str) -> Self {
        Self(token.as_bytes().into())
    }

    /// Reads the token from a file: its text without the white space around it.
    ///
    /// # Errors
    /// [`AccessTokenError`] if the file cannot be read or its token is shorter than 16 characters.
    pub fn from_file(path: &Path) -> Result<Self, AccessTokenError> {
        let text = std::fs::read_to_string(path).map_err(|error| AccessTokenError::Unreadable {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let token = text.trim();
        if token.len() < SHORTEST {
            return Err(AccessTokenError::Short(path.display().to_string()));
        }
        Ok(Self::new(token))
    }

    /// Checks the value of an `Authorization` header.
    pub fn allows(&self, authorization: Option<&[u8]>) -> bool {
        let sent = authorization.and_then(|value| {
            let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
        });
        sent.is_some_and(|sent| sent.ct_eq(&self.0).into())
    }

    /// Returns the value of an `Authorization` header.
    pub fn authorization(&self) -> Vec<u8> {
        [b"Bearer ", &*self.0].concat()
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AccessToken {}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_allowed() {
        let access = AccessToken::new("0123456789abcdef");
        assert!(access.allows(Some(b"Bearer 0123456789abcdef")));
        assert!(access.allows(Some(b"bearer 0123456789abcdef")));
        assert!(access.allows(Some(&access.authorization())));
        let wrong: [Option<&[u8]>; 4] = [
            None,
            Some(b"0123456789abcdef"),
            Some(b"Bearer 0123456789abcdeX"),
            Some(b"Bearer 0123456789abcdef0"),
        ];
        for wrong in wrong {
            assert!(!access.allows(wrong), "{wrong:?}");
        }
        assert!(!format!("{access:?}").contains("0123"));
    }

    #[test]
    fn short_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "  short\n").unwrap();
        assert!(matches!(AccessToken::from_file(&path), Err(AccessTokenError::Short(_))));
        std::fs::write(&path, "  0123456789abcdef\n").unwrap();
        let token = AccessToken::from_file(&path).unwrap();
        assert!(token.allows(Some(b"Bearer 0123456789abcdef")));
    }
}

//! The check of a client's token.

use std::path::Path;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use thiserror::Error;

/// The clients that may use the server: all of them, or those that know a token. Cheap to clone.
#[derive(Clone, Default)]
pub struct Access {
    token: Option<Arc<[u8]>>,
}

/// The reason why a token file cannot be used.
#[derive(Debug, Error)]
pub enum AccessError {
    /// It cannot be read.
    #[error("--token-file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's message.
        reason: String,
    },
    /// Its token is too short.
    #[error(
        "--token-file {0}: the token is shorter than 16 characters; write a longer one into the file"
    )]
    Short(String),
}

/// The fewest characters of a token.
const SHORTEST: usize = 16;

impl Access {
    /// Returns the access of all clients.
    pub fn open() -> Self {
        Self::default()
    }

    /// Returns the access of clients that send this token.
    pub fn with_token(token: &str) -> Self {
        Self { token: Some(token.as_bytes().into()) }
    }

    /// Reads the token from a file: its text without the white space around it.
    ///
    /// # Errors
    /// [`AccessError`] if the file cannot be read or its token is shorter than 16 characters.
    pub fn from_file(path: &Path) -> Result<Self, AccessError> {
        let text = std::fs::read_to_string(path).map_err(|error| AccessError::Unreadable {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let token = text.trim();
        if token.len() < SHORTEST {
            return Err(AccessError::Short(path.display().to_string()));
        }
        Ok(Self::with_token(token))
    }

    /// Returns true if clients need a token.
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Checks the value of an `Authorization` header, in a time that does not depend on the token.
    pub fn allows(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else { return true };
        let sent = authorization.and_then(|value| {
            let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
        });
        sent.is_some_and(|sent| sent.ct_eq(token).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_allowed() {
        let access = Access::with_token("0123456789abcdef");
        assert!(access.allows(Some(b"Bearer 0123456789abcdef")));
        assert!(access.allows(Some(b"bearer 0123456789abcdef")));
        let wrong: [Option<&[u8]>; 4] = [
            None,
            Some(b"0123456789abcdef"),
            Some(b"Bearer 0123456789abcdeX"),
            Some(b"Bearer 0123456789abcdef0"),
        ];
        for wrong in wrong {
            assert!(!access.allows(wrong), "{wrong:?}");
        }
        assert!(Access::open().allows(None));
    }

    #[test]
    fn short_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "  short\n").unwrap();
        assert!(matches!(Access::from_file(&path), Err(AccessError::Short(_))));
        std::fs::write(&path, "  0123456789abcdef\n").unwrap();
        assert!(Access::from_file(&path).unwrap().allows(Some(b"Bearer 0123456789abcdef")));
    }
}

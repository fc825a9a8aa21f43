//! A token that a reload replaces while it is in use.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::access_token::AccessToken;

/// A token that can be replaced while it is in use. Cheap to clone; copies share it, so that another token is in
/// force everywhere at once.
#[derive(Clone, Debug)]
pub struct SharedToken(Arc<ArcSwap<AccessToken>>);

impl SharedToken {
    /// Shares a token.
    pub fn new(token: AccessToken) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(token)))
    }

    /// Replaces the token. Requests with the old one are refused from then on. Returns false if it is the same.
    pub fn replace(&self, token: AccessToken) -> bool {
        let is_new = **self.0.load() != token;
        if is_new {
            self.0.store(Arc::new(token));
        }
        is_new
    }

    /// Checks the value of an `Authorization` header, in a time that does not depend on the token.
    pub fn allows(&self, authorization: Option<&[u8]>) -> bool {
        self.0.load().allows(authorization)
    }

    /// Returns the grant of a request that has the token; `None` if it has not.
    pub fn grant(&self, authorization: Option<&[u8]>) -> Option<TokenGrant> {
        let token = self.0.load_full();
        token.allows(authorization).then(|| TokenGrant { shared: self.clone(), token })
    }
}

/// The grant of a request that had the token. An answer that lasts checks whether the token is still in force.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    shared: SharedToken,
    token: Arc<AccessToken>,
}

impl TokenGrant {
    /// Returns true until the token is replaced.
    pub fn is_in_force(&self) -> bool {
        Arc::ptr_eq(&self.shared.0.load(), &self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Option<&[u8]> = Some(b"Bearer 0123456789abcdef");
    const NEW: Option<&[u8]> = Some(b"Bearer fedcba9876543210");

    #[test]
    fn grant_ends_with_its_token() {
        let token = SharedToken::new(AccessToken::new("0123456789abcdef"));
        assert!(token.grant(NEW).is_none());
        let grant = token.grant(OLD).unwrap();
        assert!(!token.replace(AccessToken::new("0123456789abcdef")));
        assert!(grant.is_in_force());
        assert!(token.replace(AccessToken::new("fedcba9876543210")));
        assert!(!grant.is_in_force());
        assert!(token.grant(NEW).unwrap().is_in_force() && !token.allows(OLD));
    }
}

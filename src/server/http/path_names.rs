//! The names in a path: the model, and its version.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::Response;
use axum::http::request::Parts;

use super::error_answer::message_answer;

/// The names in a path, by the names of their places in the route.
pub(super) struct PathNames(HashMap<String, String>);

impl PathNames {
    /// Returns the name of the model; empty if the route has none.
    pub(super) fn model(&self) -> &str {
        self.0.get("model").map_or("", String::as_str)
    }

    /// Returns the version, if the route has one.
    pub(super) fn version(&self) -> Option<&str> {
        self.0.get("version").map(String::as_str)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathNames {
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            // only a name that is not UTF-8 once its percent codes are decoded
            Err(rejection) => {
                let message = format!("the path cannot be read: {}", rejection.body_text());
                Err(message_answer(rejection.status(), &message))
            }
        }
    }
}

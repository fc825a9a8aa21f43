//! The names in a path: the model, and its version.

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::Response;
use axum::http::request::Parts;

use super::error_answer::message_answer;

/// The names in a path, by the names of their places in the route.
#[derive(Default)]
pub(super) struct PathNames {
    model: String,
    version: Option<String>,
}

impl PathNames {
    /// Returns the name of the model; empty if the route has none.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Returns the version, if the route has one.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathNames {
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match RawPathParams::from_request_parts(parts, state).await {
            Ok(names) => {
                let mut path = Self::default();
                for (name, value) in &names {
                    match name {
                        "model" => value.clone_into(&mut path.model),
                        _ => path.version = Some(value.to_owned()),
                    }
                }
                Ok(path)
            }
            // only a name that is not UTF-8 once its percent codes are decoded
            Err(rejection) => {
                let message = format!("the path cannot be read: {}", rejection.body_text());
                Err(message_answer(rejection.status(), &message))
            }
        }
    }
}

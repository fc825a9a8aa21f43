//! Errors as answers.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;

use super::api::{ErrorBody, ErrorDetail, ErrorKind};
use crate::layout::Refusal;
use crate::scheduler::LayoutStoreError;

/// An error that becomes an answer.
#[derive(Debug)]
pub(super) struct ApiError(pub(super) ErrorDetail);

impl ApiError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(ErrorDetail::new(kind, message))
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl From<LayoutStoreError> for ApiError {
    fn from(error: LayoutStoreError) -> Self {
        let kind = match &error {
            LayoutStoreError::Missing { .. } => ErrorKind::NotFound,
            LayoutStoreError::BadName(_) => ErrorKind::BadRequest,
            LayoutStoreError::NameTaken(_)
            | LayoutStoreError::Changed(_)
            | LayoutStoreError::Invalid(_) => ErrorKind::Refused,
            LayoutStoreError::Io(_) => ErrorKind::Internal,
        };
        let message = error.to_string();
        Self(ErrorDetail { layout: Some(error), ..ErrorDetail::new(kind, message) })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let kind = self.0.kind;
        let status = StatusCode::from_u16(kind.status()).unwrap_or_default();
        let body = serde_json::to_vec(&ErrorBody { error: self.0 }).unwrap_or_default();
        let mut answer = answer_with(status, body);
        if kind == ErrorKind::Unauthorized {
            let bearer = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        answer
    }
}

/// The result of a handler.
pub(super) type Answer = Result<Response<Body>, ApiError>;

/// Returns a value as an answer.
///
/// # Errors
/// [`ErrorKind::Internal`] if the value cannot be written as JSON.
pub(super) fn json(value: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(value)
        .map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))?;
    Ok(answer_with(StatusCode::OK, text))
}

/// Returns an answer of JSON, with a line break at its end for terminals.
fn answer_with(status: StatusCode, mut json: Vec<u8>) -> Response<Body> {
    json.push(b'\n');
    let mut answer = Response::new(Body::from(json));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

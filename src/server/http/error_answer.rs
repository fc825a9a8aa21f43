//! Errors as answers: a status and `{"error": "..."}`.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};

use crate::server::serve_error::{ErrorKind, ServeError};

/// The time after which a client may send again what was refused for lack of room, in seconds.
const RETRY_SECONDS: &str = "1";

/// Returns the answer of an error.
pub(super) fn error_answer(error: &ServeError) -> Response<Body> {
    let mut answer = message_answer(error.kind.status(), &error.message);
    let headers = answer.headers_mut();
    match error.kind {
        ErrorKind::QueueFull | ErrorKind::ServerFull => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        }
        ErrorKind::Unauthorized => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    answer
}

/// Returns an answer with a message as its error.
pub(super) fn message_answer(status: StatusCode, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "error": message }).to_string();
    json_answer(status, text.into())
}

/// Returns an answer of JSON.
pub(super) fn json_answer(status: StatusCode, json: Vec<u8>) -> Response<Body> {
    let mut answer = Response::new(Body::from(json));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

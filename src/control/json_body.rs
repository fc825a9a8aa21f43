//! Bodies of requests: limited in size and time, with messages that say where the fault is.

use std::time::Duration;

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::api::{ChangeBody, ErrorKind};
use super::error::ApiError;
use crate::layout::Edit;

/// The largest body. A layout of a thousand models needs half of it.
const LARGEST: usize = 1 << 20;

/// The longest time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a body.
///
/// # Errors
/// [`ErrorKind::TooLarge`], [`ErrorKind::SlowRequest`], and [`ErrorKind::BadRequest`] if the client ends it early.
async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let collect = Limited::new(body, LARGEST).collect();
    let Ok(collected) = timeout(BODY_TIMEOUT, collect).await else {
        let text = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
        return Err(ApiError::new(ErrorKind::SlowRequest, text));
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::new(ErrorKind::TooLarge, "the body is larger than 1 MiB"))
        }
        Err(error) => Err(ApiError::bad_request(format!("the body cannot be read: {error}"))),
    }
}

/// Reads a body of JSON.
///
/// # Errors
/// As [`read`], and [`ErrorKind::BadRequest`] with the place of the fault.
pub(super) async fn read_json<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    serde_json::from_slice(&read(body).await?).map_err(|error| not_json(&error))
}

/// Reads a body of JSON. An empty one is the default value.
///
/// # Errors
/// As [`read`], and [`ErrorKind::BadRequest`] with the place of the fault.
pub(super) async fn read_optional<T: DeserializeOwned + Default>(
    body: Body,
) -> Result<T, ApiError> {
    let bytes = read(body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| not_json(&error))
}

/// Reads the body of a change.
///
/// # Errors
/// As [`read_optional`]; names the edit that has the fault.
pub(super) async fn read_change(body: Body) -> Result<ChangeBody, ApiError> {
    let bytes = read(body).await?;
    parse_change(&bytes)
}

fn parse_change(bytes: &[u8]) -> Result<ChangeBody, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // within an edit, the error of the whole body has only the place where the edit ends
        let faulty =
            serde_json::from_slice::<Value>(bytes).ok().and_then(|body| faulty_edit(&body));
        faulty.map_or_else(|| not_json(&error), ApiError::bad_request)
    })
}

/// Returns a message about the first edit that cannot be read.
fn faulty_edit(body: &Value) -> Option<String> {
    let edits = body.get("edits")?.as_array()?;
    edits.iter().enumerate().find_map(|(index, edit)| {
        let error = serde_json::from_value::<Edit>(edit.clone()).err()?;
        let kind = edit.get("edit").and_then(Value::as_str).unwrap_or("no kind");
        Some(format!("edits[{index}] ({kind}): {error}{}", field_of(edit, &error.to_string())))
    })
}

/// Returns the field whose value an error of the form "invalid type: string "x", expected ..." is about.
fn field_of(edit: &Value, error: &str) -> String {
    let is_named = |value: &Value| {
        let shown = match value {
            Value::String(text) => format!("string {text:?}"),
            Value::Number(number) if number.is_f64() => format!("floating point `{number}`"),
            Value::Number(number) => format!("integer `{number}`"),
            Value::Bool(value) => format!("boolean `{value}`"),
            Value::Null => "null".to_owned(),
            Value::Array(_) => "sequence".to_owned(),
            Value::Object(_) => "map".to_owned(),
        };
        error.contains(&format!(": {shown},"))
    };
    let fields = edit.as_object().into_iter().flatten();
    let named: Vec<&String> =
        fields.filter(|(_, value)| is_named(value)).map(|(name, _)| name).collect();
    match named[..] {
        [field] => format!(" (field `{field}`)"),
        _ => String::new(),
    }
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("the body: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &str) -> String {
        parse_change(body.as_bytes()).unwrap_err().0.message
    }

    #[test]
    fn fault_names_edit_or_field() {
        for (body, words) in [
            (r#"{"edits": [{"edit": "set_weight", "model": "a"}]}"#, ["edits[0]", "`weight`"]),
            (
                r#"{"edits": [{"edit": "set_weight", "model": "a", "weight": "x"}]}"#,
                ["edits[0] (set_weight)", "`weight`"],
            ),
            (
                r#"{"edits": [{"edit": "pause", "model": 7, "paused": true}]}"#,
                ["edits[0] (pause)", "`model`"],
            ),
            (
                r#"{"edits": [{"edit": "pause", "model": "a", "paused": true}, {}]}"#,
                ["edits[1]", "`edit`"],
            ),
            (r#"{"edits": [{"edit": "set_wieght"}]}"#, ["edits[0]", "set_wieght"]),
            (r#"{"edist": []}"#, ["edist", "`edits`"]),
            (r#"{"edits": 7}"#, ["integer `7`", "line 1"]),
            ("{", ["EOF", "line 1"]),
        ] {
            let message = fault(body);
            assert!(words.iter().all(|word| message.contains(word)), "{body}: {message}");
        }
    }
}

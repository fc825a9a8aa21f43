//! Answers over HTTP/1 that are written without hyper, and bodies for those that hyper gives itself.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest time for a refusal to be sent.
pub(super) const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// The answers that hyper gives by itself have this header and no body.
const NO_BODY: &[u8] = b"\r\ncontent-length: 0\r\n";

/// The statuses of these answers.
const BAD_REQUEST: &str = "400 Bad Request";
const URI_TOO_LONG: &str = "414 URI Too Long";
const HEAD_TOO_LARGE: &str = "431 Request Header Fields Too Large";

/// Returns a whole answer with a message as its error, after which the connection closes. `headers` are lines
/// with their ends.
fn closing_answer(status: &str, headers: &str, message: &str) -> Vec<u8> {
    let body = serde_json::json!({ "error": message }).to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\
         connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends a short answer and closes the connection. It waits for the client's request for a moment, because
/// closing a socket with unread bytes would discard the answer.
pub(super) async fn refuse(mut stream: TcpStream, status: &str, message: &str) {
    let answer = closing_answer(status, "retry-after: 1\r\n", message);
    let send = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // A client that does not read it learns from the closed connection.
    let _ = timeout(REFUSAL_TIME, send).await;
}

/// Returns the answer with a message in the place of one that hyper gives by itself to a head that it cannot
/// read; `None` if `written` is another one. `limit` is that on a head, in bytes.
pub(super) fn explain(written: &[u8], limit: u64) -> Option<Vec<u8>> {
    let rest = written.strip_prefix(b"HTTP/1.1 4")?;
    let has_status = |status: &str| rest.starts_with(status.as_bytes().get(1..).unwrap_or(b"\n"));
    let status = [BAD_REQUEST, URI_TOO_LONG, HEAD_TOO_LARGE]
        .into_iter()
        .find(|status| has_status(status))?;
    if !written.windows(NO_BODY.len()).any(|window| window == NO_BODY) {
        return None;
    }
    let message = match status {
        BAD_REQUEST => {
            "this is no request of HTTP/1.1: its first line or one of its headers is malformed"
                .to_owned()
        }
        URI_TOO_LONG => "the path of the request is too long".to_owned(),
        _ => format!(
            "the request line and the headers together exceed {limit} bytes, or there are too many headers: \
             send fewer, or raise the server's `max_header`"
        ),
    };
    Some(closing_answer(status, "", &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(status: &str) -> Vec<u8> {
        let date = "date: Fri, 27 Nov 2026 20:00:00 GMT";
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n\r\n")
            .into()
    }

    #[test]
    fn bare_answers_get_a_message() {
        for status in [BAD_REQUEST, URI_TOO_LONG, HEAD_TOO_LARGE] {
            let answer = String::from_utf8(explain(&bare(status), 4096).unwrap()).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert!(body["error"].is_string(), "{body}");
        }
    }

    #[test]
    fn other_answers_stay() {
        for status in ["200 OK", "404 Not Found", "503 Service Unavailable"] {
            assert_eq!(explain(&bare(status), 4096), None);
        }
        assert_eq!(explain(&closing_answer(BAD_REQUEST, "", "a fault"), 4096), None);
        assert_eq!(explain(b"", 4096), None);
    }
}

//! A client that sends raw bytes on a connection that it keeps.

use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any answer takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client of the socket.
pub(crate) struct Client {
    socket: PathBuf,
    stream: UnixStream,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), stream: connect(socket) }
    }

    /// Sends a request, and reads its answer. Of a stream, only the head is read.
    pub(crate) fn send(&mut self, request: &[u8]) -> Answer {
        // a host that refuses a request need not read its body
        let sent = self.stream.write_all(request);
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "no answer: {sent:?}");
            bytes.extend_from_slice(&buffer[..count]);
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = bytes.split_off(end);
        let length =
            head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        let has_body = !request.starts_with(b"HEAD ");
        while has_body && body.len() < length {
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the answer is cut short: {head}");
            body.extend_from_slice(&buffer[..count]);
        }
        if head.contains("chunked") || head.contains("connection: close") {
            self.stream = connect(&self.socket);
        }
        Answer { status, head, body }
    }

    /// Sends bytes that may be no request on a connection of their own, and reads what comes back until it is
    /// closed. Returns the status of the first answer, if there is one.
    pub(crate) fn send_apart(&self, bytes: &[u8]) -> Option<u16> {
        let mut stream = connect(&self.socket);
        // the host may have closed it already
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it stays open");
                    break;
                }
            }
            // a stream goes on
            if answer.windows(7).any(|word| word.eq_ignore_ascii_case(b"chunked")) {
                break;
            }
        }
        if answer.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&answer[..answer.len().min(64)]).into_owned();
        Some(text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&text))
    }
}

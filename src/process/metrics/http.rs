//! A blocking HTTP/1.1 GET with a time limit and a size limit.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::fault::PageFault;
use crate::layout::MetricsUrl;

/// Time for a whole page.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Time until a stopped reader is noticed during a read.
const SLICE: Duration = Duration::from_millis(100);

/// Largest page.
pub(super) const MOST_BYTES: usize = 8 << 20;

/// Largest head of an answer, and longest line of a chunk's length.
const MOST_HEAD_BYTES: u64 = 64 << 10;

/// Reads a page into `body`, whose memory is used again.
///
/// # Errors
/// The reason why there is no page, with a remedy.
pub(super) fn get(
    url: &MetricsUrl,
    stopped: &AtomicBool,
    body: &mut Vec<u8>,
) -> Result<(), PageFault> {
    body.clear();
    let deadline = Instant::now() + PATIENCE;
    let mut stream = connect(url, deadline)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: divvy/{}\r\nAccept: text/plain;version=0.0.4, \
         application/openmetrics-text;q=0.5, */*;q=0.1\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\n\r\n",
        url.path(),
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(request.as_bytes()).map_err(PageFault::of_transfer)?;
    let limited = LimitedStream { stream, deadline, stopped, left: MOST_BYTES };
    let mut reader = BufReader::new(limited);
    let framing = read_head(&mut reader)?;
    let read = match framing {
        Framing::Length(length) => read_exactly(&mut reader, length, body),
        Framing::Chunked => read_chunks(&mut reader, body),
        Framing::UntilClosed => reader.read_to_end(body).map(|_| ()),
    };
    read.map_err(PageFault::of_transfer)
}

fn connect(url: &MetricsUrl, deadline: Instant) -> Result<TcpStream, PageFault> {
    let addresses = (url.host(), url.port()).to_socket_addrs().map_err(PageFault::UnknownHost)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(SLICE);
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                let limits = stream
                    .set_read_timeout(Some(SLICE))
                    .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
                limits.map_err(PageFault::of_transfer)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(PageFault::of_connection(last))
}

/// The end of an answer's body.
enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

fn read_head(reader: &mut impl BufRead) -> Result<Framing, PageFault> {
    let mut head = reader.take(MOST_HEAD_BYTES);
    let mut line = Vec::new();
    let mut next_line = |line: &mut Vec<u8>| -> Result<String, PageFault> {
        line.clear();
        head.read_until(b'\n', line).map_err(PageFault::of_transfer)?;
        if line.last() != Some(&b'\n') {
            return Err(PageFault::NotHttp);
        }
        Ok(String::from_utf8_lossy(line).trim().to_owned())
    };
    let status = next_line(&mut line)?;
    let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..));
    let code = code.ok_or(PageFault::NotHttp)?.to_owned();
    let (mut length, mut chunked) = (None, false);
    loop {
        let header = next_line(&mut line)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or(PageFault::NotHttp)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse().map_err(|_| PageFault::NotHttp)?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "content-encoding" if !value.eq_ignore_ascii_case("identity") => {
                return Err(PageFault::Encoded(value.to_owned()));
            }
            _ => {}
        }
    }
    if !code.starts_with("200") {
        return Err(PageFault::Status(code));
    }
    Ok(match length {
        _ if chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClosed,
    })
}

fn read_exactly(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if length > MOST_BYTES as u64 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let read = reader.take(length).read_to_end(body)?;
    if (read as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    let mut line = Vec::new();
    let mut next_line = |reader: &mut dyn BufRead| -> io::Result<String> {
        line.clear();
        reader.take(MOST_HEAD_BYTES).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    };
    loop {
        let size = next_line(reader)?;
        // extensions follow a semicolon
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if size == 0 {
            return Ok(());
        }
        read_exactly(reader, size, body)?;
        next_line(reader)?;
    }
}

/// A stream that ends with an error at the deadline, past the size limit, and when its reader stops.
struct LimitedStream<'a> {
    stream: TcpStream,
    deadline: Instant,
    stopped: &'a AtomicBool,
    left: usize,
}

impl Read for LimitedStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if Instant::now() >= self.deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.stream.read(buffer) {
                Ok(read) => {
                    self.left = self
                        .left
                        .checked_sub(read)
                        .ok_or(io::Error::from(io::ErrorKind::FileTooLarge))?;
                    return Ok(read);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

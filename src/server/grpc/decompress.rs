//! Decompresses messages of clients, and counts their bytes before it writes them.

use std::io::Read;

use axum::http::HeaderValue;
use flate2::read::{GzDecoder, ZlibDecoder};

use crate::server::serve_error::ServeError;

/// The most bytes that are reserved at a time, before they are written.
const STEP: u64 = 16 << 10;

/// The compression of the messages of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// Returns the compression that the header `grpc-encoding` names; `None` for none, and for one that the
    /// server does not read.
    pub(super) fn named(header: Option<&HeaderValue>) -> Option<Self> {
        match header?.as_bytes() {
            b"gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// Decompresses a message of at most `limit` bytes. Calls `reserve` with the number of further bytes before
    /// it writes them; the last ones may be fewer.
    ///
    /// # Errors
    /// That of `reserve`; or if the message is larger, or is not compressed in this way.
    pub(super) fn decompress(
        self,
        compressed: &[u8],
        limit: u64,
        mut reserve: impl FnMut(u64) -> Result<(), ServeError>,
    ) -> Result<Vec<u8>, ServeError> {
        let mut source: Box<dyn Read + '_> = match self {
            Self::Gzip => Box::new(GzDecoder::new(compressed)),
            Self::Deflate => Box::new(ZlibDecoder::new(compressed)),
        };
        let mut message = Vec::new();
        loop {
            // one byte too many shows that the message is too large
            let most = STEP.min(limit.saturating_sub(message.len() as u64).saturating_add(1));
            reserve(most)?;
            let read = source.by_ref().take(most).read_to_end(&mut message).map_err(|error| {
                ServeError::bad_request(format!("the request cannot be decompressed: {error}"))
            })?;
            if message.len() as u64 > limit {
                return Err(ServeError::too_large(limit));
            }
            if (read as u64) < most {
                return Ok(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;
    use crate::server::serve_error::ErrorKind;

    fn compress(coding: Coding, message: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(message).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(message).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn messages_of_all_sizes_come_back() {
        let step = STEP as usize;
        for coding in [Coding::Gzip, Coding::Deflate] {
            for size in [0, 1, step - 1, step, step + 1, 5 * step] {
                let message: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
                let compressed = compress(coding, &message);
                let read = coding.decompress(&compressed, size as u64, |_| Ok(())).unwrap();
                assert!(read == message, "{coding:?}, {size} bytes");
            }
        }
    }

    #[test]
    fn refused_bytes_are_not_written() {
        let compressed = compress(Coding::Gzip, &vec![0; 64 << 20]);
        let mut reserved = 0;
        let refused = Coding::Gzip.decompress(&compressed, u64::MAX, |bytes| {
            reserved += bytes;
            if reserved > 1 << 20 { Err(ServeError::server_full(bytes, 1 << 20)) } else { Ok(()) }
        });
        assert_eq!(refused.unwrap_err().kind, ErrorKind::ServerFull);
        assert_eq!(reserved, (1 << 20) + STEP);
    }

    #[test]
    fn larger_message_exceeds_the_limit() {
        let compressed = compress(Coding::Deflate, &[7; 1001]);
        let read = |limit| Coding::Deflate.decompress(&compressed, limit, |_| Ok(()));
        assert_eq!(read(1000).unwrap_err().kind, ErrorKind::TooLarge);
        assert_eq!(read(1001).unwrap().len(), 1001);
    }

    #[test]
    fn other_bytes_are_a_bad_request() {
        let message = compress(Coding::Gzip, b"a message");
        for bytes in [&b"no gzip"[..], &message[..message.len() - 9]] {
            let error = Coding::Gzip.decompress(bytes, 1000, |_| Ok(())).unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadRequest);
        }
    }
}

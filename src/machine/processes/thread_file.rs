//! A file of a thread that stays open between samples.

use std::fs::File;
use std::io;

/// An open file of a thread. It stays the file of that thread: once the thread has ended, a read fails,
/// also if another thread has its number.
#[derive(Debug)]
pub struct ThreadFile(File);

impl ThreadFile {
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }

    /// Reads the file from its start, as far as it fits.
    ///
    /// # Errors
    /// The system's error, also if the thread has ended.
    fn read<'a>(&self, bytes: &'a mut [u8]) -> io::Result<&'a str> {
        #[cfg(unix)]
        let length = std::os::unix::fs::FileExt::read_at(&self.0, bytes, 0)?;
        #[cfg(not(unix))]
        let length = {
            use std::io::{Read as _, Seek as _};
            (&self.0).rewind()?;
            (&self.0).read(bytes)?
        };
        let bytes = bytes.get(..length).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Reads `schedstat`: nanoseconds on a CPU, then nanoseconds of waiting for one. `None` if the thread
    /// has ended.
    pub fn schedstat(&self) -> Option<[u64; 2]> {
        let mut bytes = [0_u8; 128];
        let mut fields = self.read(&mut bytes).ok()?.split_ascii_whitespace();
        Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
    }
}

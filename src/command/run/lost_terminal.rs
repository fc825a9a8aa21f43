//! The output of a run that outlives its terminal.

use std::io::{self, Write};

/// A writer that discards what it gets once its terminal is gone, so that the run goes on.
pub(super) struct LostTerminalWriter<W>(pub W);

/// The system's error for a terminal that has hung up (EIO).
#[cfg(unix)]
const HUNG_UP: i32 = rustix::io::Errno::IO.raw_os_error();
#[cfg(not(unix))]
const HUNG_UP: i32 = i32::MIN;

impl<W> LostTerminalWriter<W> {
    fn discard<T>(result: io::Result<T>, discarded: T) -> io::Result<T> {
        match result {
            Err(error) if error.raw_os_error() == Some(HUNG_UP) => Ok(discarded),
            other => other,
        }
    }
}

impl<W: Write> Write for LostTerminalWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::discard(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::discard(self.0.flush(), ())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    struct Failing(i32);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(self.0))
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::from_raw_os_error(self.0))
        }
    }

    #[test]
    fn only_a_lost_terminal_is_ignored() {
        let mut lost = LostTerminalWriter(Failing(HUNG_UP));
        lost.write_all(b"report").unwrap();
        lost.flush().unwrap();
        let closed = rustix::io::Errno::PIPE.raw_os_error();
        assert!(LostTerminalWriter(Failing(closed)).write_all(b"report").is_err());
    }
}

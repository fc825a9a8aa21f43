//! The pipe or file through which the output of a command reaches divvy.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::machine::{ProcessId, child_processes};

/// Bytes at which a file of output is emptied, once they have been read.
const LONGEST_FILE: u64 = 1 << 20;

/// The end at which the processes write.
#[derive(Debug)]
pub(super) enum OutputTarget {
    /// A pipe: a program that writes faster than divvy reads is slowed down, and one that writes after divvy
    /// has ended gets SIGPIPE.
    Pipe(PipeWriter),
    /// A file, which outlives divvy.
    File(File, PathBuf),
    /// The pipe that a divvy made that has ended, of a process that was adopted.
    Adopted(File),
}

/// The end from which divvy reads.
#[derive(Debug)]
pub(super) enum OutputSource {
    /// A pipe.
    Pipe(PipeReader),
    /// A pipe of an earlier divvy.
    Adopted(File),
    /// A file, whose end is not the end of the output.
    File(File),
}

/// Returns both ends of a new pipe.
///
/// # Errors
/// The system's error.
pub(super) fn pipe() -> io::Result<(OutputSource, OutputTarget)> {
    let (reader, writer) = io::pipe()?;
    Ok((OutputSource::Pipe(reader), OutputTarget::Pipe(writer)))
}

/// Opens a file for output. Output that is in it already is not read.
///
/// # Errors
/// The system's error.
pub(super) fn file(path: &Path) -> io::Result<(OutputSource, OutputTarget)> {
    // Appending, so that the processes go on at the start when the file is emptied.
    let target = OpenOptions::new().append(true).create(true).open(path)?;
    let mut source = OpenOptions::new().read(true).write(true).open(path)?;
    source.seek(SeekFrom::End(0))?;
    Ok((OutputSource::File(source), OutputTarget::File(target, path.to_owned())))
}

/// Opens the pipe, with this inode, to which a process writes that an earlier divvy started; `None` if it
/// does not write there any more.
pub(super) fn adopted_pipe(
    processes: &[ProcessId],
    inode: u64,
) -> Option<(OutputSource, OutputTarget)> {
    let path = processes.iter().find_map(|one| child_processes::output_pipe(one.pid, inode))?;
    let both = OpenOptions::new().read(true).write(true).open(path).ok()?;
    Some((OutputSource::Adopted(both.try_clone().ok()?), OutputTarget::Adopted(both)))
}

impl OutputTarget {
    /// Returns the standard output and standard error for a process.
    ///
    /// # Errors
    /// The system's error if it has no descriptors left.
    pub(super) fn stdio(&self) -> io::Result<[Stdio; 2]> {
        Ok(match self {
            Self::Pipe(writer) => [writer.try_clone()?.into(), writer.try_clone()?.into()],
            Self::File(file, _) | Self::Adopted(file) => {
                [file.try_clone()?.into(), file.try_clone()?.into()]
            }
        })
    }

    /// Wakes the reader, which otherwise waits as long as a process has the pipe open.
    pub(super) fn wake_reader(&mut self) {
        // An error means that the reader has ended.
        let _ = match self {
            Self::Pipe(writer) => writer.write_all(b"\n"),
            Self::Adopted(file) => file.write_all(b"\n"),
            Self::File(..) => Ok(()),
        };
    }
}

impl OutputSource {
    /// Returns true if the end of what can be read is not the end of the output.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Empties a long file of which everything has been read.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn limit_file(&mut self) -> io::Result<()> {
        let Self::File(file) = self else { return Ok(()) };
        let length = file.metadata()?.len();
        let position = file.stream_position()?;
        // A shorter file was emptied by somebody else.
        if position > length {
            file.rewind()?;
        } else if position >= LONGEST_FILE && position == length {
            file.set_len(0)?;
            file.rewind()?;
        }
        Ok(())
    }
}

impl Read for OutputSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(reader) => reader.read(buffer),
            Self::Adopted(file) | Self::File(file) => file.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_file_is_emptied_after_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.out");
        std::fs::write(&path, "of an earlier run\n").unwrap();
        let (mut source, target) = file(&path).unwrap();
        let OutputTarget::File(mut writer, _) = target else { panic!("no file") };
        writer.write_all(&vec![b'x'; LONGEST_FILE as usize]).unwrap();
        source.limit_file().unwrap();
        let mut text = Vec::new();
        source.read_to_end(&mut text).unwrap();
        assert_eq!(text.len(), LONGEST_FILE as usize);
        source.limit_file().unwrap();
        writer.write_all(b"more").unwrap();
        text.clear();
        source.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"more");
        assert_eq!(std::fs::read(&path).unwrap(), b"more");
    }
}

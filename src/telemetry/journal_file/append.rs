//! Adds whole lines to the newest file of the journal, after rotating it where it is due.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::files;

/// Adds `lines` (each with its end) and waits until the disk has them. `header` is put first into
/// a file that this rotation begins.
///
/// # Errors
/// The system's error. Part of the lines may have been written: adding them again does no harm,
/// since the same record twice is one record.
pub(super) fn append(folder: &Path, rotate_at: u64, header: &str, lines: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let rotated = rotate(folder, rotate_at)?;
    let path = folder.join("journal.ndjson");
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut text = String::new();
    if is_torn(&mut file)? {
        // what was torn stays a line of its own, so that it costs nothing but itself
        text.push('\n');
    }
    if rotated {
        text.push_str(header);
    }
    text.push_str(lines);
    // one write: with several programs on one journal, their lines do not mix
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Whether the file's last line has no end.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Moves every file one place on when the newest is full. Returns whether it did.
fn rotate(folder: &Path, rotate_at: u64) -> io::Result<bool> {
    let full = |path: &Path| fs::metadata(path).is_ok_and(|found| found.len() >= rotate_at);
    let newest = folder.join("journal.ndjson");
    if !full(&newest) {
        return Ok(false);
    }
    // Another divvy may want the same: one of them does it, the others go on with what is there.
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join("journal.lock"))?;
    // On a file system without locks two programs at once may rotate twice, which loses the oldest.
    if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
        return Ok(false);
    }
    let rotated = if full(&newest) { move_on(folder).map(|()| true) } else { Ok(false) };
    // By word, since closing is not enough: a process that is just being started still has the file.
    let _ = lock.unlock();
    rotated
}

fn move_on(folder: &Path) -> io::Result<()> {
    let files: Vec<_> = files(folder).collect();
    for (newer, older) in files.iter().zip(files.iter().skip(1)).rev() {
        match fs::rename(newer, older) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

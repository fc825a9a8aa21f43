//! Appends lines to the newest journal file. Rotates the files first if the newest is full.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::record::files;

/// Appends `lines`, each with its newline, and syncs them to disk. If the files were rotated,
/// writes `header` first.
///
/// # Errors
/// Returns the system's error. Some lines may be written already. They can safely be appended
/// again: a reader merges duplicate records.
pub(super) fn append(folder: &Path, rotate_at: u64, header: &str, lines: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let rotated = rotate(folder, rotate_at)?;
    let path = folder.join("journal.ndjson");
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
    let mut text = String::new();
    if is_torn(&mut file)? {
        // end the torn line, so that it does not corrupt the next one
        text.push('\n');
    }
    if rotated {
        text.push_str(header);
    }
    text.push_str(lines);
    // a single write: lines of several processes do not interleave
    file.write_all(text.as_bytes()).inspect_err(|_| remove_if_empty(&path))?;
    file.sync_data()
}

/// Removes a file that a full disk left without content. Another process that has just opened it
/// writes its lines again when it next fails or has more.
fn remove_if_empty(path: &Path) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        let _ = fs::remove_file(path);
    }
}

/// Returns true if the file's last line has no newline.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Rotates the files if the newest is full. Returns true if they were rotated.
fn rotate(folder: &Path, rotate_at: u64) -> io::Result<bool> {
    let is_full =
        |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.len() >= rotate_at);
    let newest = folder.join("journal.ndjson");
    if !is_full(&newest) {
        return Ok(false);
    }
    // If several divvy processes want to rotate, the one that gets the lock does; the others append
    // to the current file.
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join("journal.lock"))?;
    // On a file system without locks, two processes may both rotate, which loses the oldest file.
    if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
        return Ok(false);
    }
    let rotated = if is_full(&newest) { rename_files(folder).map(|()| true) } else { Ok(false) };
    // Unlock explicitly: closing is not enough while a child process that is starting has inherited
    // the file.
    let _ = lock.unlock();
    rotated
}

/// Renames each file to the next older name, replacing the oldest.
fn rename_files(folder: &Path) -> io::Result<()> {
    let files: Vec<_> = files(folder).collect();
    for (newer, older) in files.iter().zip(files.iter().skip(1)).rev() {
        match fs::rename(newer, older) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

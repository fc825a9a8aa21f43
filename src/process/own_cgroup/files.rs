//! The files of cgroups.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Moves the processes of a group to another one, and removes it.
pub(super) fn remove_group(folder: &Path, refuge: &Path) -> Result<(), String> {
    for pid in pids(folder) {
        write(&refuge.join("cgroup.procs"), &pid.to_string())?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cgroup {} could not be removed: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Returns true if the error is that a process has ended.
pub(super) fn has_ended(error: &io::Error) -> bool {
    /// `ESRCH`.
    const NO_SUCH_PROCESS: i32 = 3;
    error.raw_os_error() == Some(NO_SUCH_PROCESS)
}

/// Returns the processes of a group.
pub(super) fn pids(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

pub(super) fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

pub(super) fn has_word(path: &Path, word: &str) -> bool {
    fs::read_to_string(path)
        .is_ok_and(|text| text.split_ascii_whitespace().any(|part| part == word))
}

pub(super) fn make_folder(folder: &Path) -> Result<(), String> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(format!("cgroup {} could not be made: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

pub(super) fn write(path: &Path, value: &str) -> Result<(), String> {
    fs::write(path, value)
        .map_err(|error| format!("{} could not be set to {value}: {error}", path.display()))
}

/// Returns a name without what a file name or a shell cannot take.
pub(super) fn file_name(row: &str) -> String {
    let keeps = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.');
    row.chars().take(64).map(|sign| if keeps(sign) { sign } else { '_' }).collect()
}

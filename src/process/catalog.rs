//! Details of processes, read once per process: executable, command line, owner, folder, cgroups.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::program_name::program_name;
use super::scan::Scan;
use crate::machine::{ProcessFiles, ProcessId, ProcessStat, ProcessUsers};

/// The most characters of a command line that is shown.
const LONGEST_COMMAND: usize = 200;

/// Scans after which details are read again: a process may execute another program under the same name,
/// or become another user.
const SCANS_UNTIL_OLD: u64 = 10;

/// Details of processes, read when they are first needed.
pub(super) struct ProcessCatalog {
    files: ProcessFiles,
    user_names: BTreeMap<u32, String>,
    entries: HashMap<ProcessId, CatalogEntry>,
    scans: u64,
}

/// The details of one process, each read when it is first needed.
#[derive(Default)]
struct CatalogEntry {
    /// The name when they were read: a program that is executed changes it.
    name: Box<str>,
    read_at: u64,
    exe: OnceCell<Option<PathBuf>>,
    command_line: OnceCell<String>,
    cwd: OnceCell<Option<PathBuf>>,
    users: OnceCell<Option<ProcessUsers>>,
    cgroups: OnceCell<Vec<String>>,
}

impl ProcessCatalog {
    pub(super) fn new(files: ProcessFiles) -> Self {
        let user_names = files.user_names();
        Self { files, user_names, entries: HashMap::new(), scans: 0 }
    }

    /// Returns the files of the processes.
    pub(super) fn files(&self) -> &ProcessFiles {
        &self.files
    }

    /// Forgets processes that are not in a new scan.
    pub(super) fn begin(&mut self, scan: &Scan) {
        self.scans += 1;
        self.entries.retain(|id, _| scan.get(*id).is_some());
    }

    /// Returns the entry of a process, and the files to fill it from.
    fn entry(&mut self, process: &ProcessStat) -> (&CatalogEntry, &ProcessFiles) {
        let entry = self.entries.entry(process.id).or_default();
        if entry.name != process.name || entry.read_at + SCANS_UNTIL_OLD <= self.scans {
            *entry = CatalogEntry {
                name: process.name.clone(),
                read_at: self.scans,
                ..CatalogEntry::default()
            };
        }
        (entry, &self.files)
    }

    /// Returns the path of a process's executable; `None` if it is hidden from this user.
    pub(super) fn exe(&mut self, process: &ProcessStat) -> Option<PathBuf> {
        let (entry, files) = self.entry(process);
        entry.exe.get_or_init(|| files.exe(process.id.pid)).clone()
    }

    /// Returns the name of a process's program, as [`program_name`].
    pub(super) fn exe_name(&mut self, process: &ProcessStat) -> String {
        let (exe, command_line) = (self.exe(process), self.command_line(process));
        program_name(exe.as_deref(), &process.name, &command_line)
    }

    /// Returns a process's whole command line; empty if it has none.
    pub(super) fn command_line(&mut self, process: &ProcessStat) -> String {
        let (entry, files) = self.entry(process);
        let read = || files.command_line(process.id.pid).unwrap_or_default();
        entry.command_line.get_or_init(read).clone()
    }

    /// Returns the command line to show; the process's name in brackets if it has none.
    pub(super) fn command(&mut self, process: &ProcessStat) -> String {
        let line = self.command_line(process);
        if line.is_empty() {
            return format!("[{}]", process.name);
        }
        line.chars().take(LONGEST_COMMAND).collect()
    }

    /// Returns a process's working folder.
    pub(super) fn cwd(&mut self, process: &ProcessStat) -> Option<PathBuf> {
        let (entry, files) = self.entry(process);
        entry.cwd.get_or_init(|| files.cwd(process.id.pid)).clone()
    }

    /// Returns a process's users.
    pub(super) fn users(&mut self, process: &ProcessStat) -> Option<ProcessUsers> {
        let (entry, files) = self.entry(process);
        *entry.users.get_or_init(|| files.users(process.id.pid))
    }

    /// Returns the name of a process's owner, or its number if it has no name; empty if it is unknown.
    pub(super) fn user_name(&mut self, process: &ProcessStat) -> String {
        let Some(users) = self.users(process) else { return String::new() };
        let name = self.user_names.get(&users.effective).cloned();
        name.unwrap_or_else(|| users.effective.to_string())
    }

    /// Returns true if a process belongs to a user, given by name or number.
    pub(super) fn belongs_to(&mut self, process: &ProcessStat, user: &str) -> bool {
        let number = self.users(process).map(|users| users.effective);
        number.is_some_and(|number| user.parse() == Ok(number)) || self.user_name(process) == user
    }

    /// Returns a process's cgroups: its path in each hierarchy.
    pub(super) fn cgroups(&mut self, process: &ProcessStat) -> Vec<String> {
        let (entry, files) = self.entry(process);
        entry.cgroups.get_or_init(|| files.cgroups(process.id.pid)).clone()
    }
}

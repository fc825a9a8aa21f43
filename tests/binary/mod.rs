//! Runs the real binary in a temporary home, so that the user's files and settings have no effect.
// each test crate uses a part of this
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use divvy::machine::CpuSet;
use rustix::process::{Pid, Signal, kill_process};

/// The binary under test.
pub(crate) const DIVVY: &str = env!("CARGO_BIN_EXE_divvy");

/// Longer than any step of a healthy run takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A temporary home folder, removed on drop.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("divvy-home-").tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        Self { folder }
    }

    /// Returns a path in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the home.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Returns the environment variables that name the home.
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![("HOME", self.folder.path().as_os_str().to_owned())];
        for (name, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
        ] {
            variables.push((name, self.path(folder).into_os_string()));
        }
        variables
    }

    /// Returns a command that runs the binary in this home.
    pub(crate) fn divvy(&self) -> Command {
        self.command(DIVVY)
    }

    /// Returns a command that runs the binary in this home, for a caller that takes its output.
    pub(crate) fn divvy_without_output(&self) -> Command {
        let mut command = Command::new(DIVVY);
        command.current_dir(self.folder.path()).envs(self.variables());
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Returns a command that runs a program in this home. Its output goes to the files `out` and
    /// `err`.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).envs(self.variables());
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.stdout(File::create(self.path("out")).unwrap());
        command.stderr(File::create(self.path("err")).unwrap());
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Runs a subcommand beside a run in this home.
    pub(crate) fn beside(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(DIVVY);
        command
            .current_dir(self.path(""))
            .envs(self.variables())
            .stdin(std::process::Stdio::null());
        command.args(arguments).output().unwrap()
    }

    /// As [`Home::beside`], for a subcommand that must succeed; returns its standard output.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.beside(arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command and waits for its exit.
    pub(crate) fn run(&self, mut command: Command) -> RunOutput {
        let child = command.spawn().unwrap();
        self.end(child)
    }

    /// Waits for the exit of a child of [`Home::command`].
    pub(crate) fn end(&self, mut child: std::process::Child) -> RunOutput {
        let status = wait_for_exit(&mut child);
        let text = |name: &str| String::from_utf8_lossy(&fs::read(self.path(name)).unwrap()).into();
        RunOutput { status, out: text("out"), err: text("err") }
    }
}

/// Variables that would affect the tests.
pub(crate) const FOREIGN: [&str; 6] =
    ["ORT_DYLIB_PATH", "NO_COLOR", "DIVVY_NVML", "RUST_LOG", "TMUX", "TMUX_PANE"];

/// The exit status and the output of a run.
#[derive(Debug)]
pub(crate) struct RunOutput {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// Waits for the exit of a child; kills it and fails the test if that takes too long.
pub(crate) fn wait_for_exit(child: &mut std::process::Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("the process does not exit");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Polls until there is a value; fails the test if that takes too long.
pub(crate) fn until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the file of one of the demo's models.
pub(crate) fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/models/{name}.onnx"))
}

/// Returns the CPUs on which the kernel allows a thread; `None` if the thread has ended.
pub(crate) fn mask(pid: u32, thread: u32) -> Option<CpuSet> {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(list.trim().parse().unwrap())
}

/// Returns the names of a process's threads by id.
pub(crate) fn threads(pid: u32) -> BTreeMap<u32, String> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return BTreeMap::new() };
    tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let name = fs::read_to_string(path.join("comm")).ok()?;
            Some((path.file_name()?.to_str()?.parse().ok()?, name.trim().to_owned()))
        })
        .collect()
}

/// Returns the CPU masks of a model's worker threads by id.
pub(crate) fn workers(pid: u32, model: &str) -> BTreeMap<u32, CpuSet> {
    let own = format!("{model}/");
    threads(pid)
        .into_iter()
        .filter(|(_, name)| name.starts_with(&own))
        .filter_map(|(thread, _)| Some((thread, mask(pid, thread)?)))
        .collect()
}

/// Returns the CPUs that this process and its children may use.
pub(crate) fn allowed() -> CpuSet {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim().parse().unwrap()
}

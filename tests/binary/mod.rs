//! The real binary in a home of its own: what the user has installed or configured changes nothing.
// each test crate uses a part of this
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use divvy::machine::CpuSet;
use rustix::process::{Pid, Signal, kill_process};

/// The binary under test.
pub(crate) const DIVVY: &str = env!("CARGO_BIN_EXE_divvy");

/// No step of a healthy run takes this long, on a busy machine either.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A folder that stands for the user's home, gone with the value.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("divvy-home-").tempdir().unwrap();
        Self { folder }
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// What the environment says about it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![("HOME", self.folder.path().as_os_str().to_owned())];
        for (name, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            variables.push((name, self.path(folder).into_os_string()));
        }
        variables
    }

    /// The binary, run in this home.
    pub(crate) fn divvy(&self) -> Command {
        self.command(DIVVY)
    }

    /// A program, run in this home. Its output goes to the files `out` and `err`.
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

    /// Runs a command to its end.
    pub(crate) fn run(&self, mut command: Command) -> Ended {
        let child = command.spawn().unwrap();
        self.end(child)
    }

    /// Waits for the end of a child that [`Home::command`] made.
    pub(crate) fn end(&self, mut child: std::process::Child) -> Ended {
        let status = ended(&mut child);
        let text = |name: &str| String::from_utf8_lossy(&fs::read(self.path(name)).unwrap()).into();
        Ended { status, out: text("out"), err: text("err") }
    }
}

/// Variables that would change what is tested.
pub(crate) const FOREIGN: [&str; 6] =
    ["ORT_DYLIB_PATH", "NO_COLOR", "DIVVY_NVML", "RUST_LOG", "TMUX", "TMUX_PANE"];

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// Waits for a child; one that does not end is killed and fails the test.
pub(crate) fn ended(child: &mut std::process::Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Looks again and again until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One of the demo's models.
pub(crate) fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/models/{name}.onnx"))
}

/// The CPUs on which the kernel allows a thread; `None` when it has ended.
pub(crate) fn mask(pid: u32, thread: u32) -> Option<CpuSet> {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(list.trim().parse().unwrap())
}

/// The threads of a process by id, with their names.
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

/// The masks of the threads of a model that run requests, by thread.
pub(crate) fn workers(pid: u32, model: &str) -> BTreeMap<u32, CpuSet> {
    let own = format!("{model}/");
    threads(pid)
        .into_iter()
        .filter(|(_, name)| name.starts_with(&own))
        .filter_map(|(thread, _)| Some((thread, mask(pid, thread)?)))
        .collect()
}

/// The CPUs that this process, and so each one it starts, may use.
pub(crate) fn allowed() -> CpuSet {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim().parse().unwrap()
}

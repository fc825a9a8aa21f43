//! The state folder of the real binary: the journal, the live layout, the offer after a crash, and
//! files of other versions.
#![cfg(unix)]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use divvy::telemetry::journal_file;

fn divvy(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_divvy"));
    command.env("XDG_STATE_HOME", state).env_remove("DIVVY_LOG").stdin(Stdio::null());
    command
}

fn headless(state: &Path, arguments: &[&str]) -> Output {
    let mut command = divvy(state);
    command.args(["--headless", "--engine", "rten", "--for", "100ms"]).args(arguments);
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn clean_run_leaves_journal_without_offer() {
    let state = tempfile::tempdir().unwrap();
    let first = headless(state.path(), &[]);
    assert!(first.status.success(), "{}", stderr(&first));
    let folder = state.path().join("divvy");
    let journal = journal_file::read(&folder).unwrap();
    assert_eq!(journal.runs.len(), 1);
    assert_eq!(journal.runs[0].run.layout, "demo");
    let second = headless(state.path(), &["--last"]);
    assert!(second.status.success(), "{}", stderr(&second));
    assert!(!stderr(&second).contains("did not end cleanly"), "{}", stderr(&second));
    let listed = divvy(state.path()).args(["journal", "--runs"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.matches("layout demo").count(), 2, "{listed}");
}

#[test]
fn last_restores_the_layout_after_a_crash() {
    let state = tempfile::tempdir().unwrap();
    let mut running = divvy(state.path())
        .args(["--headless", "--engine", "rten"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let info = state.path().join("divvy/live.json");
    let end = Instant::now() + Duration::from_mins(1);
    while !info.exists() {
        assert!(Instant::now() < end, "no layout was saved");
        std::thread::sleep(Duration::from_millis(10));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let next = headless(state.path(), &[]);
    assert!(stderr(&next).contains("`divvy --last` restores its layout"), "{}", stderr(&next));
    let restored = headless(state.path(), &["--last"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    assert!(!stderr(&restored).contains("did not end cleanly"), "{}", stderr(&restored));
    let after = headless(state.path(), &[]);
    assert!(!stderr(&after).contains("did not end cleanly"), "{}", stderr(&after));
}

#[test]
fn run_continues_without_state_folder() {
    let state = tempfile::tempdir().unwrap();
    let blocked = state.path().join("file");
    std::fs::write(&blocked, "in the way").unwrap();
    let run = headless(state.path(), &["--state-dir", blocked.join("in").to_str().unwrap()]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(stderr(&run).contains("name another one with --state-dir"), "{}", stderr(&run));
}

#[test]
fn invalid_log_level_is_bad_input() {
    let state = tempfile::tempdir().unwrap();
    let mut command = divvy(state.path());
    let run = command.args(["--headless", "--for", "1ms"]).env("DIVVY_LOG", "divvy=loud").output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("DIVVY_LOG=divvy=loud"), "{}", stderr(&run));
}

/// Copies the files that divvy 0.1.0 left after a crash into a state folder.
fn files_of_0_1_0(state: &Path) -> PathBuf {
    let folder = state.join("divvy");
    std::fs::create_dir_all(&folder).unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state_files/0.1.0");
    for sample in std::fs::read_dir(samples).unwrap() {
        let sample = sample.unwrap();
        std::fs::copy(sample.path(), folder.join(sample.file_name())).unwrap();
    }
    folder
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn state_of_0_1_0_is_read() {
    let state = tempfile::tempdir().unwrap();
    let folder = files_of_0_1_0(state.path());
    let next = headless(state.path(), &[]);
    assert!(next.status.success(), "{}", stderr(&next));
    assert!(stderr(&next).contains("the last run of night did not end cleanly"));
    let restored = headless(state.path(), &["--last"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    let live = json(&folder.join("live.json"));
    assert_eq!(live["version"], 1);
    assert_eq!(live["from"], "/home/op/layouts/night.toml");
    assert!(std::fs::read_to_string(folder.join("live.toml")).unwrap().contains("after hours"));
    assert!(!folder.join("crashed.json").exists());
}

#[test]
fn newer_live_layout_is_set_aside() {
    let state = tempfile::tempdir().unwrap();
    let folder = files_of_0_1_0(state.path());
    let newer = [
        ("live.json", r#"{"version": 2, "layouts": ["night"]}"#),
        ("crashed.toml", "version = 2\nmodels = []\n"),
    ];
    for (name, text) in newer {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let live = std::fs::read_to_string(folder.join("live.toml")).unwrap();
    let next = headless(state.path(), &[]);
    assert!(next.status.success(), "{}", stderr(&next));
    for (name, text) in newer {
        let aside = folder.join(format!("{name}.aside"));
        assert!(stderr(&next).contains(aside.to_str().unwrap()), "{}", stderr(&next));
        assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
    }
    assert!(stderr(&next).contains("format version 2"), "{}", stderr(&next));
    assert_eq!(std::fs::read_to_string(folder.join("live.toml.aside")).unwrap(), live);
    assert!(folder.join("crashed.json.aside").exists());
    assert!(!stderr(&next).contains("did not end cleanly"), "{}", stderr(&next));
    // the message appears once
    let after = headless(state.path(), &[]);
    assert!(!stderr(&after).contains("aside"), "{}", stderr(&after));
}

#[test]
fn damaged_live_layout_is_set_aside() {
    for (name, text) in [("live.json", "{\"title\""), ("live.toml", "version = = 1")] {
        let state = tempfile::tempdir().unwrap();
        let folder = files_of_0_1_0(state.path());
        std::fs::write(folder.join(name), text).unwrap();
        let last = headless(state.path(), &[]);
        assert!(last.status.success(), "{}", stderr(&last));
        let aside = folder.join(format!("{name}.aside"));
        assert!(stderr(&last).contains(aside.to_str().unwrap()), "{}", stderr(&last));
        assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
    }
}

/// Runs divvy where no file can grow, as on a full disk.
fn without_space(folder: &Path, arguments: &[&str]) -> Output {
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_divvy")]).args(arguments);
    command.current_dir(folder).env("XDG_STATE_HOME", folder).env_remove("DIVVY_LOG");
    command.stdin(Stdio::null()).output().unwrap()
}

/// Returns the files in a folder and the folders inside it, without locks, which are always empty.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_none_or(|it| it != "lock"));
    folders.iter().flat_map(|folder| self::files(folder)).chain(files).collect()
}

#[test]
fn full_disk_leaves_no_partial_file() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = serde_json::to_string(&divvy::telemetry::Snapshot::default()).unwrap();
    let run = folder.path().join("run.ndjson");
    std::fs::write(&run, snapshot).unwrap();
    for arguments in [
        &["synth", "mlp", "-o", "new.onnx"][..],
        &["snapshot", "run.ndjson", "--svg", "new.svg"],
        &["man", "--out", "."],
    ] {
        let output = without_space(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert_eq!(files(folder.path()), [run.as_path()], "{arguments:?}");
    }
}

#[test]
fn full_disk_does_not_end_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--headless", "--engine", "rten", "--for", "100ms"];
    let output = without_space(folder.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn full_disk_keeps_the_state_of_earlier_runs() {
    let state = tempfile::tempdir().unwrap();
    assert!(headless(state.path(), &[]).status.success());
    let read = || -> Vec<(PathBuf, String)> {
        let text = |path: PathBuf| (path.clone(), std::fs::read_to_string(path).unwrap());
        files(state.path()).into_iter().map(text).collect()
    };
    let before = read();
    let output = without_space(state.path(), &["--headless", "--engine", "rten", "--for", "100ms"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(read(), before);
}

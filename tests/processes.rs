//! Rows of processes with the real binary: found, placed, changed while they run, and restored.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use binary::{Home, RunOutput, allowed, mask, model, signal, until, wait_for_exit};
use divvy::machine::CpuSet;
use rustix::process::Signal;
use serde_json::Value;

/// A process that divvy did not start; ended on drop.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        Self::of(&mut Command::new("sleep"))
    }

    fn of(program: &mut Command) -> Self {
        Self(program.arg("1000").stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn cores(&self) -> CpuSet {
        mask(self.pid(), self.pid()).unwrap()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A headless run; killed on drop.
struct TestRun(Option<Child>);

impl TestRun {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--interval", "1h", "--engine", "rten", "--name", "test"]);
        Self(Some(divvy.args(arguments).spawn().unwrap()))
    }

    fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Ends the run in order.
    fn stop(mut self, home: &Home) -> RunOutput {
        signal(self.pid(), Signal::TERM);
        home.end(self.0.take().unwrap())
    }

    /// Ends the run as a crash does.
    fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        wait_for_exit(&mut child);
    }
}

impl Drop for TestRun {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns a row of the run, once it answers.
fn row(home: &Home, name: &str) -> Option<Value> {
    let output = home.beside(&["top", "--once", "--json"]);
    let snapshot: Value = serde_json::from_slice(&output.stdout).ok()?;
    let rows = snapshot["models"].as_array()?;
    rows.iter().find(|row| row["row"]["budget"]["name"] == name).cloned()
}

fn state(home: &Home, name: &str) -> Option<String> {
    Some(row(home, name)?["process"]["state"]["state"].as_str()?.to_owned())
}

/// Returns one of the CPUs, and its text.
fn last_core() -> (CpuSet, String) {
    let last = allowed().iter().last().unwrap();
    (CpuSet::from_iter([last]), last.0.to_string())
}

/// Writes a layout of one process that has one core.
fn layout(home: &Home, pid: u32) -> PathBuf {
    let core = last_core().1;
    let text = format!(
        "version = 1\n[[process]]\nname = \"other\"\nmatch = {{ pid = {pid} }}\ncores = \"{core}\"\n"
    );
    home.write("other.toml", text)
}

#[test]
fn process_gets_its_cores_back_at_the_end() {
    let (home, stranger) = (Home::new(), Stranger::start());
    let before = stranger.cores();
    let layout = layout(&home, stranger.pid());
    let run = TestRun::start(&home, &[layout.to_str().unwrap()]);
    let own = last_core().0;
    until("the cores of the row", || (stranger.cores() == own).then_some(()));
    let view = until("a row", || row(&home, "other").filter(|row| !row["process"].is_null()));
    assert_eq!(view["row"]["budget"]["name"], "other");
    let ended = run.stop(&home);
    assert!(ended.status.success(), "{}", ended.err);
    assert!(ended.out.contains("other"), "{}", ended.out);
    assert_eq!(stranger.cores(), before);
}

#[test]
fn keep_leaves_the_cores() {
    let (home, stranger) = (Home::new(), Stranger::start());
    let layout = layout(&home, stranger.pid());
    let run = TestRun::start(&home, &["--keep", layout.to_str().unwrap()]);
    let own = last_core().0;
    until("the cores of the row", || (stranger.cores() == own).then_some(()));
    until("an answer", || state(&home, "other"));
    assert!(run.stop(&home).status.success());
    assert_eq!(stranger.cores(), own);
}

#[test]
fn readonly_changes_no_process() {
    let (home, stranger) = (Home::new(), Stranger::start());
    let before = stranger.cores();
    let layout = layout(&home, stranger.pid());
    let run = TestRun::start(&home, &["--readonly", layout.to_str().unwrap()]);
    until("the process", || state(&home, "other").filter(|state| state == "running"));
    assert_eq!(stranger.cores(), before);
    assert!(run.stop(&home).status.success());
}

#[test]
fn restore_undoes_a_killed_run() {
    let (home, stranger) = (Home::new(), Stranger::start());
    let before = stranger.cores();
    if before.len() < 2 {
        return;
    }
    let layout = layout(&home, stranger.pid());
    let run = TestRun::start(&home, &[layout.to_str().unwrap()]);
    let own = last_core().0;
    until("the cores of the row", || (stranger.cores() == own).then_some(()));
    run.kill();
    assert_eq!(stranger.cores(), own);
    let listed = home.succeed(&["restore", "--list"]);
    assert!(listed.contains(&format!("process {} (sleep)", stranger.pid())), "{listed}");
    assert_eq!(stranger.cores(), own);
    let mut next = home.divvy();
    next.args(["--headless", "--for", "1s", "--demo"]);
    let next = home.run(next);
    assert!(next.err.contains("`divvy restore` restores"), "{}", next.err);
    assert!(home.succeed(&["restore"]).contains("restored from"));
    assert_eq!(stranger.cores(), before);
    assert!(home.succeed(&["restore"]).starts_with("nothing to restore"));
}

#[test]
fn cores_are_set_while_the_process_runs() {
    let (home, stranger) = (Home::new(), Stranger::start());
    let pid = stranger.pid().to_string();
    let ranker = model("ranker");
    let run = TestRun::start(&home, &[ranker.to_str().unwrap(), "--pid", &pid]);
    until("the process", || state(&home, "sleep").filter(|state| state == "running"));
    let (own, core) = last_core();
    home.succeed(&["set", "sleep", &format!("cores=\"{core}\"")]);
    until("the new cores", || (stranger.cores() == own).then_some(()));
    let saved = home.succeed(&["layout"]);
    assert!(saved.contains("[[model]]") && saved.contains("[[process]]"), "{saved}");
    let refused = home.beside(&["set", "sleep", "threads=2"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("`threads` is not a key of a process"), "{error}");
    assert!(run.stop(&home).status.success());
}

#[test]
fn absent_program_is_taken_in_when_it_starts() {
    let home = Home::new();
    let program = home.path("late-program");
    fs::copy("/bin/sleep", &program).unwrap();
    let run = TestRun::start(&home, &["--match", "late-program"]);
    until("the row", || state(&home, "late-program").filter(|state| state == "absent"));
    let stranger = Stranger::of(&mut Command::new(&program));
    until("the process", || state(&home, "late-program").filter(|state| state == "running"));
    drop(stranger);
    until("its end", || state(&home, "late-program").filter(|state| state == "absent"));
    let ended = run.stop(&home);
    assert!(ended.status.success());
    assert!(ended.err.contains("--match late-program: no process has this executable yet"));
}

#[test]
fn autosave_names_the_executable() {
    let (home, stranger) = (Home::new(), Stranger::start());
    let pid = stranger.pid().to_string();
    let run = TestRun::start(&home, &["--pid", &pid]);
    let saved = until("the live layout", || {
        fs::read_to_string(home.path("state/divvy/live.toml")).ok().filter(|text| !text.is_empty())
    });
    assert!(saved.contains("exe = \"sleep\"") && !saved.contains(&pid), "{saved}");
    until("an answer", || state(&home, "sleep"));
    assert!(run.stop(&home).status.success());
}

#[test]
fn started_command_ends_with_the_run() {
    let home = Home::new();
    let script = "echo a line of the command; echo $$ > child; exec sleep 1000";
    let run = TestRun::start(&home, &["--", "sh", "-c", script]);
    let pid = until("the command", || {
        fs::read_to_string(home.path("child")).ok()?.trim().parse::<u32>().ok()
    });
    until("the row", || state(&home, "sh").filter(|state| state == "running"));
    let ended = run.stop(&home);
    assert!(ended.status.success(), "{}", ended.err);
    assert!(ended.err.contains("a line of the command"), "{}", ended.err);
    until("its end", || mask(pid, pid).is_none().then_some(()));
}

#[test]
fn next_run_adopts_the_command_of_a_killed_one() {
    let home = Home::new();
    let script = "echo $$ >> child; exec sleep 1000";
    let start = || TestRun::start(&home, &["--", "sh", "-c", script]);
    let started = || fs::read_to_string(home.path("child")).unwrap_or_default();
    let run = start();
    let pid = until("the command", || started().trim().parse::<u32>().ok());
    until("the row", || state(&home, "sh").filter(|state| state == "running"));
    run.kill();
    assert!(mask(pid, pid).is_some(), "it ended with divvy");
    let next = start();
    let adopted = until("the row", || {
        row(&home, "sh")?["process"]["processes"][0]["pid"].as_u64().map(|pid| pid as u32)
    });
    assert_eq!((adopted, started().lines().count()), (pid, 1));
    assert!(next.stop(&home).status.success());
    until("its end", || mask(pid, pid).is_none().then_some(()));
}

#[test]
fn numbers_of_no_process_are_refused() {
    let home = Home::new();
    let own = std::process::id().to_string();
    for (pid, reason) in [
        ("2147483647", "no process has this number"),
        ("1", "process 1"),
        (&own, "is an ancestor of divvy"),
        ("0", "0 is not in 1.."),
    ] {
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--for", "1s", "--pid", pid]);
        let refused = home.run(divvy);
        assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
        assert!(refused.err.contains(reason), "{}", refused.err);
    }
}

//! The subcommands that watch and change a running divvy, with the real binary.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;

use std::path::PathBuf;
use std::process::{Child, Output};

use binary::{Home, model, signal, until, wait_for_exit};
use rustix::process::Signal;
use serde_json::Value;

/// A headless run of the ranker; killed on drop.
struct TestRun {
    child: Option<Child>,
}

impl TestRun {
    /// Starts a run and waits until it answers.
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut divvy = home.divvy();
        divvy.args(["--headless", "--interval", "1h", "--engine", "rten"]).args(arguments);
        let run = Self { child: Some(divvy.spawn().unwrap()) };
        let pid = run.pid();
        until("an answer", || {
            let listed = list(home);
            listed.iter().any(|listed| listed["info"]["pid"] == pid).then_some(())
        });
        run
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }
}

impl Drop for TestRun {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn fail(home: &Home, arguments: &[&str]) -> (i32, String) {
    let output = home.beside(arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn list(home: &Home) -> Vec<Value> {
    serde_json::from_str(&home.succeed(&["ls", "--json"])).unwrap()
}

fn names(home: &Home) -> Vec<String> {
    list(home).iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect()
}

fn ranker() -> String {
    model("ranker").display().to_string()
}

fn socket(home: &Home, name: &str) -> PathBuf {
    home.path(&format!("run/divvy/{name}.sock"))
}

#[test]
fn scripts_change_a_running_divvy() {
    let home = Home::new();
    let _run = TestRun::start(&home, &["--name", "night", &ranker()]);
    let id: u64 = home.succeed(&["set", "ranker", "weight=5"]).trim().parse().unwrap();
    let saved = home.succeed(&["layout"]);
    assert!(saved.contains("weight = 5"), "{saved}");
    let next = home.write("next.toml", saved.replace("weight = 5", "weight = 9"));
    let next = next.display().to_string();
    let plan = home.succeed(&["plan", &next, "--run", "night"]);
    assert!(plan.contains("weight 5 -> 9"), "{plan}");
    let plan: Value = serde_json::from_str(&home.succeed(&["plan", &next, "--json"])).unwrap();
    let version = plan["version"].to_string();
    let second: u64 = home.succeed(&["apply", &next, "--expect", &version]).trim().parse().unwrap();
    assert!(second > id);
    // the state has moved on
    assert_eq!(fail(&home, &["apply", &next, "--expect", &version]).0, 1);
    home.succeed(&["undo"]);
    assert!(home.succeed(&["layout"]).contains("weight = 5"));
    home.succeed(&["redo"]);
    assert!(home.succeed(&["top", "--once"]).contains("ranker"));
    // a thread writes the file
    until("the journal", || {
        home.succeed(&["journal", "--last", "1"]).contains("/cli: redo").then_some(())
    });
}

#[test]
fn rename_to_stats_is_logged() {
    let home = Home::new();
    let _run = TestRun::start(&home, &[&ranker()]);
    let log = || std::fs::read_to_string(home.path("err")).unwrap();
    home.succeed(&["set", "ranker", "name=scorer"]);
    assert!(!log().contains("/v2/models/stats"), "{}", log());
    home.succeed(&["set", "scorer", "name=stats"]);
    until("a line in the log", || log().contains("/v2/models/stats").then_some(()));
}

#[test]
fn faults_have_exit_codes() {
    let home = Home::new();
    let (code, err) = fail(&home, &["top", "--once"]);
    assert!(code == 2 && err.contains("no divvy"), "{err}");
    let _first = TestRun::start(&home, &["--name", "first", &ranker()]);
    let (code, err) = fail(&home, &["set", "nobody", "weight=5"]);
    assert!(code == 2 && err.contains("ranker"), "{err}");
    assert_eq!(fail(&home, &["undo"]).0, 1);
    assert_eq!(fail(&home, &["transfer", "1", "core", "ranker", "nobody"]).0, 1);
    let faulty = home.write("faulty.toml", "version = 1\n[[model]]\nname = \"x\"\n");
    let (code, err) = fail(&home, &["apply", &faulty.display().to_string()]);
    assert!(code == 2 && err.contains("path"), "{err}");
    let _second = TestRun::start(&home, &["--name", "second", &ranker()]);
    for command in ["undo", "attach"] {
        let (code, err) = fail(&home, &[command]);
        assert!(code == 2 && err.contains("first (") && err.contains("second ("), "{err}");
    }
    let (code, err) = fail(&home, &["attach", "first"]);
    assert!(code == 2 && err.contains("divvy top"), "{err}");
}

#[test]
fn stop_ends_the_run_in_order() {
    let home = Home::new();
    let mut run = TestRun::start(&home, &["--name", "night", &ranker()]);
    let text = home.succeed(&["stop"]);
    assert!(text.contains("night has ended"), "{text}");
    let status = wait_for_exit(run.child.as_mut().unwrap());
    assert!(status.success(), "{status}");
    assert!(!socket(&home, "night").exists());
}

#[test]
fn name_of_a_killed_run_is_free() {
    let home = Home::new();
    let mut run = TestRun::start(&home, &["--demo"]);
    signal(run.pid(), Signal::KILL);
    wait_for_exit(run.child.as_mut().unwrap());
    assert!(socket(&home, "demo").exists());
    let _next = TestRun::start(&home, &["--demo"]);
    assert_eq!(names(&home), ["demo"]);
}

#[test]
fn second_run_of_a_layout_is_numbered() {
    let home = Home::new();
    let _first = TestRun::start(&home, &["--demo"]);
    let _second = TestRun::start(&home, &["--demo"]);
    assert_eq!(names(&home), ["demo", "demo-2"]);
    let taken = fail(&home, &["--headless", "--demo", "--name", "demo"]);
    assert!(taken.0 == 2 && taken.1.contains("--name demo"), "{taken:?}");
}

#[test]
fn no_control_opens_no_socket() {
    let home = Home::new();
    let output = home.beside(&["--headless", "--demo", "--for", "1s", "--no-control"]);
    assert!(output.status.success());
    assert!(!home.path("run/divvy").exists());
}

#[test]
fn readers_watch_but_do_not_change() {
    let home = Home::new();
    let group = rustix::process::getegid().as_raw().to_string();
    let folder = home.path("readers").display().to_string();
    let arguments = ["--name", "night", "--readers", &group, "--readers-dir", &folder];
    let _run = TestRun::start(&home, &[&arguments[..], &[&ranker()]].concat());
    let socket = format!("{folder}/night.sock");
    assert!(home.succeed(&["top", "--once", "--run", &socket]).contains("ranker"));
    let (code, err) = fail(&home, &["set", "ranker", "weight=5", "--run", &socket]);
    assert!(code == 1 && err.contains("for reading"), "{err}");
    // both sockets are of one run
    assert_eq!(home.succeed(&["ls", "--readers-dir", &folder]).lines().count(), 2);
    let nobody = ["--headless", "--demo", "--readers", "no-such-group"];
    let (code, err) = fail(&home, &nobody);
    assert!(code == 2 && err.contains("no-such-group"), "{err}");
}

#[test]
fn control_over_tcp_needs_its_own_token() {
    let home = Home::new();
    let file = |name: &str, token: &str| home.write(name, token).display().to_string();
    let (token, other) = (file("token", "a token of control"), file("other", "another token 123"));
    let tcp = ["--control", "0", "--control-token-file", &token];
    let _run = TestRun::start(&home, &[&tcp[..], &[&ranker()]].concat());
    let err = std::fs::read_to_string(home.path("err")).unwrap();
    let (_, rest) = err.split_once("control on http://").unwrap();
    let address = rest.lines().next().unwrap();
    let far = |token: &str| {
        ["top", "--once", "--run", address, "--control-token-file", token].map(str::to_owned)
    };
    let borrowed = |arguments: &[String]| -> Output {
        home.beside(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(borrowed(&far(&token)).status.success());
    assert_eq!(borrowed(&far(&other)).status.code(), Some(1));
    assert_eq!(fail(&home, &["top", "--run", address]).0, 2);
    let same = ["--headless", "--demo", "--listen", "0", "--token-file", &token];
    let (code, err) = fail(&home, &[&same[..], &tcp[..]].concat());
    assert!(code == 2 && err.contains("--control-token-file"), "{err}");
}

//! The life of a run: in the background, through hang-ups, and as a service.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use binary::{DIVVY, Home, RunOutput, model, signal, until, workers};
use divvy::machine::in_new_session;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use prost::encoding::{decode_varint, encode_varint};
use rustix::process::{Pid, Signal, getsid};
use terminal::{SIZE, Session};

/// A layout with the ranker and no load.
const RANKER: &str =
    "version = 1\n[[model]]\nname = \"ranker\"\npath = \"embedded:ranker.onnx\"\ncores = 1\n";

/// A process that is ended on drop.
struct Background(u32);

impl Background {
    /// Reads the process from the output of `--detach`.
    fn of(run: &RunOutput) -> Self {
        let pid = run.out.split("process ").nth(1).and_then(|rest| rest.lines().next());
        Self(pid.unwrap_or_else(|| panic!("no process: {run:?}")).parse().unwrap())
    }

    fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.is_running() {
            signal(self.0, Signal::TERM);
        }
        let start = std::time::Instant::now();
        while self.is_running() && start.elapsed() < binary::PATIENCE {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        if self.is_running() {
            signal(self.0, Signal::KILL);
        }
    }
}

fn detach(home: &Home, arguments: &[&str]) -> RunOutput {
    let mut divvy = home.divvy();
    divvy.args(arguments).args(["--engine", "rten", "--detach"]);
    home.run(divvy)
}

#[test]
fn detached_run_has_its_own_session() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let run = detach(&home, &["night.toml"]);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let background = Background::of(&run);
    assert!(background.is_running());
    assert!(run.out.starts_with("night runs in the background: 1 model"), "{}", run.out);
    assert!(run.out.contains("divvy attach night\n"), "{}", run.out);
    let pid = Pid::from_raw(background.0.cast_signed()).unwrap();
    assert_eq!(getsid(Some(pid)).unwrap(), pid);
    assert!(home.path("run/divvy/night.sock").exists());
    assert!(home.path("state/divvy/detached-night.log").exists());
}

#[test]
fn stderr_of_detached_run_is_bounded() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let background = Background::of(&detach(&home, &["night.toml"]));
    let stderr = format!("/proc/{}/fd/2", background.0);
    let mut file = fs::OpenOptions::new().append(true).open(&stderr).unwrap();
    for _ in 0..5 {
        file.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    let path = home.path("state/divvy/detached-night.log");
    until("a new file", || fs::metadata(&path).is_ok_and(|found| found.len() == 0).then_some(()));
    until("the new file's writers", || (fs::read_link(&stderr).ok()? == path).then_some(()));
    let older = home.path("state/divvy/detached-night.log.1");
    assert!(fs::metadata(older).unwrap().len() >= 5 << 20);
}

#[test]
fn detached_run_survives_failed_models() {
    let home = Home::new();
    home.write("broken.onnx", "not a model");
    let broken = "[[model]]\nname = \"broken\"\npath = \"broken.onnx\"\ncores = 1\n";
    home.write("night.toml", format!("{RANKER}{broken}"));
    let run = detach(&home, &["night.toml"]);
    let background = Background::of(&run);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(run.err.contains("1 of 2 models failed: broken"), "{}", run.err);
    assert!(background.is_running());
    let run = detach(&home, &["night.toml", "--name", "strict", "--strict"]);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(run.err.contains("broken.onnx"), "{}", run.err);
    assert!(!home.path("run/divvy/strict.sock").exists());
}

#[test]
fn failed_start_is_reported_by_detach() {
    let home = Home::new();
    home.write("night.toml", "version = 1\nmodell = 1\n");
    let run = detach(&home, &["night.toml"]);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(run.err.contains("modell"), "{}", run.err);
}

#[test]
fn detach_refuses_reports() {
    let home = Home::new();
    let no_run = [
        (&["--json"][..], "divvy top"),
        (&["--for", "1s"], "divvy stop"),
        (&["-"], "standard input"),
        (&["--no-control"], "--no-control"),
    ];
    for (arguments, reason) in no_run {
        let run = detach(&home, arguments);
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        assert!(run.err.contains(reason), "{}", run.err);
    }
}

#[test]
fn nohup_stays_in_force() {
    let home = Home::new();
    let mut shell = home.command("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", DIVVY, "--demo", "--headless"]);
    shell.args(["--engine", "rten", "--interval", "100ms"]);
    let child = shell.spawn().unwrap();
    let lines = || fs::read_to_string(home.path("out")).unwrap().lines().count();
    until("a report", || (lines() > 1).then_some(()));
    signal(child.id(), Signal::HUP);
    let before = lines();
    until("more reports", || (lines() > before + 2).then_some(()));
    signal(child.id(), Signal::TERM);
    assert_eq!(home.end(child).status.code(), Some(0));
}

/// Starts a run without a terminal on `night.toml`, and waits until it can be controlled.
fn start_night(home: &Home, arguments: &[&str]) -> Background {
    let mut divvy = home.divvy();
    divvy.args(["night.toml", "--headless", "--engine", "rten"]).args(arguments);
    in_new_session(&mut divvy);
    let background = Background(divvy.spawn().unwrap().id());
    until("a layout", || live_layout(home));
    background
}

/// Runs a subcommand. Its output goes to other files than that of the run.
fn call(home: &Home, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = home.divvy_without_output().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn live_layout(home: &Home) -> Option<String> {
    let (code, layout, _) = call(home, &["layout"]);
    (code == Some(0)).then_some(layout)
}

/// Saves a file as most editors do: a new file takes the place of the old one.
fn replace(home: &Home, name: &str, content: impl AsRef<[u8]>) {
    let new = home.write("new", content);
    fs::rename(new, home.path(name)).unwrap();
}

#[test]
fn reload_keeps_live_changes() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let _run = start_night(&home, &[]);
    let (code, _, err) = call(&home, &["set", "ranker", "weight=3"]);
    assert_eq!(code, Some(0), "{err}");
    replace(&home, "night.toml", format!("{RANKER}weight = 2\nslo = {{ p99 = \"5ms\" }}\n"));
    let (code, _, err) = call(&home, &["reload"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("kept: ranker: weight 1 -> 2 in the file, 1 -> 3 here"), "{err}");
    let layout = live_layout(&home).unwrap();
    assert!(layout.contains("weight = 3") && layout.contains("5ms"), "{layout}");
    let (_, _, err) = call(&home, &["reload"]);
    assert!(err.contains("nothing has changed"), "{err}");
}

#[test]
fn faulty_file_changes_nothing() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let _run = start_night(&home, &[]);
    let before = live_layout(&home).unwrap();
    replace(&home, "night.toml", format!("{RANKER}weight = 2\ncore = 2\n"));
    let (code, _, err) = call(&home, &["reload"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("core") && err.contains("night.toml"), "{err}");
    assert_eq!(live_layout(&home).unwrap(), before);
}

#[test]
fn hangup_reloads_without_terminal() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let run = start_night(&home, &[]);
    replace(&home, "night.toml", format!("{RANKER}weight = 2\n"));
    signal(run.0, Signal::HUP);
    until("the new weight", || live_layout(&home)?.contains("weight = 2").then_some(()));
    assert!(run.is_running());
}

#[test]
fn watch_follows_the_file() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let _run = start_night(&home, &["--watch"]);
    replace(&home, "night.toml", format!("{RANKER}weight = 2\n"));
    until("the new weight", || live_layout(&home)?.contains("weight = 2").then_some(()));
    home.write("night.toml", format!("{RANKER}weight = 4\n"));
    until("the next weight", || live_layout(&home)?.contains("weight = 4").then_some(()));
}

#[test]
fn reload_loads_replaced_models() {
    let home = Home::new();
    let bytes = fs::read(model("ranker")).unwrap();
    home.write("model.onnx", &bytes);
    home.write("night.toml", RANKER.replace("embedded:ranker.onnx", "model.onnx"));
    let run = start_night(&home, &[]);
    let before = workers(run.0, "ranker");
    replace(&home, "model.onnx", &bytes);
    let (code, _, err) = call(&home, &["reload"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("file loaded again") && err.contains("new files of ranker"), "{err}");
    until("new threads", || {
        let now = workers(run.0, "ranker");
        (!now.is_empty() && now.keys().all(|id| !before.contains_key(id))).then_some(())
    });
    let (_, _, err) = call(&home, &["reload"]);
    assert!(err.contains("nothing has changed"), "{err}");
}

/// Returns a model with one more weight, which no operator uses, in a file beside it.
fn with_weight_beside(model: &[u8], file: &str) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let entry = |key: &str, value: &str| {
        field((13 << 3) | 2, &[field(10, key.as_bytes()), field(18, value.as_bytes())].concat())
    };
    let place = [entry("location", file), entry("offset", "0"), entry("length", "4")].concat();
    let tensor = [&[8, 1, 16, 1][..], &field((8 << 3) | 2, b"beside"), &place, &[14 << 3, 1]];
    let weight = field((5 << 3) | 2, &tensor.concat());
    // the fields of the model are numbers and bytes; its graph becomes longer
    let (mut rest, mut all) = (model, Vec::new());
    while !rest.is_empty() {
        let tag = decode_varint(&mut rest).unwrap();
        let value = decode_varint(&mut rest).unwrap();
        let added = if tag == (7 << 3) | 2 { &weight[..] } else { &[] };
        encode_varint(tag, &mut all);
        encode_varint(value + added.len() as u64, &mut all);
        if tag & 7 == 2 {
            let (bytes, behind) = rest.split_at(value as usize);
            all.extend(bytes);
            rest = behind;
        }
        all.extend(added);
    }
    all
}

#[test]
fn reload_loads_replaced_weights() {
    let home = Home::new();
    home.write("weights.data", 1.0f32.to_le_bytes());
    home.write(
        "model.onnx",
        with_weight_beside(&fs::read(model("ranker")).unwrap(), "weights.data"),
    );
    home.write("night.toml", RANKER.replace("embedded:ranker.onnx", "model.onnx"));
    let _run = start_night(&home, &[]);
    let (code, _, err) = call(&home, &["reload"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("nothing has changed"), "{err}");
    replace(&home, "weights.data", 2.0f32.to_le_bytes());
    let (code, _, err) = call(&home, &["reload"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("file loaded again") && err.contains("new files of ranker"), "{err}");
}

#[test]
fn reload_rereads_the_control_token() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    home.write("old", "0123456789abcdef");
    home.write("token", "0123456789abcdef");
    let arguments = ["--control", "0", "--control-token-file", "token"];
    let _run = start_night(&home, &arguments);
    let err = fs::read_to_string(home.path("err")).unwrap();
    let address = err.split("control on http://").nth(1).unwrap().lines().next().unwrap();
    let code = |file| call(&home, &["layout", "--run", address, "--control-token-file", file]).0;
    assert_eq!((code("old"), code("token")), (Some(0), Some(0)));
    home.write("token", "fedcba9876543210");
    let (reloaded, _, err) = call(&home, &["reload"]);
    assert_eq!(reloaded, Some(0), "{err}");
    assert!(err.contains("the new control token"), "{err}");
    assert_eq!((code("old"), code("token")), (Some(1), Some(0)));
}

#[test]
fn resume_keeps_live_changes() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let arguments = ["--name", "prod", "--resume"];
    let first = start_night(&home, &arguments);
    let (code, _, err) = call(&home, &["set", "ranker", "weight=3"]);
    assert_eq!(code, Some(0), "{err}");
    drop(first);
    let slo = "slo = { p99 = \"5ms\" }\n";
    replace(&home, "night.toml", format!("{RANKER}{slo}"));
    let second = start_night(&home, &arguments);
    until("both changes", || {
        let layout = live_layout(&home)?;
        (layout.contains("weight = 3") && layout.contains("5ms")).then_some(())
    });
    drop(second);
    let _other = start_night(&home, &["--name", "test", "--resume"]);
    assert!(!live_layout(&home).unwrap().contains("weight"));
}

#[test]
fn service_manager_is_notified() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let socket = UnixDatagram::bind(home.path("notify")).unwrap();
    socket.set_read_timeout(Some(binary::PATIENCE)).unwrap();
    let receive = || {
        let mut bytes = [0; 200];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut divvy = home.divvy();
    divvy.args(["night.toml", "--headless", "--engine", "rten"]);
    divvy.env("NOTIFY_SOCKET", home.path("notify"));
    let run = Background(divvy.spawn().unwrap().id());
    assert_eq!(receive(), "READY=1");
    until("the control socket", || live_layout(&home));
    let (code, _, err) = call(&home, &["reload"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(receive().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(receive(), "READY=1");
    signal(run.0, Signal::TERM);
    assert_eq!(receive(), "STOPPING=1");
}

#[test]
fn unit_file_is_valid() {
    let home = Home::new();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/divvy.service");
    let text = fs::read_to_string(unit).unwrap();
    assert!(text.contains("/usr/local/bin/divvy "));
    let unit = home.write("divvy.service", text.replace("/usr/local/bin/divvy", DIVVY));
    let mut verify = Command::new("systemd-analyze");
    let output = match verify.args(["verify", "--man=no"]).arg(unit).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: systemd-analyze: {error}");
            return;
        }
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // its arguments are options of this divvy
    let line = text.split("ExecStart=").nth(1).unwrap().split("ExecReload").next().unwrap();
    let options = line.split_whitespace().filter(|word| word.starts_with("--"));
    let mut help = Command::new(DIVVY);
    let help = help.arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in options {
        assert!(help.contains(option), "{option}");
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(binary::PATIENCE)).unwrap();
    let request = "GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let sent = stream.write_all(request.as_bytes());
    sent.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Ends the run of a home on drop, if a test has failed before.
struct StopAtEnd<'h>(&'h Home);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        let _ = self.0.divvy_without_output().arg("stop").output();
    }
}

/// Opens a console that serves clients, and returns it with its port.
fn serve_in_console(home: &Home) -> (Session, u16) {
    home.write("night.toml", RANKER);
    let port = free_port();
    let arguments = ["night.toml", "--engine", "rten", "--listen", &port.to_string()];
    let mut session = Session::start(home, DIVVY, &arguments, SIZE);
    session.until_text("attached to night");
    assert!(answers(port));
    (session, port)
}

#[test]
fn server_outlives_its_console() {
    let home = Home::new();
    let _end = StopAtEnd(&home);
    let (mut session, port) = serve_in_console(&home);
    session.send("q");
    session.until_text("leave it running");
    session.send("d");
    let left = session.left();
    assert_eq!(left.code, 0, "{}", left.screen);
    assert!(left.screen.contains("divvy attach night"), "{}", left.screen);
    assert!(answers(port));
    let (code, _, err) = call(&home, &["stop"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(!answers(port));
}

#[test]
fn console_can_stop_its_server() {
    let home = Home::new();
    let _end = StopAtEnd(&home);
    let (mut session, port) = serve_in_console(&home);
    session.send("q");
    session.until_text("stop it");
    session.send("s");
    assert_eq!(session.left().code, 0);
    until("the end of the server", || (!answers(port)).then_some(()));
}

#[test]
fn server_outlives_its_terminal() {
    let home = Home::new();
    home.write("night.toml", RANKER);
    let port = free_port();
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut command = CommandBuilder::new(DIVVY);
    command.args(["night.toml", "--headless", "--engine", "rten", "--interval", "100ms"]);
    command.args(["--listen", &port.to_string()]);
    command.cwd(home.path(""));
    for (name, value) in home.variables() {
        command.env(name, value);
    }
    command.env("DIVVY_LOG", "info");
    let mut child = pair.slave.spawn_command(command).unwrap();
    until("an answer", || answers(port).then_some(()));
    // the terminal is gone: SIGHUP, and errors for all that is written to it
    drop(pair);
    let threads =
        |name: &str| binary::threads(child.process_id().unwrap()).values().any(|it| it == name);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(threads("divvy-signals") && answers(port));
    assert!(child.try_wait().unwrap().is_none());
    signal(child.process_id().unwrap(), Signal::TERM);
    let end = std::time::Instant::now() + binary::PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(std::time::Instant::now() < end, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(status.exit_code(), 0);
}

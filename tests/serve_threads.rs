//! The server's threads stay off the cores that a model has reserved. Needs two CPUs.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Child;

use binary::{Home, PATIENCE, allowed, mask, model, threads, until, workers};
use divvy::machine::CpuSet;

/// A running divvy; killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the CPU masks of the server's threads.
fn server_masks(pid: u32) -> Vec<CpuSet> {
    let of_server = |name: &str| name.starts_with("divvy-http") || name == "divvy-serve";
    let threads = threads(pid).into_iter().filter(|(_, name)| of_server(name));
    threads.filter_map(|(thread, _)| mask(pid, thread)).collect()
}

/// Applies a change through the control socket.
fn apply(home: &Home, edit: &str) {
    let socket = home.path("run/divvy/threads.sock");
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = format!(r#"{{"edits": [{edit}]}}"#);
    let length = body.len();
    write!(
        stream,
        "POST /v1/apply HTTP/1.1\r\nhost: divvy\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn server_threads_leave_reserved_cores() {
    let allowed = allowed();
    let Some(reserved) = allowed.iter().last().filter(|_| allowed.len() > 1) else {
        eprintln!("skipped: one CPU only");
        return;
    };
    let reserved: CpuSet = [reserved].into_iter().collect();
    let rest = allowed.difference(&reserved);
    let home = Home::new();
    let path = model("ranker");
    let layout = format!(
        "version = 1\n[[model]]\nname = \"ranker\"\npath = {path:?}\ncores = \"{reserved}\"\n\
         reserve = true\n"
    );
    let layout = home.write("threads.toml", layout);
    let mut divvy = home.divvy();
    divvy.arg(&layout).args(["--engine", "rten", "--headless", "--name", "threads"]);
    divvy.args(["--listen", "127.0.0.1:0", "--server-threads", "2"]);
    let running = Running(divvy.spawn().unwrap());
    let pid = running.0.id();
    let until_masks = |what: &str, cores: &CpuSet| {
        until(what, || {
            let masks = server_masks(pid);
            (masks.len() >= 3 && masks.iter().all(|mask| mask == cores)).then_some(())
        });
    };
    until("the server listens", || {
        fs::read_to_string(home.path("err")).unwrap().contains("listening on http://").then_some(())
    });
    until("the model runs on its core", || {
        workers(pid, "ranker").values().any(|mask| *mask == reserved).then_some(())
    });
    until_masks("server threads off the reserved core", &rest);
    apply(&home, r#"{"edit": "set_reserve", "model": "ranker", "reserve": false}"#);
    until_masks("server threads on all cores", &allowed);
}

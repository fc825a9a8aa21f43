//! The console under tmux, which reports no button release outside the pane. A drag released there
//! is cancelled when the pointer returns without a button. A lost connection ends the program.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod terminal;

use std::process::{Command, Stdio};

use binary::{DIVVY, Home, until, workers};
use divvy::machine::CpuSet;
use terminal::Session;
use terminal::board::{cell, cells, model, models};

/// Rows of the client: the console's pane, a line between, the other pane, the status line.
const CLIENT: (u16, u16) = (120, 46);
const OTHER_PANE: u16 = 8;

/// A tmux server of this test alone.
struct Tmux {
    home: Home,
    socket: String,
}

impl Tmux {
    /// Returns `None`, and prints a message, if tmux is missing. Fails if `DIVVY_REQUIRE_TMUX` is
    /// set.
    fn new() -> Option<Self> {
        let version = Command::new("tmux").arg("-V").stdout(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            let required = std::env::var_os("DIVVY_REQUIRE_TMUX").is_some();
            assert!(!required, "no tmux here, and DIVVY_REQUIRE_TMUX wants it: install it");
            println!("skipped: no tmux here");
            return None;
        }
        let home = Home::new();
        let socket = home.path("socket").to_str().unwrap().to_owned();
        home.write("tmux.conf", "set -g mouse on\nset -g default-terminal screen-256color\n");
        Some(Self { home, socket })
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-S", &self.socket]).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A client with the console in the upper pane, and the console's process.
    fn open(&self) -> (Session, u32) {
        let path = |name: &str| binary::model(name).display().to_string();
        let row = |name: &str| {
            format!("[[model]]\nname = \"{name}\"\npath = {:?}\ncores = 1\n", path(name))
        };
        let text = format!("version = 1\n{}{}", row("detector"), row("embedder"));
        let layout = self.home.write("two.toml", text);
        let line = format!("exec '{DIVVY}' --engine rten '{}'", layout.display());
        let config = self.home.path("tmux.conf");
        let arguments =
            ["-u", "-S", &self.socket, "-f", config.to_str().unwrap(), "new-session", &line];
        let session = Session::start(&self.home, "tmux", &arguments, CLIENT);
        let pid = until("the pane's process", || {
            let arguments = ["-S", &self.socket, "display", "-p", "#{pane_pid}"];
            let output = Command::new("tmux").args(arguments).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        });
        let rows = OTHER_PANE.to_string();
        self.run(&["split-window", "-d", "-v", "-l", &rows, "cat"]);
        (session, pid)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

fn masks(pid: u32) -> Vec<CpuSet> {
    ["detector", "embedder"]
        .iter()
        .flat_map(|name| workers(pid, name).into_values().collect::<Vec<_>>())
        .collect()
}

#[test]
fn lost_release_cancels_the_drag() {
    let Some(tmux) = Tmux::new() else { return };
    if binary::allowed().len() < 2 {
        println!("skipped: it takes two cores to move one");
        return;
    }
    let (mut session, pid) = tmux.open();
    let home = session.until("the Board", |rows| {
        let there = models(rows).iter().filter(|row| row.cores > 0 && row.split.is_some()).count();
        cells(rows).into_iter().find(|cell| cell.owner == "emb" && there == 2)
    });
    let before = masks(pid);
    let row = model(&session.rows(), "detector").unwrap();
    session.press_and_carry(home.place, row.place);
    session.until_text(&format!("detector {} -> {} cores", row.cores, row.cores + 1));
    // let go in the other pane: the console hears nothing of it
    let outside = (row.place.0, CLIENT.1 - 4);
    session.mouse(32, outside, 'M');
    session.mouse(0, outside, 'm');
    // the pointer comes back, no button down
    session.mouse(35, (row.place.0 + 2, row.place.1), 'M');
    session.mouse(35, (row.place.0 + 3, row.place.1), 'M');
    session.until_text("cancelled: the button's release was lost");
    assert_eq!(cell(&session.rows(), home.core).unwrap().owner, home.owner);
    assert_eq!(model(&session.rows(), "detector").unwrap().cores, row.cores);
    assert_eq!(masks(pid), before);
    // nothing sticks: the same drag to its end works
    session.drag(home.place, row.place);
    session.until("the core at its new owner", |rows| {
        (cell(rows, home.core)?.owner == row.tag).then_some(())
    });
}

#[test]
fn lost_terminal_ends_the_program() {
    let Some(tmux) = Tmux::new() else { return };
    let (mut session, pid) = tmux.open();
    session.until("the Board", |rows| models(rows).iter().find(|row| row.cores > 0).cloned());
    tmux.run(&["kill-server"]);
    until("the end of the program", || {
        // a zombie has no threads to read
        workers(pid, "detector").is_empty().then_some(())
    });
    let gone = || (!std::path::Path::new(&format!("/proc/{pid}/exe")).exists()).then_some(());
    until("the end of the process", gone);
}

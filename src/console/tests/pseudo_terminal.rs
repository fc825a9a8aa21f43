//! The console on a real pseudo-terminal, over the scheduler of the tests: the bytes that a
//! terminal sends, the screen that it would show, and the terminal as it is left.
//!
//! The program at the other end is this test binary itself. A variable makes it run [`child`].

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::fixtures;
use super::testing::FakeControl;
use crate::console::{ConsoleOptions, Exit, ThemeName, run};

/// Timeout of a failed test; passing tests do not wait for it.
const LIMIT: Duration = Duration::from_mins(1);
const VARIABLE: &str = "DIVVY_TEST_CONSOLE";

/// The program at the other end. Runs only when the tests below start it.
#[test]
#[ignore = "the other end of the pseudo-terminal"]
fn child() {
    let Ok(how) = std::env::var(VARIABLE) else {
        return;
    };
    let mut control = FakeControl::new(&fixtures::layout(), fixtures::machine(8, 4));
    // the console requests the layout after it has set up the terminal
    control.panics = how == "panic";
    if how == "slow" {
        control.delay = Duration::from_millis(5);
    }
    let control = Arc::new(control);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    if how == "stop" {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            stop.send(true).unwrap();
        });
    }
    let theme = ThemeName::from_environment(std::env::var("NO_COLOR").ok().as_deref(), None);
    let options = ConsoleOptions { stop: Some(stopped), theme, ..ConsoleOptions::default() };
    let exit = run(control.clone(), options).unwrap().exit;
    let cores = control.desired().row("detector").unwrap().cores;
    println!("left by {exit:?} with detector on {cores}");
    assert!(how != "stop" || exit == Exit::Stopped);
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

struct Tty {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Everything that was written, for what the parser does not keep.
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Tty {
    fn start(how: &str) -> Self {
        let size = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args([
            "console::tests::pseudo_terminal::child",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        command.args(["--test-threads", "1"]);
        command.env(VARIABLE, how);
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        command.env("NO_COLOR", "1");
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(36), cells(120), 0)));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (to, all) = (screen.clone(), bytes.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                to.lock().unwrap().process(&buffer[..count]);
                all.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Self { child, master: pair.master, keyboard, screen, bytes }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen shows a text; the limit only ends a test that has failed.
    fn until(&self, wanted: &str) {
        let start = Instant::now();
        while !self.text().contains(wanted) {
            assert!(start.elapsed() < LIMIT, "no {wanted:?} in\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn send(&mut self, bytes: &str) {
        self.keyboard.write_all(bytes.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Column and row, from 1, of a text on the screen.
    fn find(&self, wanted: &str) -> (usize, usize) {
        let text = self.text();
        let hit = text.lines().enumerate().find_map(|(row, line)| {
            line.find(wanted).map(|at| (line[..at].chars().count() + 1, row + 1))
        });
        hit.unwrap_or_else(|| panic!("no {wanted:?} in\n{text}"))
    }

    /// The terminal is as the shell expects it: its own screen, cursor, no mouse reports.
    fn assert_restored(&self) {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "pastes are still bracketed");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        let name = self.master.tty_name().unwrap();
        let modes = Command::new("stty").arg("-F").arg(name).arg("-a").output().unwrap();
        let modes = String::from_utf8(modes.stdout).unwrap();
        assert!(modes.contains(" icanon") && modes.contains(" echo "), "still raw: {modes}");
    }
}

#[test]
fn mouse_bytes_drag_a_core() {
    let mut tty = Tty::start("drag");
    tty.until("ocr ocr");
    let (x, y) = tty.find("■ ■ ");
    let (row, target) = (tty.find("ocr ocr").1, y);
    tty.send(&format!("\x1b[<0;{x};{row}M"));
    tty.send(&format!("\x1b[<32;{x};{target}M"));
    tty.until("detector 4 -> 5 cores, ocr 2 -> 1");
    tty.send(&format!("\x1b[<0;{x};{target}m"));
    tty.until("in force in 41 us");
    // the release is missing: a plain move cancels the drag
    tty.send(&format!("\x1b[<0;{x};{row}M\x1b[<32;{x};{target}M"));
    tty.until("idle");
    tty.send(&format!("\x1b[<35;{x};{target}M"));
    tty.until("cancelled: the button's release was lost");
    tty.send("q");
    tty.until("leave without saving");
    tty.send("d");
    tty.until("left by Quit with detector on 0-3,5");
    assert!(tty.child.wait().unwrap().success());
    tty.assert_restored();
    // under NO_COLOR nothing sets a colour
    let bytes = String::from_utf8_lossy(&tty.bytes.lock().unwrap()).into_owned();
    assert!(!bytes.contains("\x1b[38;"), "a colour was set");
    assert!(bytes.contains("\x1b[?2026h"), "frames are not synchronized");
}

#[test]
fn bytes_in_one_read_each_take_effect() {
    let mut tty = Tty::start("slow");
    tty.until("ocr ocr");
    tty.send("l+++");
    tty.until("detector 6 -> 7 instances");
    tty.send("pp");
    tty.until("resumed");
    tty.send("t++");
    tty.until("2 staged");
    tty.until("detector 7 -> 9 instances");
    tty.send("\r");
    tty.until("applied: ");
    tty.send("qd");
    tty.until("left by Quit");
    assert!(tty.child.wait().unwrap().success());
}

#[test]
fn panic_restores_the_terminal() {
    let mut tty = Tty::start("panic");
    tty.until("a planted panic");
    assert!(!tty.child.wait().unwrap().success());
    tty.assert_restored();
}

#[test]
fn stop_signal_ends_the_console() {
    let mut tty = Tty::start("stop");
    tty.until("left by Stopped");
    assert!(tty.child.wait().unwrap().success());
    tty.assert_restored();
}

#[test]
fn many_resizes_do_not_crash() {
    let mut tty = Tty::start("sizes");
    tty.until("ocr ocr");
    for (rows, cols) in [(1, 1), (12, 40), (60, 200), (5, 30), (24, 80), (2, 300), (36, 120)] {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        tty.screen.lock().unwrap().screen_mut().set_size(cells(rows), cells(cols));
        tty.master.resize(size).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    tty.until("ocr ocr");
    tty.send("q");
    tty.until("left by Quit");
    assert!(tty.child.wait().unwrap().success());
}

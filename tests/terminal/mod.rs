//! A pseudo-terminal that runs a program, keeps every byte it wrote, and shows the screen that
//! these bytes make.
// each test crate uses a part of this
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use vt100::{MouseProtocolMode, Parser};

pub(crate) mod board;
pub(crate) mod opened;

use crate::binary::{FOREIGN, Home, PATIENCE};

/// Columns and rows at the start.
pub(crate) const SIZE: (u16, u16) = (120, 36);

/// A program in a terminal.
pub(crate) struct Session {
    master: Box<dyn MasterPty + Send>,
    slave: Option<Box<dyn SlavePty + Send>>,
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    received: Arc<Mutex<Received>>,
    reader: Option<JoinHandle<()>>,
    modes_before: String,
}

struct Received {
    parser: Parser,
    bytes: Vec<u8>,
    /// False during rapid resizes, when bytes drawn for an older size still arrive.
    shown: bool,
}

/// The state of the terminal and the exit of a program that has ended.
pub(crate) struct Left {
    pub code: u32,
    pub signal: Option<String>,
    pub bytes: Vec<u8>,
    pub screen: String,
    /// Line modes (echo, line editing) before and after.
    pub modes: (String, String),
    pub alternate_screen: bool,
    pub mouse: bool,
    pub cursor_hidden: bool,
    pub bracketed_paste: bool,
}

fn parser((columns, rows): (u16, u16)) -> Parser {
    Parser::new(NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap(), 0)
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl Session {
    /// Starts a program in the given home.
    pub(crate) fn start(home: &Home, program: &str, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::start_with(home, program, arguments, size, &[])
    }

    /// As [`Session::start`], with further variables in its environment.
    pub(crate) fn start_with(
        home: &Home,
        program: &str,
        arguments: &[&str],
        size: (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system().openpty(pty_size(size)).unwrap();
        let modes_before = modes(&*pair.master);
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(home.path(""));
        for (name, value) in home.variables() {
            command.env(name, value);
        }
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let received =
            Arc::new(Mutex::new(Received { parser: parser(size), bytes: Vec::new(), shown: true }));
        let mut from = pair.master.try_clone_reader().unwrap();
        let to = received.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 1 << 14];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut received = to.lock().unwrap();
                received.bytes.extend_from_slice(&buffer[..count]);
                if received.shown {
                    received.parser.process(&buffer[..count]);
                }
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Self {
            master: pair.master,
            slave: Some(pair.slave),
            child,
            writer,
            received,
            reader: Some(reader),
            modes_before,
        }
    }

    /// Returns the id of the started process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Types.
    pub(crate) fn send(&mut self, bytes: &str) {
        self.writer.write_all(bytes.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// A mouse event at a place counted from 0: SGR bytes, as terminals send them.
    pub(crate) fn mouse(&mut self, button: u8, (column, row): (u16, u16), end: char) {
        self.send(&format!("\x1b[<{button};{};{}{end}", column + 1, row + 1));
    }

    /// Presses the left button, moves over the way, and keeps the button down.
    pub(crate) fn press_and_carry(&mut self, from: (u16, u16), to: (u16, u16)) {
        self.mouse(0, from, 'M');
        let half = (from.0.midpoint(to.0), from.1.midpoint(to.1));
        for place in [half, to] {
            self.mouse(32, place, 'M');
        }
    }

    /// Drags with the left button.
    pub(crate) fn drag(&mut self, from: (u16, u16), to: (u16, u16)) {
        self.press_and_carry(from, to);
        self.mouse(0, to, 'm');
    }

    /// The rows of the screen now; a character a column.
    pub(crate) fn rows(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let screen = received.parser.screen();
        let columns = screen.size().1.get();
        screen.rows(0, columns).collect()
    }

    /// Waits until the screen shows something, and gives it.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&[String]) -> Option<T>,
    ) -> T {
        let begun = Instant::now();
        loop {
            let rows = self.rows();
            if let Some(seen) = look(&rows) {
                return seen;
            }
            let screen = rows.join("\n");
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("it ended ({status:?}) before this came: {what}\n{screen}");
            }
            assert!(begun.elapsed() < PATIENCE, "never came: {what}\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a text is on the screen.
    pub(crate) fn until_text(&mut self, text: &str) {
        self.until(text, |rows| rows.iter().any(|row| row.contains(text)).then_some(()));
    }

    /// Waits until one of these byte sequences has come since `from`; gives the new end.
    pub(crate) fn until_bytes(&mut self, from: usize, wanted: &str) -> usize {
        self.until(&format!("{wanted:?}"), |_| Some(()));
        let begun = Instant::now();
        loop {
            let bytes = self.bytes();
            if let Some(at) = find(&bytes[from..], wanted) {
                return from + at + wanted.len();
            }
            assert!(begun.elapsed() < PATIENCE, "never came: {wanted:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All bytes so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.received.lock().unwrap().bytes.clone()
    }

    /// Line modes of the terminal now.
    pub(crate) fn modes(&self) -> String {
        modes(&*self.master)
    }

    /// Line modes before the program started.
    pub(crate) fn modes_before(&self) -> &str {
        &self.modes_before
    }

    /// Another size, without looking at what is drawn for it.
    pub(crate) fn storm(&mut self, size: (u16, u16)) {
        self.received.lock().unwrap().shown = false;
        self.master.resize(pty_size(size)).unwrap();
    }

    /// A size to stay at, on an empty screen.
    pub(crate) fn settle(&mut self, size: (u16, u16)) {
        self.master.resize(pty_size(size)).unwrap();
        let mut received = self.received.lock().unwrap();
        received.parser = parser(size);
        received.parser.process(b"\x1b[?1049h");
        received.shown = true;
    }

    /// Waits for the end of the program and of its output.
    pub(crate) fn left(mut self) -> Left {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let screen = || self.rows().join("\n");
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", screen());
            std::thread::sleep(Duration::from_millis(20));
        };
        // before the last holder of the terminal is gone: the kernel forgets its modes then
        let modes = (self.modes_before.clone(), self.modes());
        self.slave = None;
        self.reader.take().unwrap().join().unwrap();
        let received = self.received.lock().unwrap();
        let screen = received.parser.screen();
        Left {
            code: status.exit_code(),
            signal: status.signal().map(str::to_owned),
            bytes: received.bytes.clone(),
            screen: screen.contents(),
            modes,
            alternate_screen: screen.alternate_screen(),
            mouse: screen.mouse_protocol_mode() != MouseProtocolMode::None,
            cursor_hidden: screen.hide_cursor(),
            bracketed_paste: screen.bracketed_paste(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // after a failed assertion; a program that has ended is not there to be killed
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

/// Returns the position of a text in bytes.
pub(crate) fn find(bytes: &[u8], wanted: &str) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted.as_bytes())
}

fn find_last(bytes: &[u8], wanted: &str) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted.as_bytes())
}

/// Asserts that the bytes switch off each mode after they switch it on.
pub(crate) fn assert_given_back(bytes: &[u8]) {
    for (on, off) in [
        ("\x1b[?1049h", "\x1b[?1049l"),
        ("\x1b[?1000h", "\x1b[?1000l"),
        ("\x1b[?1002h", "\x1b[?1002l"),
        ("\x1b[?1003h", "\x1b[?1003l"),
        ("\x1b[?1006h", "\x1b[?1006l"),
        ("\x1b[?1004h", "\x1b[?1004l"),
        ("\x1b[?2004h", "\x1b[?2004l"),
        ("\x1b[?2026h", "\x1b[?2026l"),
        ("\x1b[?25l", "\x1b[?25h"),
    ] {
        let began = find_last(bytes, on).unwrap_or_else(|| panic!("{on:?} was never sent"));
        let ended = find_last(bytes, off).unwrap_or_else(|| panic!("{off:?} was never sent"));
        assert!(began < ended, "{on:?} is the last word");
    }
}

impl Left {
    /// The terminal is as it was before.
    pub(crate) fn assert_restored(&self) {
        assert_given_back(&self.bytes);
        assert!(!self.alternate_screen, "still on the alternate screen");
        assert!(!self.mouse, "still captures the mouse");
        assert!(!self.cursor_hidden, "the cursor is still hidden");
        assert!(!self.bracketed_paste, "still brackets pastes");
        assert_eq!(self.modes.0, self.modes.1, "line modes");
    }
}

//! Sets up the terminal, draws on it and restores it, also after an error, a panic or a fault in
//! native code. No other module accesses the terminal.

use std::io::{self, BufWriter, Stdout, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::panic_log;
use super::state::ConsoleState;
use super::stderr_redirect::StderrRedirect;
use super::view::SentFrame;
#[cfg(unix)]
use crate::machine::crash;

/// The thread that uses the terminal. Prevents a second restore, which would erase later output.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);

/// The redirect of stderr while the console uses the screen.
static STRAY: Mutex<Option<StderrRedirect>> = Mutex::new(None);

fn stray() -> MutexGuard<'static, Option<StderrRedirect>> {
    // nothing panics while it is held
    STRAY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn owner() -> MutexGuard<'static, Option<ThreadId>> {
    // nothing panics while it is held, and an id is whole in any case
    OWNER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program that gets the events of the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MousePointer {
    /// The console.
    Captured,
    /// The terminal, which selects text.
    Free,
}

impl MousePointer {
    /// Returns the pointer of a console whose mouse is on or off.
    pub fn of(state: &ConsoleState) -> Self {
        if state.mouse { Self::Captured } else { Self::Free }
    }
}

/// The terminal in the console's mode. Dropping it restores the terminal.
pub struct TerminalScreen {
    backend: CrosstermBackend<BufWriter<Stdout>>,
    sent: SentFrame,
    /// The area of the terminal; `None` if it may have changed.
    area: Option<Rect>,
    mouse: MousePointer,
    /// The file that receives stderr in the meantime.
    stderr: Option<PathBuf>,
}

impl TerminalScreen {
    /// Sets up the terminal: alternate screen, raw mode, mouse if requested. Redirects stderr to
    /// the file.
    ///
    /// # Errors
    /// Fails if the terminal cannot be set up. It is then unchanged.
    pub fn enter(mouse: MousePointer, stderr: Option<PathBuf>) -> io::Result<Self> {
        // with NO_COLOR, crossterm would send a reset after each attribute; the theme has no
        // colours anyway
        crossterm::style::force_color_output(true);
        restore_on_panic();
        take(mouse, stderr.as_deref())?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout()));
        Ok(Self { backend, sent: SentFrame::default(), area: None, mouse, stderr })
    }

    /// Sends the cells of the changed areas that differ from the last frame, in one write. Sends the
    /// whole frame after [`clear`](Self::clear), or if its size is another.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&mut self, frame: &Buffer, changed: &[Rect]) -> io::Result<()> {
        queue!(self.backend, BeginSynchronizedUpdate)?;
        self.sent.send(frame, changed, &mut self.backend)?;
        execute!(self.backend, EndSynchronizedUpdate)
    }

    /// Returns the area of the whole terminal, which is asked for it once after each
    /// [`clear`](Self::clear): each question opens the terminal's device.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn area(&mut self) -> io::Result<Rect> {
        if let Some(area) = self.area {
            return Ok(area);
        }
        let size = self.backend.size()?;
        let area = Rect { x: 0, y: 0, width: size.width, height: size.height };
        self.area = Some(area);
        Ok(area)
    }

    /// Invalidates the last frame, so that the next one is sent whole. Must be called when the
    /// terminal's size may have changed.
    pub fn clear(&mut self) {
        self.sent.invalidate();
        self.area = None;
    }

    /// Captures the mouse, or leaves it to the terminal.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn set_mouse(&mut self, mouse: MousePointer) -> io::Result<()> {
        self.mouse = mouse;
        match mouse {
            MousePointer::Captured => execute!(io::stdout(), EnableMouseCapture),
            MousePointer::Free => execute!(io::stdout(), DisableMouseCapture),
        }
    }

    /// Restores the terminal, suspends the process like the shell's job control, and sets the
    /// terminal up again when the process continues.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        #[cfg(unix)]
        crash::suspend_process_group()?;
        take(self.mouse, self.stderr.as_deref())?;
        self.clear();
        Ok(())
    }
}

impl Drop for TerminalScreen {
    fn drop(&mut self) {
        restore();
    }
}

fn take(mouse: MousePointer, stderr: Option<&Path>) -> io::Result<()> {
    *owner() = Some(thread::current().id());
    *stray() = StderrRedirect::start(stderr).unwrap_or_else(|error| {
        tracing::warn!("what libraries write may come over the screen: {error}");
        None
    });
    #[cfg(unix)]
    let words = farewell(stray().as_ref().and_then(StderrRedirect::path));
    #[cfg(unix)]
    if let Err(error) = crash::restore_terminal_on_crash(&io::stdout(), &words) {
        tracing::warn!(
            "a library that ends the process would leave the terminal as it is: {error}"
        );
    }
    let entered = enable_raw_mode().and_then(|()| {
        let mut out = io::stdout();
        queue!(out, EnterAlternateScreen, EnableFocusChange, EnableBracketedPaste, cursor::Hide)?;
        if mouse == MousePointer::Captured {
            queue!(out, EnableMouseCapture)?;
        }
        out.flush()
    });
    entered.inspect_err(|_| restore())
}

/// Restores the terminal, if the console uses it. Also called right before the process ends.
pub fn restore() {
    if owner().take().is_none() {
        return;
    }
    leave(&mut io::stdout());
    let _ = disable_raw_mode();
    #[cfg(unix)]
    crash::cancel_terminal_restore();
    // last, so that stderr does not reach the screen before it is restored
    drop(stray().take());
}

/// Switches to the terminal's normal screen.
fn leave(out: &mut impl Write) {
    // ignore errors per step, so that the remaining steps run
    let _ = execute!(out, EndSynchronizedUpdate, DisableMouseCapture);
    let _ = execute!(out, DisableBracketedPaste, DisableFocusChange);
    let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
}

/// Returns the bytes that restore the terminal when native code ends the process.
#[cfg(unix)]
fn farewell(stderr: Option<&Path>) -> Vec<u8> {
    let mut bytes = Vec::new();
    leave(&mut bytes);
    bytes.extend(b"divvy was ended by a fault in native code");
    if let Some(path) = stderr {
        // writing to a vector never fails
        let _ = write!(bytes, "; what it wrote to standard error is in {}", path.display());
    }
    // the terminal is still in raw mode
    bytes.extend(b"\r\n");
    bytes
}

/// Restores the terminal before a panic's message is printed: on the alternate screen it would be
/// lost.
fn restore_on_panic() {
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if HOOKED.swap(true, Ordering::SeqCst) {
        return;
    }
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let current = thread::current();
        let theirs = owner().is_some_and(|owner| owner != current.id());
        if theirs {
            // Panics on workers are caught there; their messages must not overwrite the screen.
            panic_log::log(info);
        } else {
            restore();
            previous(info);
        }
    }));
}

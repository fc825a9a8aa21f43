//! Restores the terminal when a fatal signal ends the process, for example when a native library aborts
//! or accesses invalid memory. The process then ends as it would have without this handler.
//!
//! The handler makes only calls that `signal-safety(7)` allows, on memory that was prepared before.
#![cfg(unix)]
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::sync::{Once, OnceLock};

use libc::{c_int, c_void, siginfo_t};

/// Signals that end the process by default, with a core dump.
const FATAL_SIGNALS: [c_int; 6] =
    [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// The state in which to leave the terminal.
struct SavedTerminal {
    tty: RawFd,
    modes: libc::termios,
    reset_bytes: Vec<u8>,
}

/// The terminal's descriptor, duplicated so that it stays open. One per process.
static TTY: OnceLock<OwnedFd> = OnceLock::new();

/// The terminal to restore; null if there is none.
static TERMINAL: AtomicPtr<SavedTerminal> = AtomicPtr::new(null_mut());

/// The previous action of each signal.
static PREVIOUS_ACTIONS: [AtomicPtr<libc::sigaction>; FATAL_SIGNALS.len()] =
    [const { AtomicPtr::new(null_mut()) }; FATAL_SIGNALS.len()];

static INSTALL_HANDLERS: Once = Once::new();

/// The progress of the first thread that runs the handler.
static RESTORE_STATE: AtomicU8 = AtomicU8::new(NOT_STARTED);

const NOT_STARTED: u8 = 0;
const RESTORING: u8 = 1;
const RESTORED: u8 = 2;

/// The time for which other threads wait until the terminal is restored, in milliseconds. Limited,
/// because a fault within the handler would wait for itself.
const MAX_WAIT_MS: u32 = 200;

/// Saves the current modes of the terminal `tty`. Until [`cancel_terminal_restore`], a fatal signal writes
/// `reset_bytes` to the terminal and restores these modes. A process has one terminal: later calls use
/// the `tty` of the first.
///
/// # Errors
/// If `tty` is not a terminal, or the process has no descriptor left.
pub fn restore_terminal_on_crash(tty: &impl AsFd, reset_bytes: &[u8]) -> io::Result<()> {
    if TTY.get().is_none() {
        let own = tty.as_fd().try_clone_to_owned()?;
        // Another thread may have set it first, to the same terminal.
        let _ = TTY.set(own);
    }
    let Some(tty) = TTY.get().map(AsRawFd::as_raw_fd) else { return Ok(()) };
    let mut modes = MaybeUninit::uninit();
    // SAFETY: the call writes a whole `termios` if it returns 0, and keeps no pointer.
    let modes = unsafe {
        if libc::tcgetattr(tty, modes.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        modes.assume_init()
    };
    let terminal = Box::new(SavedTerminal { tty, modes, reset_bytes: reset_bytes.to_vec() });
    // The previous value leaks: a handler on another thread may be reading it. This is called at
    // startup and after each suspension, and costs a few bytes each time.
    TERMINAL.store(Box::into_raw(terminal), Ordering::Release);
    INSTALL_HANDLERS.call_once(|| {
        for (signal, previous) in FATAL_SIGNALS.iter().zip(&PREVIOUS_ACTIONS) {
            install_handler(*signal, previous);
        }
    });
    Ok(())
}

/// Cancels [`restore_terminal_on_crash`]: the terminal has been restored already.
pub fn cancel_terminal_restore() {
    TERMINAL.store(null_mut(), Ordering::Release);
}

/// Installs the handler for a signal. If that fails, the signal keeps its previous action.
fn install_handler(signal: c_int, previous: &AtomicPtr<libc::sigaction>) {
    // SAFETY: zeros are a `sigaction` with an empty mask and no flags; both calls read one struct and
    // write another of the same kind, and keep no pointer. The handler has the type that SA_SIGINFO
    // requires. It runs on the alternate stack (SA_ONSTACK), which each thread of the standard library
    // has, so it works after a stack overflow.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        if libc::sigaction(signal, null(), &raw mut action) != 0 {
            return;
        }
        // Stored before the handler can run; never freed.
        previous.store(Box::into_raw(Box::new(action)), Ordering::Release);
        let mut ours: libc::sigaction = zeroed();
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = restore_then_end;
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(signal, &raw const ours, null_mut());
    }
}

/// The signal handler: restores the terminal, and lets the signal end the process.
extern "C" fn restore_then_end(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    let swapped =
        RESTORE_STATE.compare_exchange(NOT_STARTED, RESTORING, Ordering::AcqRel, Ordering::Acquire);
    if swapped.is_ok() {
        restore_terminal();
        RESTORE_STATE.store(RESTORED, Ordering::Release);
    } else {
        // Memory corruption often hits several threads: wait for the first one to finish.
        wait_until_restored();
    }
    let index = FATAL_SIGNALS.iter().position(|fatal| *fatal == signal);
    let previous = index.and_then(|index| PREVIOUS_ACTIONS.get(index));
    // SAFETY: `install_handler` stored the action behind `previous` before this handler could run, and
    // it is never freed; zeros are the default action; `info` is the kernel's and valid during the
    // call. sigaction and raise are safe in a handler.
    unsafe {
        let default: libc::sigaction = zeroed();
        // A trap continues after its instruction, so it would not be raised again either.
        let is_sent = info.is_null() || (*info).si_code <= 0 || signal == libc::SIGTRAP;
        if is_sent {
            // The raised signal is blocked until this handler returns. It gets the default action,
            // because the previous handler may expect a fault that repeats by itself, as the
            // standard library's does.
            libc::sigaction(signal, &raw const default, null_mut());
            libc::raise(signal);
        } else if let Some(previous) = previous {
            // The instruction runs again and faults again, now with the previous action.
            libc::sigaction(signal, previous.load(Ordering::Acquire), null_mut());
        }
    }
}

fn wait_until_restored() {
    let step = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    for _ in 0..MAX_WAIT_MS {
        if RESTORE_STATE.load(Ordering::Acquire) == RESTORED {
            return;
        }
        // SAFETY: the call reads the struct, keeps no pointer, and is safe in a handler.
        unsafe { libc::nanosleep(&raw const step, null_mut()) };
    }
}

fn restore_terminal() {
    let terminal = TERMINAL.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: a stored pointer is a `SavedTerminal` that is never freed. write and tcsetattr are safe
    // in a handler; the length is that of the `Vec`.
    unsafe {
        let Some(terminal) = terminal.as_ref() else { return };
        let tty = terminal.tty;
        let _ = libc::write(tty, terminal.reset_bytes.as_ptr().cast(), terminal.reset_bytes.len());
        let _ = libc::tcsetattr(tty, libc::TCSANOW, &raw const terminal.modes);
    }
}

/// Suspends this process group like the shell's job control, even if a handler for SIGTSTP is
/// installed. Returns when the process continues; immediately if no shell could continue it (an
/// orphaned process group).
///
/// # Errors
/// If the system refuses the signal.
pub fn suspend_process_group() -> io::Result<()> {
    // SAFETY: zeros are the default action with an empty mask; each call reads or writes whole structs
    // and keeps no pointer. The previous action is restored.
    unsafe {
        let default: libc::sigaction = zeroed();
        let mut previous: libc::sigaction = zeroed();
        if libc::sigaction(libc::SIGTSTP, &raw const default, &raw mut previous) != 0 {
            return Err(io::Error::last_os_error());
        }
        let sent = libc::kill(0, libc::SIGTSTP);
        let error = io::Error::last_os_error();
        libc::sigaction(libc::SIGTSTP, &raw const previous, null_mut());
        if sent == 0 { Ok(()) } else { Err(error) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::FromRawFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    const FAULT: &str = "DIVVY_TEST_FAULT";

    fn modes(tty: &File) -> libc::termios {
        // SAFETY: zeros are a `termios`; the call writes a whole one and keeps no pointer.
        unsafe {
            let mut modes = zeroed();
            assert_eq!(libc::tcgetattr(tty.as_raw_fd(), &raw mut modes), 0);
            modes
        }
    }

    fn set_raw(tty: &impl AsFd) {
        let tty = tty.as_fd().as_raw_fd();
        // SAFETY: as above; cfmakeraw only changes its argument.
        unsafe {
            let mut modes = zeroed();
            assert_eq!(libc::tcgetattr(tty, &raw mut modes), 0);
            libc::cfmakeraw(&raw mut modes);
            assert_eq!(libc::tcsetattr(tty, libc::TCSANOW, &raw const modes), 0);
        }
    }

    /// Opens a pseudo-terminal; returns its master and slave.
    fn pair() -> (File, File) {
        let (mut master, mut slave) = (0, 0);
        // SAFETY: the call returns two new descriptors; the other three arguments may be null.
        unsafe {
            let (name, modes, size) = (null_mut(), null_mut(), null_mut());
            let made = libc::openpty(&raw mut master, &raw mut slave, name, modes, size);
            assert_eq!(made, 0);
            (File::from_raw_fd(master), File::from_raw_fd(slave))
        }
    }

    #[allow(unconditional_recursion)]
    fn deeper(depth: &[u64; 64]) -> u64 {
        let mut next = *depth;
        next[0] += 1;
        std::hint::black_box(deeper(&next)) + next[0]
    }

    fn trap() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction accesses no memory; it is the intended fault.
        unsafe {
            std::arch::asm!("int3");
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: raise is always allowed.
        unsafe {
            libc::raise(libc::SIGTRAP);
        }
    }

    /// Runs in the child process of the test below, whose stdin is the terminal.
    #[test]
    fn faulting_child_process() {
        let Ok(fault) = std::env::var(FAULT) else { return };
        restore_terminal_on_crash(&io::stdin(), b"farewell\r\n").unwrap();
        set_raw(&io::stdin());
        match fault.as_str() {
            // SAFETY: the intended fault, which ends the process.
            "null" => unsafe { null_mut::<u8>().write_volatile(1) },
            "stack" => drop(std::thread::spawn(|| deeper(&[0; 64])).join()),
            "abort" => std::process::abort(),
            "trap" => trap(),
            "several" => {
                let fault = || loop {
                    // SAFETY: the intended fault, which ends the process.
                    unsafe { null_mut::<u8>().write_volatile(1) };
                };
                let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(fault)).collect();
                for thread in threads {
                    drop(thread.join());
                }
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn fatal_signals_restore_the_terminal() {
        let ends = [
            ("null", libc::SIGSEGV),
            ("stack", libc::SIGABRT),
            ("abort", libc::SIGABRT),
            ("trap", libc::SIGTRAP),
            ("several", libc::SIGSEGV),
        ];
        for (fault, signal) in ends {
            let (mut master, slave) = pair();
            let before = modes(&slave);
            let name = "machine::crash::tests::faulting_child_process";
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(FAULT, fault)
                .stdin(Stdio::from(slave.try_clone().unwrap()))
                .output()
                .unwrap();
            assert_eq!(output.status.signal(), Some(signal), "{fault}: {output:?}");
            assert!(modes(&slave) == before, "{fault}: the modes of the terminal");
            let mut written = [0; 10];
            master.read_exact(&mut written).unwrap();
            assert_eq!(&written, b"farewell\r\n", "{fault}");
            let overflowed =
                String::from_utf8_lossy(&output.stderr).contains("overflowed its stack");
            assert_eq!(overflowed, fault == "stack", "{output:?}");
        }
    }
}

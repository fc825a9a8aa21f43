//! What is left to do when a signal ends the process that no code can go on from, as when a native
//! library aborts or reaches for memory that is not there: the terminal is given back, and then the
//! process ends as it would have without this.
//!
//! Only calls that `signal-safety(7)` allows are made by then, on memory that was filled in before.
#![cfg(unix)]
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::sync::{Once, OnceLock};

use libc::{c_int, c_void, siginfo_t};

/// The signals whose usual end is that of the process, with a core where one is wanted.
const DEADLY: [c_int; 6] =
    [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// A terminal as it is to be after the process.
struct Terminal {
    tty: RawFd,
    modes: libc::termios,
    farewell: Vec<u8>,
}

/// The descriptor that is written to: ours alone, whatever becomes of the others. One a process.
static TTY: OnceLock<OwnedFd> = OnceLock::new();

/// The terminal to give back; null while there is none.
static TERMINAL: AtomicPtr<Terminal> = AtomicPtr::new(null_mut());

/// What the process did at each of the signals before.
static BEFORE: [AtomicPtr<libc::sigaction>; DEADLY.len()] =
    [const { AtomicPtr::new(null_mut()) }; DEADLY.len()];

static HANDLED: Once = Once::new();

/// Whether a thread is ending the process, and whether it has given the terminal back.
static ENDING: AtomicU8 = AtomicU8::new(NOT_ENDING);

const NOT_ENDING: u8 = 0;
const GIVING_BACK: u8 = 1;
const GIVEN_BACK: u8 = 2;

/// How long a thread waits for another one that is giving the terminal back, in steps of a millisecond.
/// Not for ever: a fault within the handler would wait for itself.
const STEPS: u32 = 200;

/// From now on, until [`cancel_terminal_restore`]: when a deadly signal comes, the terminal behind `tty` gets
/// the modes that it has at this moment, and the bytes of `farewell`. A process has one terminal: the
/// `tty` of the first call is used from then on.
///
/// # Errors
/// When `tty` is no terminal, or the system has no descriptor left.
pub fn restore_terminal_on_crash(tty: &impl AsFd, farewell: &[u8]) -> io::Result<()> {
    if TTY.get().is_none() {
        let own = tty.as_fd().try_clone_to_owned()?;
        // a thread that came first has the same terminal
        let _ = TTY.set(own);
    }
    let Some(tty) = TTY.get().map(AsRawFd::as_raw_fd) else { return Ok(()) };
    let mut modes = MaybeUninit::uninit();
    // SAFETY: the call writes a whole `termios` where it answers 0, and keeps no pointer.
    let modes = unsafe {
        if libc::tcgetattr(tty, modes.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        modes.assume_init()
    };
    let terminal = Box::new(Terminal { tty, modes, farewell: farewell.to_vec() });
    // the one before is not freed: a handler on another thread may be reading it. A terminal is
    // taken at the start and after each stop in the shell, so that is a few bytes each time
    TERMINAL.store(Box::into_raw(terminal), Ordering::Release);
    HANDLED.call_once(|| {
        for (signal, before) in DEADLY.iter().zip(&BEFORE) {
            handle(*signal, before);
        }
    });
    Ok(())
}

/// The terminal is given back already.
pub fn cancel_terminal_restore() {
    TERMINAL.store(null_mut(), Ordering::Release);
}

/// Installs the handler for a signal. Where that fails the signal does what it did before.
fn handle(signal: c_int, before: &AtomicPtr<libc::sigaction>) {
    // SAFETY: zeroes are a `sigaction` with an empty mask and no flags; both calls read one struct and
    // write another of the same kind, and keep no pointer. The handler has the type that SA_SIGINFO
    // asks for. On the alternate stack (SA_ONSTACK), which each thread of the standard library has,
    // it runs even where the usual stack is used up.
    unsafe {
        let mut found: libc::sigaction = zeroed();
        if libc::sigaction(signal, null(), &raw mut found) != 0 {
            return;
        }
        // known before the handler can run; lives as long as the process
        before.store(Box::into_raw(Box::new(found)), Ordering::Release);
        let mut ours: libc::sigaction = zeroed();
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = end;
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(signal, &raw const ours, null_mut());
    }
}

/// Gives the terminal back, and lets the signal end the process.
extern "C" fn end(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    let (free, taken) = (NOT_ENDING, GIVING_BACK);
    if ENDING.compare_exchange(free, taken, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        give_back();
        ENDING.store(GIVEN_BACK, Ordering::Release);
    } else {
        // damage to memory often hits several threads: the first one is not cut short
        await_the_first();
    }
    let before = DEADLY.iter().position(|deadly| *deadly == signal).and_then(|at| BEFORE.get(at));
    // SAFETY: what `before` points to was written by `handle` before this handler could run and is
    // never freed; zeroes are the usual action; `info` is the kernel's and valid during the call.
    // sigaction and raise are safe in a handler.
    unsafe {
        let usual: libc::sigaction = zeroed();
        // a trap goes on behind its instruction, and so would not come again either
        let is_sent = info.is_null() || (*info).si_code <= 0 || signal == libc::SIGTRAP;
        if is_sent {
            // held back until this handler returns. What was there before could take the first one
            // for a fault that comes again by itself, as the standard library's handler does
            libc::sigaction(signal, &raw const usual, null_mut());
            libc::raise(signal);
        } else if let Some(before) = before {
            // a fault comes again when the instruction is tried again
            libc::sigaction(signal, before.load(Ordering::Acquire), null_mut());
        }
    }
}

fn await_the_first() {
    let step = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    for _ in 0..STEPS {
        if ENDING.load(Ordering::Acquire) == GIVEN_BACK {
            return;
        }
        // SAFETY: the call reads the struct, keeps no pointer, and is safe in a handler.
        unsafe { libc::nanosleep(&raw const step, null_mut()) };
    }
}

fn give_back() {
    let terminal = TERMINAL.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: a pointer that was stored is a `Terminal` that is never freed. write and tcsetattr are
    // safe in a handler; the buffer's length is that of the `Vec`.
    unsafe {
        let Some(terminal) = terminal.as_ref() else { return };
        let tty = terminal.tty;
        let _ = libc::write(tty, terminal.farewell.as_ptr().cast(), terminal.farewell.len());
        let _ = libc::tcsetattr(tty, libc::TCSANOW, &raw const terminal.modes);
    }
}

/// Stops this process and those that were started with it, as the shell's job control does, though a
/// handler may be installed for that signal. Returns when the process goes on; at once where nobody
/// could make it go on (an orphaned process group).
///
/// # Errors
/// When the system refuses.
pub fn suspend_process_group() -> io::Result<()> {
    // SAFETY: zeroes are the usual action with an empty mask; each call reads or writes whole structs
    // and keeps no pointer. What is put back is what was found.
    unsafe {
        let usual: libc::sigaction = zeroed();
        let mut found: libc::sigaction = zeroed();
        if libc::sigaction(libc::SIGTSTP, &raw const usual, &raw mut found) != 0 {
            return Err(io::Error::last_os_error());
        }
        let sent = libc::kill(0, libc::SIGTSTP);
        let error = io::Error::last_os_error();
        libc::sigaction(libc::SIGTSTP, &raw const found, null_mut());
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
        // SAFETY: zeroes are a `termios`; the call writes a whole one and keeps no pointer.
        unsafe {
            let mut modes = zeroed();
            assert_eq!(libc::tcgetattr(tty.as_raw_fd(), &raw mut modes), 0);
            modes
        }
    }

    fn set_raw(tty: &impl AsFd) {
        let tty = tty.as_fd().as_raw_fd();
        // SAFETY: as above; cfmakeraw changes the struct that it is given.
        unsafe {
            let mut modes = zeroed();
            assert_eq!(libc::tcgetattr(tty, &raw mut modes), 0);
            libc::cfmakeraw(&raw mut modes);
            assert_eq!(libc::tcsetattr(tty, libc::TCSANOW, &raw const modes), 0);
        }
    }

    /// Both ends of a new pseudo-terminal.
    fn pair() -> (File, File) {
        let (mut master, mut slave) = (0, 0);
        // SAFETY: the call fills in two descriptors that nobody else owns; the other three may be null.
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
        // SAFETY: the instruction touches nothing; it is the fault.
        unsafe {
            std::arch::asm!("int3");
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: raise is always allowed.
        unsafe {
            libc::raise(libc::SIGTRAP);
        }
    }

    /// The process that faults; its standard input is the terminal.
    #[test]
    fn the_process_that_faults_where_it_is_asked_to() {
        let Ok(fault) = std::env::var(FAULT) else { return };
        restore_terminal_on_crash(&io::stdin(), b"farewell\r\n").unwrap();
        set_raw(&io::stdin());
        match fault.as_str() {
            // SAFETY: this is the fault, and ends the process.
            "null" => unsafe { null_mut::<u8>().write_volatile(1) },
            "stack" => drop(std::thread::spawn(|| deeper(&[0; 64])).join()),
            "abort" => std::process::abort(),
            "trap" => trap(),
            "several" => {
                let fault = || loop {
                    // SAFETY: this is the fault, and ends the process.
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
    fn a_real_fault_gives_the_terminal_back_and_ends_as_it_would_have() {
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
            let name = "machine::crash::tests::the_process_that_faults_where_it_is_asked_to";
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(FAULT, fault)
                .stdin(Stdio::from(slave.try_clone().unwrap()))
                .output()
                .unwrap();
            assert_eq!(output.status.signal(), Some(signal), "{fault}: {output:?}");
            assert!(modes(&slave) == before, "{fault}: the modes of the terminal");
            let mut said = [0; 10];
            master.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"farewell\r\n", "{fault}");
            let told = String::from_utf8_lossy(&output.stderr).contains("overflowed its stack");
            assert_eq!(told, fault == "stack", "{output:?}");
        }
    }
}

//! Sessions, terminals and hang-ups.
#![allow(unsafe_code)]

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::null;

/// Makes a command start in a session of its own, without a controlling terminal, so that no hang-up and no
/// key of this terminal reaches it.
pub fn in_new_session(command: &mut Command) {
    let begin = || {
        rustix::process::setsid()?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call, which is async-signal-safe, and
    // allocates nothing.
    unsafe { command.pre_exec(begin) };
}

/// Returns true if this process was started with SIGHUP ignored, as `nohup` does. Call it before a handler is
/// installed.
pub fn ignores_hangup() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null pointer as the new action only reads the present one into `action`.
    let result = unsafe { libc::sigaction(libc::SIGHUP, null(), action.as_mut_ptr()) };
    // SAFETY: a call that succeeded has filled in the whole structure.
    result == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Returns true if this process has a controlling terminal, whose end sends it a hang-up.
pub fn has_controlling_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

//! The nice value of a thread of another process, set and read back.

use crate::machine::{ForeignError, ForeignProcess, ProcessId};

/// Sets the nice value of a thread and reads it back. A thread that has ended is no error.
///
/// # Errors
/// A message with the value that it has.
pub(super) fn set_thread_nice(
    process: ForeignProcess,
    id: ProcessId,
    tid: i32,
    nice: i32,
) -> Result<(), String> {
    let describe = |error: &ForeignError| format!("thread {tid} of process {id}: {error}");
    let before = match process.nice(tid) {
        Ok(value) if value == nice => return Ok(()),
        Ok(value) => value,
        Err(ForeignError::Ended) => return Ok(()),
        Err(error) => return Err(describe(&error)),
    };
    match process.set_nice(tid, nice) {
        Ok(()) => {}
        Err(ForeignError::Ended) => return Ok(()),
        Err(ForeignError::Denied) if nice < before => {
            return Err(format!(
                "thread {tid} of process {id} stays at nice {before}: lowering it to {nice} needs \
                 CAP_SYS_NICE or RLIMIT_NICE"
            ));
        }
        Err(error) => return Err(describe(&error)),
    }
    match process.nice(tid) {
        Ok(now) if now != nice => {
            Err(format!("thread {tid} of process {id} has nice {now} instead of {nice}"))
        }
        _ => Ok(()),
    }
}

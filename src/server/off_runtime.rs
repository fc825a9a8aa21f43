//! Work on large requests and answers, so that it does not hold up other connections.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::pool::{wake_at_once, wake_collected};

/// Work on this many bytes or more leaves the runtime: parsing takes about 1 ms per 256 KiB of JSON.
const LARGE: usize = 256 << 10;

/// Before work on this many bytes the instances that have got a request are woken.
const LONG: usize = 16 << 10;

/// Runs work on this many bytes. If they are many and the runtime has several threads, the other tasks of
/// this thread move to another one first.
pub(super) fn off_runtime<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes >= LONG {
        wake_collected();
    }
    let flavor = || Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if bytes >= LARGE && matches!(flavor(), Ok(RuntimeFlavor::MultiThread)) {
        // this thread may not be one of the runtime's afterwards
        wake_at_once();
        block_in_place(work)
    } else {
        work()
    }
}

//! A socket between the console of a test and its control.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::machine::Description;
use crate::scheduler::{Control, LayoutStore};
use crate::telemetry::{Snapshot, StateVersion};

/// The objects of a console that reaches its control through a control socket.
pub(crate) struct RemoteEnds {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) profiles: Arc<dyn LayoutStore>,
    /// The host, which ends with it.
    pub(crate) _host: Box<dyn Any>,
}

impl RemoteEnds {
    /// Waits for a snapshot of this version, and returns it.
    pub(super) fn wait_for(&self, version: StateVersion) -> Arc<Snapshot> {
        let snapshots = self.control.snapshots();
        let end = Instant::now() + Duration::from_mins(1);
        while snapshots.borrow().state_version < version {
            assert!(Instant::now() < end, "the snapshot does not come");
            std::thread::sleep(Duration::from_millis(1));
        }
        snapshots.borrow().clone()
    }
}

/// Puts a socket between a control with its saved layouts and the console.
pub(crate) type Connect = fn(Arc<dyn Control>, Arc<dyn LayoutStore>, Description) -> RemoteEnds;

thread_local! {
    /// Connects the consoles of this thread's test.
    static CONNECT: Cell<Option<Connect>> = const { Cell::new(None) };
}

/// Returns the function that connects the consoles of this test; `None` if they have their controls.
pub(super) fn connect() -> Option<Connect> {
    CONNECT.get()
}

/// Runs a test whose consoles reach their controls through a socket.
pub(crate) fn with_remote(connect: Connect, test: fn()) {
    CONNECT.set(Some(connect));
    test();
}

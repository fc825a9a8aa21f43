//! The handle of a running server: starts its threads and listeners, and drains and stops them.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::client_connection::{ListenerContext, Phase};
use super::listener::{BoundSocket, ListenError, accept};
use super::state::{ServerOptions, ServerState};
use super::{routes, threads};
use crate::machine::raise_open_file_limit;
use crate::scheduler::Scheduler;
use crate::telemetry::{ListenerView, Protocol};

/// The shortest time that answers get to be sent once the drain has ended.
const CLOSE_TIME: Duration = Duration::from_millis(1500);

/// Files that the process needs beside connections: models, journal, epoll, standard streams.
const OTHER_FILES: u64 = 128;

/// Bound addresses of a server that does not listen yet. Clients that connect before it starts are refused
/// by the kernel.
#[derive(Default)]
pub struct ServerSockets {
    sockets: Vec<BoundSocket>,
}

/// A running server. Dropping it closes all connections at once.
pub struct Server {
    state: Arc<ServerState>,
    listeners: Vec<ListenerView>,
    phase: watch::Sender<Phase>,
    runtime: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The end of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainEnd {
    /// Admitted requests that were not answered.
    pub unanswered: usize,
}

impl ServerSockets {
    /// Binds an address; its port may be 0 for any free one.
    ///
    /// # Errors
    /// [`ListenError`] if the address is in use, forbidden or not of this machine.
    pub fn bind(&mut self, protocol: Protocol, address: SocketAddr) -> Result<(), ListenError> {
        self.sockets.push(BoundSocket::bind(protocol, address)?);
        Ok(())
    }

    /// Returns true if there is no address.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}

impl Server {
    /// Starts to accept connections on the sockets. `threads` is the number of threads; `None` for one per
    /// two cores that the process may use, up to four.
    ///
    /// # Errors
    /// [`ListenError`] if a socket cannot listen or the threads cannot be started.
    pub fn start(
        state: Arc<ServerState>,
        sockets: ServerSockets,
        threads: Option<usize>,
    ) -> Result<Self, ListenError> {
        check_open_files(state.limits().connections);
        let threads = threads.unwrap_or_else(threads::default_threads);
        let runtime = threads::start(threads).map_err(ListenError::Threads)?;
        let (phase, receiver) = watch::channel(Phase::Serving);
        let guard = runtime.enter();
        let mut listeners = Vec::new();
        let mut accepts = Vec::new();
        for socket in sockets.sockets {
            let (protocol, address) = (socket.protocol, socket.address);
            let routes = match protocol {
                Protocol::Http => routes::http(&state),
                Protocol::Grpc => routes::grpc(&state),
            };
            let phase = receiver.clone();
            let context = ListenerContext { state: state.clone(), protocol, routes, phase };
            accepts.push((socket.listen()?, Arc::new(context)));
            state.monitor.add_listener(protocol, address);
            listeners.push(ListenerView { protocol, address: address.to_string() });
        }
        for (listener, context) in accepts {
            runtime.spawn(accept(listener, context));
        }
        drop(guard);
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        // A runtime cannot be dropped by a thread of another runtime, so a separate thread drops it.
        let thread = std::thread::Builder::new()
            .name("divvy-serve".to_owned())
            .spawn(move || {
                // an error means that the handle was dropped
                let _ = runtime.block_on(ended);
                runtime.shutdown_timeout(CLOSE_TIME);
            })
            .map_err(ListenError::Threads)?;
        let (end, thread) = (Some(end), Some(thread));
        Ok(Self { state, listeners, phase, runtime: handle, end, thread })
    }

    /// Returns the addresses on which it listens.
    pub fn listeners(&self) -> &[ListenerView] {
        &self.listeners
    }

    /// Returns the state that all connections share.
    pub fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// Refuses new requests from now on, and keeps the listeners open to say so.
    pub fn start_drain(&self) {
        self.state.drain.start();
        self.phase.send_if_modified(|phase| {
            let is_new = *phase < Phase::Draining;
            *phase = Phase::Draining.max(*phase);
            is_new
        });
    }

    /// Drains and stops the server: waits until the admitted requests are answered, for at most `patience`
    /// or until `cut` completes, and then closes the listeners and all connections. Blocks the thread.
    pub fn stop(
        mut self,
        patience: Duration,
        cut: impl Future<Output = ()> + Send + 'static,
    ) -> DrainEnd {
        self.start_drain();
        let drain = self.state.drain.clone();
        let (sender, receiver) = mpsc::channel();
        let phase = self.phase.clone();
        self.runtime.spawn(async move {
            let answered = async {
                tokio::select! {
                    () = drain.wait_for_admitted() => true,
                    () = cut => false,
                }
            };
            let answered = timeout(patience, answered).await.unwrap_or(false);
            // a request that is being refused counts for a moment
            let unanswered = if answered { 0 } else { drain.admitted() };
            phase.send_replace(Phase::Closing);
            if answered {
                // each connection keeps a receiver until it has closed
                let _ = timeout(CLOSE_TIME, phase.closed()).await;
            }
            // `stop` waits for it
            let _ = sender.send(unanswered);
        });
        // The task sends unless the runtime is gone.
        let unanswered = receiver.recv().unwrap_or_else(|_| self.state.drain.admitted());
        self.end();
        DrainEnd { unanswered }
    }

    fn end(&mut self) {
        self.phase.send_replace(Phase::Closing);
        self.state.monitor.remove_listeners();
        if let Some(end) = self.end.take() {
            // the thread waits for it
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            // a panic has been logged
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.drain.start();
        self.end();
    }
}

/// Returns the routes of HTTP for the models of a scheduler, for a program that serves them itself. They have
/// the default [`ServerOptions`]: no token, and limits on bodies and on the bytes in flight. Limits on
/// connections and heads, and timeouts of idle clients, are the program's. `examples/serve.rs` is a complete
/// program.
pub fn router(scheduler: &Scheduler) -> Router {
    router_of(&ServerState::new(scheduler, ServerOptions::default()))
}

/// Returns the routes of HTTP of a server with other options.
pub fn router_of(state: &Arc<ServerState>) -> Router {
    routes::http(state)
}

/// Returns the routes of gRPC of a server. They need HTTP/2.
pub fn grpc_router(state: &Arc<ServerState>) -> Router {
    routes::grpc(state)
}

/// Lets the process open as many files as it may, and warns if they are too few for the connections.
fn check_open_files(connections: usize) {
    let Some(limit) = raise_open_file_limit() else { return };
    if limit < connections as u64 + OTHER_FILES {
        tracing::warn!(
            "this process may open {limit} files, too few for {connections} connections; raise the limit \
             (ulimit -n) or lower --max-connections"
        );
    }
}

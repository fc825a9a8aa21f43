//! The listeners: binds addresses, and accepts connections within the limit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::client_connection::{ListenerContext, Phase, serve};
use super::plain_answers::refuse;
use crate::pool::collecting_wakes;
use crate::telemetry::Protocol;

/// The most connections that wait to be accepted. The kernel lowers it to `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

/// The pause after an accept error, doubled up to the longest one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The most connections over the limit that get an answer at once; others are closed without one.
const MOST_REFUSALS: usize = 64;

/// The reason why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another program uses it.
    #[error("{0} is in use by another program; choose another port, or 0 for a free one")]
    InUse(SocketAddr),
    /// This user may not use the port.
    #[error("this user may not listen on {0}; choose a port above 1023")]
    Forbidden(SocketAddr),
    /// The machine does not have the address.
    #[error("this machine does not have the address of {0}; `ip address` lists its addresses")]
    NoSuchAddress(SocketAddr),
    /// Another error of the system.
    #[error("cannot listen on {address}: {error}")]
    System {
        /// The address.
        address: SocketAddr,
        /// The system's message.
        error: io::Error,
    },
    /// The threads of the server cannot be started.
    #[error("cannot start the threads of the server: {0}")]
    Threads(io::Error),
}

/// An address that is bound but does not accept connections yet.
pub(super) struct BoundSocket {
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    socket: TcpSocket,
}

impl BoundSocket {
    /// Binds an address. The kernel lets a restarted server have it at once.
    ///
    /// # Errors
    /// [`ListenError`] with the address.
    pub(super) fn bind(protocol: Protocol, address: SocketAddr) -> Result<Self, ListenError> {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let address = socket.local_addr()?;
            Ok(Self { protocol, address, socket })
        };
        bind().map_err(|error| describe(address, error))
    }

    /// Starts to accept connections into the backlog. Call it in a runtime.
    ///
    /// # Errors
    /// [`ListenError`] with the address.
    pub(super) fn listen(self) -> Result<TcpListener, ListenError> {
        self.socket.listen(BACKLOG).map_err(|error| describe(self.address, error))
    }
}

fn describe(address: SocketAddr, error: io::Error) -> ListenError {
    match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        io::ErrorKind::PermissionDenied => ListenError::Forbidden(address),
        io::ErrorKind::AddrNotAvailable => ListenError::NoSuchAddress(address),
        _ => ListenError::System { address, error },
    }
}

/// Accepts connections until the server closes.
pub(super) async fn accept(listener: TcpListener, context: Arc<ListenerContext>) {
    let refusals = Arc::new(Semaphore::new(MOST_REFUSALS));
    let mut phase = context.phase.clone();
    let mut closing = std::pin::pin!(phase.wait_for(|phase| *phase == Phase::Closing));
    let mut pause = SHORTEST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.as_mut() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = SHORTEST_PAUSE;
                start(stream, peer, &context, &refusals);
            }
            Err(error) if is_of_client(&error) => {}
            // The process has no file descriptor or no memory left: without a pause, this would spin.
            Err(error) => {
                context.state.activity.count_accept_error(error.to_string());
                tokio::select! {
                    () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    _ = closing.as_mut() => return,
                }
            }
        }
    }
}

/// Returns true for the errors of a connection that its client has already closed.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Serves a connection in a new task, or refuses it.
fn start(
    stream: TcpStream,
    peer: SocketAddr,
    context: &Arc<ListenerContext>,
    refusals: &Arc<Semaphore>,
) {
    // Answers are written whole, so there is nothing to wait for. An error shows in the first write.
    let _ = stream.set_nodelay(true);
    let limit = context.state.limits().connections;
    if let Some(connection) = context.state.activity.connect(peer, context.protocol, limit) {
        tokio::spawn(collecting_wakes(serve(stream, connection, context.clone())));
    } else if context.protocol == Protocol::Http
        && let Ok(permit) = refusals.clone().try_acquire_owned()
    {
        tokio::spawn(async move {
            let text = format!("{limit} clients are connected, the most that this server serves");
            refuse(stream, "503 Service Unavailable", &text).await;
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn used_address_is_refused() {
        let bind = |port| BoundSocket::bind(Protocol::Http, ([127, 0, 0, 1], port).into());
        let first = bind(0).unwrap();
        let port = first.address.port();
        assert_ne!(port, 0);
        let listener = first.listen().unwrap();
        let error = bind(port).map(|_| ()).unwrap_err();
        assert!(matches!(error, ListenError::InUse(address) if address.port() == port), "{error}");
        drop(listener);
        assert!(bind(port).is_ok());
    }

    #[test]
    fn foreign_address_is_refused() {
        let error = BoundSocket::bind(Protocol::Http, ([192, 0, 2, 7], 0).into()).map(|_| ());
        assert!(matches!(error, Err(ListenError::NoSuchAddress(_))));
    }
}

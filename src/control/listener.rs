//! Accepts connections, finds out whose they are, and serves their requests.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdTcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::caller::user_name;
use super::folders::own_uid;
use super::host::HostState;
use super::remote_paths::RemotePaths;
use super::routes::{answer, routes};
use super::socket::ControlSocket;
use super::timed_stream::TimedStream;
use crate::machine::SharedToken;

/// The most connections of one listener; others are closed at once.
const MOST_CONNECTIONS: usize = 256;

/// The longest time for the head of a request, and between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time in which a client takes nothing of its answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of a head, and of an answer that wait for a client.
const BUFFER: usize = 64 << 10;

/// The pause after an accept error, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The clients of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The user of this process and root may do everything; others nothing.
    SameUser,
    /// All that can connect may read.
    Readers,
}

/// The conditions for clients over TCP.
#[derive(Clone, Debug)]
pub struct TcpAccess {
    /// The token that they send.
    pub token: SharedToken,
    /// The files that their changes may name.
    pub paths: RemotePaths,
}

/// A listener of the control interface.
pub enum ControlListener {
    /// On a Unix socket.
    Socket(ControlSocket, Access),
    /// On a TCP address.
    Tcp(StdTcpListener, TcpAccess),
}

impl ControlListener {
    /// Registers the listener. Call it in a runtime.
    pub(super) fn bind(self) -> io::Result<BoundListener> {
        Ok(match self {
            Self::Socket(mut socket, access) => {
                let listener = socket.take_listener().ok_or(io::ErrorKind::NotConnected)?;
                let listener = UnixListener::from_std(listener)?;
                BoundListener::Socket { listener, access, _socket: socket }
            }
            Self::Tcp(listener, access) => {
                listener.set_nonblocking(true)?;
                BoundListener::Tcp(TcpListener::from_std(listener)?, Arc::new(access))
            }
        })
    }
}

/// A listener that accepts connections.
pub(super) enum BoundListener {
    Socket {
        listener: UnixListener,
        access: Access,
        /// Removes the file at the end.
        _socket: ControlSocket,
    },
    Tcp(TcpListener, Arc<TcpAccess>),
}

impl BoundListener {
    /// Accepts a connection.
    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Socket { listener, access, .. } => {
                let (stream, _) = listener.accept().await?;
                let peer = peer_of(&stream, *access);
                Ok((Box::pin(stream), peer))
            }
            Self::Tcp(listener, access) => {
                let (stream, address) = listener.accept().await?;
                // answers are written whole; an error shows in the first write
                let _ = stream.set_nodelay(true);
                let user = address.ip().to_canonical().to_string().into();
                let peer = Peer { user, rights: Rights::All, tcp: Some(access.clone()) };
                Ok((Box::pin(stream), peer))
            }
        }
    }
}

/// A connection of either kind.
type Stream = Pin<Box<dyn Connection>>;

trait Connection: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Connection for S {}

/// The client at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its user, or its address.
    pub(super) user: Arc<str>,
    /// Its rights.
    pub(super) rights: Rights,
    /// The further conditions, over TCP.
    pub(super) tcp: Option<Arc<TcpAccess>>,
}

/// The rights of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Everything.
    All,
    /// Read.
    Read,
    /// Nothing.
    None,
}

/// Accepts connections until the runtime ends.
pub(super) async fn accept(listener: BoundListener, state: Arc<HostState>) {
    let routes = routes(state);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let routes = routes.clone();
                tokio::spawn(async move {
                    serve(stream, peer, routes).await;
                    drop(place);
                });
            }
            // without a pause this would spin
            Err(error) => {
                tracing::warn!("cannot accept a control connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Finds out who connected: the kernel knows the user of the other end.
fn peer_of(stream: &UnixStream, access: Access) -> Peer {
    let uid = stream.peer_cred().map(|peer| peer.uid()).ok();
    let user = uid.map_or_else(|| "unknown".to_owned(), user_name).into();
    let rights = uid.map_or(Rights::None, |uid| rights_of(uid, own_uid(), access));
    Peer { user, rights, tcp: None }
}

/// Returns the rights of a user on a socket of another one.
fn rights_of(uid: u32, own: u32, access: Access) -> Rights {
    match access {
        Access::Readers => Rights::Read,
        Access::SameUser if uid == own || uid == 0 => Rights::All,
        Access::SameUser => Rights::None,
    }
}

/// Serves a connection until it ends.
async fn serve(stream: Stream, peer: Peer, routes: Router) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (peer, routes) = (peer.clone(), routes.clone());
        async move {
            let answer: Response<Body> = answer(routes, peer, request.map(Body::new)).await;
            Ok::<_, Infallible>(answer)
        }
    });
    let io = TokioIo::new(TimedStream::new(stream, SEND_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER)
        .serve_connection(io, service);
    if let Err(error) = connection.await {
        tracing::debug!("a control connection has ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_users_have_no_rights() {
        let rights = |uid| rights_of(uid, 1000, Access::SameUser);
        assert_eq!((rights(1000), rights(0)), (Rights::All, Rights::All));
        assert_eq!((rights(1001), rights(65534)), (Rights::None, Rights::None));
        for uid in [0, 1000, 1001] {
            assert_eq!(rights_of(uid, 1000, Access::Readers), Rights::Read);
        }
    }
}

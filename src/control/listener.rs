//! Accepts connections, finds out whose they are, and serves their requests.

use std::convert::Infallible;
use std::io;
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
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::caller::user_name;
use super::folders::own_uid;
use super::host::HostState;
use super::routes::{answer, routes};
use super::socket::ControlSocket;
use super::timed_stream::TimedStream;

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

/// What the clients of a listener may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The user of this process and root may do everything; others nothing.
    SameUser,
    /// Whoever can connect may read.
    Readers,
}

/// A listener of the control interface.
pub struct ControlListener {
    socket: ControlSocket,
    access: Access,
}

impl ControlListener {
    /// A listener on a Unix socket.
    pub fn new(socket: ControlSocket, access: Access) -> Self {
        Self { socket, access }
    }

    /// Registers the listener. Call it in a runtime.
    pub(super) fn bind(mut self) -> io::Result<BoundListener> {
        let listener = self.socket.take_listener().ok_or(io::ErrorKind::NotConnected)?;
        let listener = UnixListener::from_std(listener)?;
        Ok(BoundListener { listener, access: self.access, _socket: self.socket })
    }
}

/// A listener that accepts connections.
pub(super) struct BoundListener {
    listener: UnixListener,
    access: Access,
    /// Removes the file at the end.
    _socket: ControlSocket,
}

/// The client at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its user.
    pub(super) user: Arc<str>,
    /// What it may do.
    pub(super) rights: Rights,
}

/// What a client may do.
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
        match listener.listener.accept().await {
            Ok((stream, _)) => {
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let peer = peer_of(&stream, listener.access);
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
    Peer { user, rights }
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
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: Peer, routes: Router) {
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

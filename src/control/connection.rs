//! Connections of a client to a host.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::machine::AccessToken;

/// The address of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Socket(PathBuf),
    /// A TCP address and its token.
    Tcp(SocketAddr, AccessToken),
}

impl Address {
    /// Returns the token that its host wants.
    pub(super) fn token(&self) -> Option<&AccessToken> {
        match self {
            Self::Socket(_) => None,
            Self::Tcp(_, token) => Some(token),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp(address, _) => address.fmt(f),
        }
    }
}

/// Sends requests on a connection.
pub(super) type RequestSender = SendRequest<Full<Bytes>>;

/// Connects to a host. The connection is driven by a task of the runtime.
///
/// # Errors
/// The system's error.
pub(super) async fn connect(address: &Address) -> io::Result<RequestSender> {
    match address {
        Address::Socket(path) => open(UnixStream::connect(path).await?).await,
        Address::Tcp(address, _) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            open(stream).await
        }
    }
}

async fn open<S>(stream: S) -> io::Result<RequestSender>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // its requests report the error
        let _ = connection.await;
    });
    Ok(sender)
}

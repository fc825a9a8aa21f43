//! One connection: finds out its protocol, serves its requests, and closes it when its client is slow or
//! idle or the server ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::activity::Connection;
use super::client_service::ClientService;
use super::client_stream::{ClientStream, ConnectionTimes};
use super::plain_answers::refuse;
use super::state::ServerState;
use super::threads::TaskStarter;
use crate::layout::ServerLimits;
use crate::telemetry::Protocol;

/// The first bytes of an HTTP/2 connection.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// The smallest read buffer of HTTP/1; larger bodies need fewer reads with more.
const HTTP1_BUFFER: usize = 256 << 10;

/// Time between two pings on an HTTP/2 connection, so that a client that has vanished is found.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// The time that an open connection without a request gets at the end.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// The phases of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// All requests are admitted.
    Serving,
    /// New requests are refused.
    Draining,
    /// No connection is accepted, and those that are open close.
    Closing,
}

/// All that the connections of one listener share.
pub(super) struct ListenerContext {
    pub(super) state: Arc<ServerState>,
    pub(super) protocol: Protocol,
    pub(super) routes: Router,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    mut stream: TcpStream,
    connection: Connection,
    context: Arc<ListenerContext>,
) {
    let times = Arc::new(ConnectionTimes::new());
    let mut phase = context.phase.clone();
    let limits = context.state.limits();
    let first = tokio::select! {
        first = first_bytes(&mut stream, &limits) => first,
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => return,
    };
    let Ok(first) = first else { return };
    let is_http2 = first == HTTP2_PREFACE;
    if !is_http2 && context.protocol == Protocol::Grpc {
        let text = "this port speaks gRPC over HTTP/2 only";
        refuse(stream, "505 HTTP Version Not Supported", text).await;
        return;
    }
    let service = ClientService {
        routes: context.routes.clone(),
        drain: context.state.drain.clone(),
        connection,
        times: times.clone(),
    };
    // HTTP/2 has its own way to refuse a head, and bytes without an open request can be anything there
    let http1_head = (!is_http2).then_some(limits.header);
    let io = TokioIo::new(ClientStream::new(stream, first, times.clone(), http1_head));
    let life = ConnectionLife { state: context.state.clone(), phase, times, is_http2 };
    let header = limits.header;
    if is_http2 {
        let mut builder = http2::Builder::new(TaskStarter);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(header.try_into().unwrap_or(u32::MAX))
            .keep_alive_interval(PING_INTERVAL);
        life.drive(builder.serve_connection(io, service)).await;
    } else {
        let header = usize::try_from(header).unwrap_or(usize::MAX);
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None)
            .max_buf_size(HTTP1_BUFFER.max(header))
            .max_header_size(header);
        life.drive(builder.serve_connection(io, service)).await;
    }
}

/// Reads the first bytes of a connection, until they are HTTP/2's or cannot become so.
async fn first_bytes(stream: &mut TcpStream, limits: &ServerLimits) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HTTP2_PREFACE.len());
    let mut next = async |bytes: &mut Vec<u8>, limit| {
        let mut rest = (&mut *stream).take((HTTP2_PREFACE.len() - bytes.len()) as u64);
        match timeout(limit, rest.read_buf(bytes)).await {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    };
    next(&mut bytes, limits.idle_timeout).await?;
    let end = Instant::now() + limits.receive_timeout;
    while bytes.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&bytes) {
        next(&mut bytes, end.saturating_duration_since(Instant::now())).await?;
    }
    Ok(bytes)
}

/// The circumstances that end a connection.
struct ConnectionLife {
    state: Arc<ServerState>,
    phase: watch::Receiver<Phase>,
    times: Arc<ConnectionTimes>,
    is_http2: bool,
}

impl ConnectionLife {
    /// Serves requests until the client or the server ends the connection. Dropping it closes it.
    async fn drive(mut self, connection: impl GracefulConnection) {
        let mut connection = std::pin::pin!(connection);
        let mut check = std::pin::pin!(sleep(check_interval(&self.state.limits())));
        let mut close = std::pin::pin!(sleep_until(Instant::now()));
        let mut is_ending = false;
        // After GOAWAY a new connection would answer none of its calls; they are to learn the reason.
        let gets_goaway = self.is_http2 && *self.phase.borrow() == Phase::Serving;
        loop {
            let phase = *self.phase.borrow_and_update();
            // HTTP/1 clients get `Connection: close` with their next answer; for HTTP/2 this sends GOAWAY
            let ends = phase == Phase::Closing || (phase == Phase::Draining && gets_goaway);
            if ends && !is_ending {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            let is_closing = phase == Phase::Closing;
            if is_closing {
                close.as_mut().reset(Instant::now() + CLOSE_TIME);
            }
            let changed = self.phase.changed();
            tokio::pin!(changed);
            loop {
                tokio::select! {
                    biased;
                    // The client has closed it, or has sent what is no HTTP: hyper has answered.
                    _ = connection.as_mut() => return,
                    changed = changed.as_mut(), if !is_closing => match changed {
                        Ok(()) => break,
                        // the server is gone
                        Err(_) => return,
                    },
                    () = check.as_mut() => {
                        let limits = self.state.limits();
                        if let Some(reason) = self.times.overdue(&limits) {
                            tracing::debug!("closes a connection: {reason:?}");
                            return;
                        }
                        check.as_mut().reset(Instant::now() + check_interval(&limits));
                    }
                    () = close.as_mut(), if is_closing => {
                        // an answer that the client still takes goes on
                        if self.times.is_idle() {
                            return;
                        }
                        close.as_mut().reset(Instant::now() + CLOSE_TIME);
                    }
                }
            }
        }
    }
}

/// Returns the time between two checks of a connection: short enough for the shortest timeout, long enough
/// to cost nothing.
fn check_interval(limits: &ServerLimits) -> Duration {
    let shortest = limits.receive_timeout.min(limits.send_timeout).min(limits.idle_timeout);
    (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(5))
}

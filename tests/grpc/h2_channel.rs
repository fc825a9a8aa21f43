//! Carries the calls of tonic's client over one HTTP/2 connection, whose windows a test can close.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{RecvStream, SendStream};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tower::Service;

/// A window that grows by what has been read. Other windows stay closed once they are used up.
pub(crate) const WIDE: u32 = 1 << 20;

/// One connection.
#[derive(Clone)]
pub(crate) struct H2Channel {
    requests: SendRequest<Bytes>,
    origin: Uri,
    window: u32,
}

/// The body of an answer.
pub(crate) struct AnswerBody {
    stream: RecvStream,
    window: u32,
}

/// Ends when the connection does.
pub(crate) type ConnectionEnd = JoinHandle<Result<(), h2::Error>>;

impl H2Channel {
    pub(crate) async fn connect(address: SocketAddr, window: u32) -> (Self, ConnectionEnd) {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (requests, connection) =
            Builder::new().initial_window_size(window).handshake(stream).await.unwrap();
        let origin = format!("http://{address}").parse().unwrap();
        (Self { requests, origin, window }, tokio::spawn(connection))
    }

    pub(crate) fn origin(&self) -> Uri {
        self.origin.clone()
    }
}

impl Service<Request<Body>> for H2Channel {
    type Response = Response<AnswerBody>;
    type Error = h2::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, h2::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        self.requests.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (requests, window) = (self.requests.clone(), self.window);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let head = Request::from_parts(head, ());
            let (answer, stream) = requests.ready().await?.send_request(head, false)?;
            tokio::spawn(send(body, stream));
            Ok(answer.await?.map(|stream| AnswerBody { stream, window }))
        })
    }
}

/// Sends a body. A test that resets the stream ends it early.
async fn send(mut body: Body, mut stream: SendStream<Bytes>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data()
            && stream.send_data(data, false).is_err()
        {
            return;
        }
    }
    let _ = stream.send_data(Bytes::new(), true);
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.stream.poll_data(context)) {
            let data = data?;
            if self.window == WIDE {
                self.stream.flow_control().release_capacity(data.len())?;
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.stream.poll_trailers(context))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

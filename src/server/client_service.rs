//! The requests of one connection: passes them to the routes and follows each until its answer has been
//! handed over.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service;

use super::activity::Connection;
use super::client_stream::ConnectionTimes;
use super::drain::{AdmittedRequest, Drain};
use super::unwritten_answers::{AnswerData, AnswerProgress};

/// Answers the requests of one connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct ClientService {
    pub(super) routes: Router,
    pub(super) drain: Drain,
    pub(super) connection: Connection,
    pub(super) times: Arc<ConnectionTimes>,
}

/// A request until its answer has been handed over.
struct OpenRequest {
    times: Arc<ConnectionTimes>,
    /// Kept for its drop.
    _admitted: Option<AdmittedRequest>,
}

impl OpenRequest {
    fn new(times: Arc<ConnectionTimes>, admitted: Option<AdmittedRequest>) -> Self {
        times.begin_request();
        Self { times, _admitted: admitted }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.times.end_request();
    }
}

/// The body of an answer, which ends its request.
pub(super) struct AnswerBody {
    body: Body,
    request: Option<OpenRequest>,
    /// `None` in HTTP/1.
    progress: Option<Arc<AnswerProgress>>,
}

impl hyper::service::Service<Request<Incoming>> for ClientService {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let open = OpenRequest::new(self.times.clone(), self.drain.admit());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.connection.clone());
        let is_http1 = request.version() < Version::HTTP_2;
        let answer = self.routes.clone().call(request);
        let drain = self.drain.clone();
        let times = self.times.clone();
        Box::pin(async move {
            let mut answer = answer.await?;
            if is_http1 && drain.has_started() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let progress = (!is_http1).then(|| times.answers.add());
            Ok(answer.map(|body| AnswerBody { body, request: Some(open), progress }))
        })
    }
}

impl HttpBody for AnswerBody {
    type Data = AnswerData;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<AnswerData>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.request = None;
        }
        let progress = self.progress.as_ref();
        let hand_over = |frame: Frame<_>| frame.map_data(|bytes| AnswerData::new(bytes, progress));
        frame.map(|frame| frame.map(|frame| frame.map(hand_over)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! A receiver of requests for the tests: keeps each request until the test answers it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::{ElementType, NamedTensor, Signature, Tensor, TensorData, TensorSpec};
use crate::load::LoadRequests;
use crate::pool::{Outcome, Rejection, Request, RequestError, RequestId, RequestSender};

/// A tensor of one number.
pub(in crate::load) fn scalar(name: &str, value: f32) -> NamedTensor {
    let tensor = Tensor::new(Vec::new(), TensorData::F32(vec![value])).unwrap();
    NamedTensor { name: name.to_owned(), tensor }
}

/// Returns the number in the tensor of that name.
pub(in crate::load) fn value(tensors: &[NamedTensor], name: &str) -> f32 {
    let found = tensors.iter().find(|tensor| tensor.name == name).unwrap();
    match found.tensor.data() {
        TensorData::F32(values) => values[0],
        other => panic!("{other:?}"),
    }
}

/// Requests with their index as input `x`, and 0 as input `state`.
pub(in crate::load) fn numbered(count: usize) -> LoadRequests {
    let request = |index: usize| vec![scalar("x", index as f32), scalar("state", 0.0)];
    LoadRequests::new((0..count).map(request).collect()).unwrap()
}

/// Keeps requests until the test answers them.
#[derive(Default)]
pub(in crate::load) struct FakeSender {
    waiting: Mutex<VecDeque<Request>>,
    seen: Mutex<Vec<(Instant, Arc<Vec<NamedTensor>>)>>,
}

impl FakeSender {
    pub(in crate::load) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    /// Returns the intended arrivals of all requests so far.
    pub(in crate::load) fn arrivals(&self) -> Vec<Instant> {
        self.seen.lock().unwrap().iter().map(|(arrival, _)| *arrival).collect()
    }

    /// Returns the value of an input in all requests so far.
    pub(in crate::load) fn inputs(&self, name: &str) -> Vec<f32> {
        self.seen.lock().unwrap().iter().map(|(_, inputs)| value(inputs, name)).collect()
    }

    /// Answers up to `count` requests, oldest first: output `next` is the input `state` plus one.
    pub(in crate::load) fn answer(&self, count: usize) -> usize {
        self.end(count, |request| {
            let state = request.inputs.iter().find(|tensor| tensor.name == "state");
            Ok(state
                .map(|_| scalar("next", value(&request.inputs, "state") + 1.0))
                .into_iter()
                .collect())
        })
    }

    /// Rejects up to `count` requests.
    pub(in crate::load) fn reject(&self, count: usize) -> usize {
        self.end(count, |_| Err(RequestError::Rejected { reason: Rejection::QueueFull }))
    }

    /// Drops requests without calling their replies, as no real receiver should.
    pub(in crate::load) fn drop_all(&self) {
        self.waiting.lock().unwrap().clear();
    }

    fn end(
        &self,
        count: usize,
        result: impl Fn(&Request) -> Result<Vec<NamedTensor>, RequestError>,
    ) -> usize {
        let mut ended = 0;
        while ended < count {
            let Some(request) = self.waiting.lock().unwrap().pop_front() else { break };
            let result = result(&request);
            (request.reply)(Outcome { result, queue: Duration::ZERO, compute: Duration::ZERO });
            ended += 1;
        }
        ended
    }
}

impl RequestSender for FakeSender {
    fn signature(&self) -> Arc<Signature> {
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            element: ElementType::F32,
            dims: Some(Vec::new()),
        };
        Arc::new(Signature { inputs: vec![spec("x"), spec("state")], outputs: vec![spec("next")] })
    }

    fn submit(&self, request: Request) -> Option<RequestId> {
        self.seen.lock().unwrap().push((request.arrival, request.inputs.clone()));
        self.waiting.lock().unwrap().push_back(request);
        None
    }

    fn cancel(&self, _: RequestId) -> bool {
        false
    }
}
